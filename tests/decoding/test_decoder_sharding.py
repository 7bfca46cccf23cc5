import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.decoding.decoder_sharding import LINE, lay_together


def test_what_is_laid_together_is_the_same_and_is_not_copied_again():
    prepared = {
        "norm": {"scale": jnp.arange(3, dtype=jnp.float32)},
        "blocks": [{"kernel": jnp.full((2, 5), i, jnp.bfloat16)} for i in range(3)],
    }
    laid = lay_together(prepared)
    assert jax.tree.structure(laid) == jax.tree.structure(prepared)
    for new, old in zip(jax.tree.leaves(laid), jax.tree.leaves(prepared), strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(new, old)
    places = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(laid)]
    assert np.diff(places).tolist() == [LINE] * 3


PROGRAM = """
import dataclasses, jax, numpy as np
from tiny_model import make_config
from sift_jax.decoding import generate
from sift_jax.decoding.decoder_sharding import place_params
from sift_jax.decoding.sampling import GREEDY
from sift_jax.models.speech_lm import init_params
from sift_jax.parallel.mesh import MeshConfig, make_mesh

config = make_config()
params = init_params(config, jax.random.key(0))
ids = np.random.default_rng(0).integers(10, 300, (4, 9)).astype(np.int32)
batch = generate.lay_out_prompts([generate.Prompt.of_text(row) for row in ids], config, tokens=9)
said = []
for data, tensor in ((1, 1), (2, 2)):
    mesh = make_mesh(MeshConfig(data=data, fsdp=1, tensor=tensor), jax.devices()[: data * tensor])
    prepared = generate.prepare(config, place_params(params, mesh), rows=4, mesh=mesh)
    decoding = dataclasses.replace(GREEDY, max_new_tokens=12)
    said.append(generate.speak(config, prepared, batch, jax.random.key(0), decoding=decoding, stop_ids=(-1,)))
    state = generate._start(config, prepared, batch, jax.random.key(0), (decoding, (-1,), None), 20,
                            is_alone=mesh.size == 1, copies=1)
    whole = state["cache"][0]["v"]
    print(mesh.size, whole.size // whole.addressable_shards[0].data.size)
assert (said[0] == said[1]).all()
"""


@pytest.mark.slow
def test_on_several_devices_each_keeps_its_heads_of_the_cache():
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests / "support"), str(tests.parent)])
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": path,
    }
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True
    )
    sizes = [line.split() for line in told.stdout.splitlines()]
    assert sizes[0] == ["1", "1"] and int(sizes[1][1]) >= 2
