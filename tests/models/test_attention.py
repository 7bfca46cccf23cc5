"""All kinds of attention are one function: the same values and gradients as the plain reference."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_examples import make_mixed_batch
from tiny_model import make_config, make_gradient, make_params

from sift_jax.compiled.hlo_text import parse_program
from sift_jax.compiled.step_time import list_kernels
from sift_jax.compiled.topologies import open_topology, prepare_to_compile
from sift_jax.extras import is_installed
from sift_jax.models.attention import (
    BLOCK,
    attend_by,
    attend_clips_by_splash,
    attend_splash,
    choose_block,
    choose_kind,
    make_clip_mask,
    make_mask,
    make_row_mask,
)
from sift_jax.models.fused_attention import attend_fused
from sift_jax.models.layers import attend
from sift_jax.parallel.mesh import AXES, MeshConfig, find_platform, make_mesh


def make_ids(rng, rows, tokens):
    """Groups of a prefix and three questions in rows of random lengths, padding behind."""
    group, segment = np.zeros((rows, tokens), np.int32), np.zeros((rows, tokens), np.int32)
    for b in range(rows):
        t = number = 0
        while t < tokens * 0.9:
            number += 1
            for part in range(4):
                end = min(t + int(rng.integers(3, tokens // 8)), tokens)
                group[b, t:end], segment[b, t:end] = number, part
                t = end
    return jnp.asarray(group), jnp.asarray(segment)


def make_heads(rng, rows, tokens, heads=4, kv_heads=2, size=8):
    shapes = [(rows, tokens, n, size) for n in (heads, kv_heads, kv_heads)]
    return tuple(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)


def weigh(function, mask=None):
    """(values, gradients) of a random sum of what real positions get."""

    def total(q, k, v):
        out = function(q, k, v)
        weights = np.random.default_rng(9).normal(size=out.shape).astype(np.float32)
        return jnp.sum(out * weights), out

    return jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))


def assert_same(found, expected, tolerance=1e-5):
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1.0, float(jnp.abs(y).max())))


@pytest.mark.parametrize("tokens", [60, BLOCK, 2 * BLOCK + 37])
def test_blocks_of_queries_are_the_whole(tokens):
    rng = np.random.default_rng(tokens)
    ids, heads = make_ids(rng, 2, tokens), make_heads(rng, 2, tokens)
    mask = make_mask(*ids)
    by_ids = make_row_mask("blockwise", *ids, head_size=8, dtype="float32")
    assert by_ids.mask_bts is None
    found = weigh(lambda q, k, v: attend_by(q, k, v, by_ids))(*heads)
    assert_same(found, weigh(lambda q, k, v: attend(q, k, v, mask))(*heads))
    # the check can fail: without the mask it does
    assert not np.allclose(found[1], attend(*heads, None), atol=1e-2)


@pytest.mark.parametrize("kind", ["blockwise", "plain"])
def test_a_window_is_of_positions(kind):
    rng = np.random.default_rng(2)
    tokens, window = BLOCK + 37, 11
    ids, heads = make_ids(rng, 2, tokens), make_heads(rng, 2, tokens)
    # they start over somewhere, so that they are not places
    position = jnp.arange(tokens)[None] % jnp.array([[40], [70]])
    near = position[:, :, None] - position[:, None, :] < window
    mask = make_row_mask(kind, *ids, head_size=8, dtype="float32").narrow(position, window)
    found = weigh(lambda q, k, v: attend_by(q, k, v, mask))(*heads)
    wanted = weigh(lambda q, k, v: attend(q, k, v, make_mask(*ids) & near))(*heads)
    assert_same(found, wanted)


@pytest.mark.parametrize("kind", ["blockwise", "plain"])
@pytest.mark.parametrize("is_masked", [True, False])
def test_clips_attend_to_what_is_heard(kind, is_masked):
    rng = np.random.default_rng(3)
    heads = make_heads(rng, 2, 300, heads=2)
    heard = jnp.arange(300)[None] < jnp.array([[120], [300]]) if is_masked else None
    mask = None if heard is None else jnp.broadcast_to(heard[:, None], (2, 300, 300))
    by_ids = make_clip_mask(kind, heard, frames=300, head_size=8, dtype="float32")
    found = weigh(lambda q, k, v: attend_by(q, k, v, by_ids))(*heads)
    assert_same(found, weigh(lambda q, k, v: attend(q, k, v, mask))(*heads))


def test_the_function_that_cudnn_implements_is_the_same():
    """By XLA here: the arguments, the grouping and the mask are what cuDNN gets on a GPU."""
    rng = np.random.default_rng(4)
    ids, heads = make_ids(rng, 2, 96), make_heads(rng, 2, 96)
    mask = make_mask(*ids)
    found = weigh(lambda q, k, v: attend_fused(q, k, v, mask, implementation="xla"))(*heads)
    assert_same(found, weigh(lambda q, k, v: attend(q, k, v, mask))(*heads))


@pytest.mark.parametrize("tokens, block", [(256, 128), (256, 512), (1408, 512)])
def test_the_tpu_kernel_interpreted_is_the_same(tokens, block):
    """In whole blocks, in one, and in three of 512 that a row of 1,408 is lengthened for."""
    rng = np.random.default_rng(5)
    ids, heads = make_ids(rng, 1, tokens), make_heads(rng, 1, tokens, heads=2, kv_heads=1, size=128)
    mask = make_mask(*ids)
    found = weigh(lambda q, k, v: attend_splash(q, k, v, mask, block=block, is_interpreted=True))(
        *heads
    )
    assert_same(found, weigh(lambda q, k, v: attend(q, k, v, mask))(*heads))


@pytest.mark.parametrize("is_masked", [True, False])
def test_the_tpu_kernel_of_clips_interpreted_is_the_same(is_masked):
    """A length and a head that are no whole lanes; what is padded is heard by nobody."""
    rng = np.random.default_rng(7)
    heads = make_heads(rng, 2, 150, heads=2, kv_heads=2, size=64)
    heard = jnp.arange(150)[None] < jnp.array([[60], [150]]) if is_masked else None
    mask = None if heard is None else jnp.broadcast_to(heard[:, None], (2, 150, 150))
    found = weigh(lambda q, k, v: attend_clips_by_splash(q, k, v, heard, is_interpreted=True))(
        *heads
    )
    assert_same(found, weigh(lambda q, k, v: attend(q, k, v, mask))(*heads))


@pytest.mark.tpu
@pytest.mark.skipif(
    not is_installed("libtpu"), reason="libtpu is not installed: pip install 'libtpu==0.0.42.*'"
)
def test_both_kernels_compile_for_a_tpu():
    """All the way: by the TPU's own compiler, forward and backward."""
    prepare_to_compile("v5e:2x2")
    sharding = jax.sharding.SingleDeviceSharding(open_topology("v5e:2x2")[0])

    def describe(*shape, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    rows = jax.grad(
        lambda q, k, v, *ids: jnp.sum(
            attend_splash(q, k, v, make_mask(*ids), block=256).astype(jnp.float32)
        ),
        (0, 1, 2),
    )
    heads = [describe(1, 512, n, 128) for n in (4, 2, 2)]
    ids = [describe(1, 512, dtype=jnp.int32)] * 2
    clips = jax.grad(
        lambda q, k, v: jnp.sum(attend_clips_by_splash(q, k, v, None).astype(jnp.float32)),
        (0, 1, 2),
    )
    for function, arguments in ((rows, (*heads, *ids)), (clips, [describe(2, 1500, 2, 64)] * 3)):
        text = jax.jit(function).lower(*arguments).compile().as_text()
        names = {kernel.name for kernel in list_kernels(parse_program(text))}
        assert {name.split("_")[2] for name in names} == {"fwd", "dq", "dkv"}


def test_the_tpu_kernel_lowers_for_a_tpu():
    """As far as one gets without a TPU: forward and backward become Mosaic programs."""
    rng = np.random.default_rng(6)
    ids, heads = make_ids(rng, 2, 256), make_heads(rng, 2, 256, heads=4, kv_heads=2, size=128)
    step = weigh(lambda q, k, v: attend_splash(q, k, v, make_mask(*ids)))
    text = step.trace(*heads).lower(lowering_platforms=("tpu",)).as_text()
    assert text.count("tpu_custom_call") >= 3


@pytest.mark.parametrize(
    "tokens, most, block",
    [(3584, 512, 512), (3328, 512, 512), (1408, 512, 512), (640, 512, 128), (128, 512, 128)],
)
def test_a_block_lengthens_a_row_by_little(tokens, most, block):
    assert choose_block(tokens, most) == block


def test_what_fills_a_row_up_sees_itself_alone():
    group = jnp.asarray([[1, 1, 2, 0, 0, 0]])
    mask = np.asarray(make_mask(group, jnp.zeros_like(group)))[0]
    np.testing.assert_array_equal(mask[3:], np.eye(6, dtype=bool)[3:])
    assert mask[:3].sum() == 4 and not mask[:3, 3:].any()


def test_a_model_by_blocks_is_the_model():
    batch, params = make_mixed_batch(make_config()), make_params(make_config())
    expected = make_gradient(make_config())(params, batch)
    found = make_gradient(make_config(attention="blockwise"))(params, batch)
    assert float(found[0]) == pytest.approx(float(expected[0]), rel=1e-6)
    assert_same(found[1], expected[1])


@pytest.mark.parametrize(
    "sizes, kind",
    [
        ({"tokens": 3584, "head_size": 128, "dtype": "bfloat16", "platform": "tpu"}, "splash"),
        ({"tokens": 3600, "head_size": 128, "dtype": "bfloat16", "platform": "tpu"}, "blockwise"),
        ({"tokens": 3584, "head_size": 128, "dtype": "bfloat16", "platform": "gpu"}, "cudnn"),
        ({"tokens": 3584, "head_size": 128, "dtype": "float32", "platform": "gpu"}, "blockwise"),
        ({"tokens": 3584, "head_size": 128, "dtype": "bfloat16", "platform": "cpu"}, "blockwise"),
        ({"tokens": 3584, "head_size": 256, "dtype": "bfloat16", "platform": "gpu"}, "blockwise"),
        ({"tokens": 320, "head_size": 32, "dtype": "float32", "platform": "cpu"}, "plain"),
    ],
)
def test_auto_takes_what_the_hardware_has(sizes, kind):
    assert choose_kind("auto", **sizes) == kind
    # our own kernel is for TPUs, and elsewhere the name means the same
    packed = "packed" if sizes["platform"] == "tpu" else kind
    assert choose_kind("packed", **sizes) == packed


def test_the_devices_of_the_mesh_are_asked_and_not_the_process():
    """A CPU that compiles for a pod compiles what the pod runs."""
    chip = jax.sharding.AbstractDevice(device_kind="TPU v5 lite", num_cores=1, platform="tpu")
    pod = jax.sharding.AbstractMesh((1, 4, 2), AXES, abstract_device=chip)
    ids = jnp.zeros((4, 1024), jnp.int32), jnp.zeros((4, 1024), jnp.int32)
    sizes = {"head_size": 128, "dtype": "bfloat16"}
    assert make_row_mask("auto", *ids, **sizes).kind == "blockwise"
    with jax.sharding.use_abstract_mesh(pod):
        assert find_platform() == "tpu"
        mask = jax.eval_shape(partial(make_row_mask, "auto", **sizes), *ids)
        assert mask.kind == "splash" and mask.blocks is not None
        assert make_clip_mask("auto", None, frames=1500, **sizes).kind == "splash"
        assert make_clip_mask("auto", None, frames=100, **sizes).kind == "plain"
    assert find_platform() == find_platform(make_one_device_mesh()) == "cpu"


def make_one_device_mesh():
    return make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])


@pytest.mark.parametrize(
    "kind, message",
    [
        (
            "flash",
            (
                "attention 'flash' is unknown; choose one of auto, plain, blockwise, cudnn, splash, "
                "packed"
            ),
        ),
        (
            "splash",
            (
                "takes rows and heads of whole 128s, not 100 positions and heads of 8; set "
                "DataConfig.tokens"
            ),
        ),
        ("cudnn", "cuDNN's attention takes bfloat16, not float32; set ModelConfig.dtype"),
        ("packed", "packed attention takes heads of whole 128s, not of 8; set ATTENTION = 'auto'"),
    ],
)
def test_a_kernel_that_cannot_says_so(kind, message):
    with pytest.raises(ValueError, match=message):
        choose_kind(kind, tokens=100, head_size=8, dtype="float32", platform="tpu")
