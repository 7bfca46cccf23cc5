"""What --dry_run says of memory: XLA's figures, per device, and whether they fit."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from tiny_model import make_config
from tiny_run import make_run, write_gin

from sift_jax.batch import BatchShape
from sift_jax.checkpoints.train_state import cast_params, init_state, shard_state
from sift_jax.data.batch_stream import make_shapes
from sift_jax.parallel.hardware import HardwareConfig, find_memory, use_virtual_devices
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.dry_run import (
    StepMemory,
    count_bytes,
    format_memory,
    format_parameters,
    measure_memory,
)
from sift_jax.training.job import make_geometry
from sift_jax.training.optimizer import make_optimizer
from sift_jax.training.step import make_train_step

ROOT = Path(__file__).parents[2]
CONFIG = make_config()
SHAPE = BatchShape(
    rows=2, tokens=64, targets=16, clips=2, mel_frames=200, mel_bins=CONFIG.encoder.mel_bins
)
MESH = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])


def describe(optimizer, frozen_dtype, config=CONFIG, trainable=("projector/.*",)):
    def make():
        state = init_state(config, trainable, optimizer, 0)
        return {**state, "frozen": cast_params(state["frozen"], frozen_dtype)}

    abstract = jax.eval_shape(make)
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        abstract,
        shard_state(abstract, MESH),
    )


def test_the_figures_are_of_the_step():
    from test_step import OPTIMIZER

    optimizer = make_optimizer(OPTIMIZER, 100)
    state = describe(optimizer, "bfloat16")
    step = make_train_step(CONFIG, optimizer, state, MESH, microbatches=1)
    memory = measure_memory(step, state, SHAPE, MESH)
    batch = sum(jnp.dtype(t).itemsize * jnp.prod(jnp.array(s)) for s, t in SHAPE.spec().values())
    assert memory.arguments == pytest.approx(count_bytes(state) + int(batch), rel=0.01)
    # the state is overwritten in its place: what is given back beside it is a handful of figures
    assert memory.outputs < 4096 < memory.temporary
    assert count_bytes(describe(optimizer, "float32")["frozen"]) == 2 * count_bytes(state["frozen"])


def test_what_is_frozen_is_on_disk_once():
    """Seven billion parameters as bfloat16 once, and the trained ones with two moments each as
    float32 each time."""
    from test_step import OPTIMIZER

    config = make_config(
        encoder="whisper-medium",
        decoder="qwen2.5-7b",
        projector="linear",
        projector_frames=None,
        lora_rank=16,
    )
    adamw = make_optimizer(dataclasses.replace(OPTIMIZER, muon_learning_rate=None), 100)
    state = describe(adamw, "bfloat16", config, ("projector/.*", ".*/lora_.*"))
    trained, frozen = (
        sum(x.size for x in jax.tree.leaves(state[part])) for part in ("trainable", "frozen")
    )
    said = format_parameters(state, MESH)[-1]
    assert trained == 8_719_872 and frozen > 7e9
    each, once = (
        f"{12 * trained / 1e9:.3f} GB a checkpoint",
        f"{2 * frozen / 1e9:.3f} GB once for what is frozen",
    )
    assert said == f"on disk:    {each}, and {once}"


@pytest.mark.parametrize(
    "gigabytes, said",
    [
        (3.0, "fits: 2.60 of the 3.00 GB of a device (made up)"),
        (2.5, "does not fit: 2.60 of the 2.50 GB of a device (made up); raise MICROBATCHES"),
    ],
)
def test_whether_it_fits(gigabytes, said):
    hardware = HardwareConfig(name="made up", memory_gb=gigabytes, teraflops=None)
    memory = StepMemory(arguments=10**9, outputs=10**8, temporary=15 * 10**8, program=0)
    empty = {"frozen": {}, "trainable": {}, "optimizer": {}}
    text = "\n".join(format_memory(memory, empty, SHAPE, MESH, hardware))
    assert said in text
    unknown = "\n".join(
        format_memory(memory, empty, SHAPE, MESH, dataclasses.replace(hardware, memory_gb=None))
    )
    assert (
        find_memory(dataclasses.replace(hardware, memory_gb=None)) is not None
        or "fits: unknown; bind" in unknown
    )


def test_virtual_devices_come_first():
    with pytest.raises(ValueError, match="--virtual_devices=0; give 1 or more"):
        use_virtual_devices(0)
    with pytest.raises(ValueError, match="--virtual_devices=64 comes too late"):
        use_virtual_devices(64)


def test_a_pod_is_compiled_for_on_a_laptop(corpus, tmp_path):
    """Sixteen devices in a process of its own. Rows are spread over them: no device works on
    all."""
    arguments = make_run(corpus, tmp_path / "run", data={"rows": 16}, frozen_dtype="float32")
    arguments["mesh"] = MeshConfig(data=1, fsdp=8, tensor=2)
    gin_file = write_gin(tmp_path / "run.gin", arguments)
    environment = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    command = [
        sys.executable,
        "-m",
        "sift_jax.train",
        f"--gin_file={gin_file}",
        "--dry_run",
        "--virtual_devices=16",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "mesh: {'data': 1, 'fsdp': 8, 'tensor': 2} over 16 cpu devices" in done.stdout
    assert "fits: 0." in done.stdout and "of the 1.00 GB of a device (test)" in done.stdout
    temporary = float(re.search(r"temporary +([\d.]+) GB", done.stdout).group(1))
    assert 0 < temporary < measure_alone(arguments) / 1e9 / 4


def measure_alone(arguments):
    """Temporary bytes of the same step where one device does it all."""
    data, optimizer = arguments["data"], make_optimizer(arguments["optimizer"], 100)
    abstract = jax.eval_shape(lambda: init_state(CONFIG, (".*",), optimizer, 0))
    step = make_train_step(CONFIG, optimizer, abstract, MESH, microbatches=1)
    shape = make_shapes(data, make_geometry(CONFIG))[-1]
    return measure_memory(step, abstract, shape, MESH).temporary
