"""Our own kernel for packed rows: three integers a position say what the mask says, and what it
computes from them, interpreted, is plain attention."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.compiled.hlo_text import parse_program
from sift_jax.compiled.step_time import list_kernels
from sift_jax.compiled.topologies import open_topology, prepare_to_compile
from sift_jax.extras import is_installed
from sift_jax.models.attention import choose_packed_block, make_mask, make_row_mask
from sift_jax.models.layers import attend
from sift_jax.models.packed_attention import attend_packed
from sift_jax.models.packed_sight import (
    ALL,
    FIRST,
    LAST,
    SOME,
    find_sight,
    lengthen_sight,
    list_visits,
    narrow_sight,
)
from sift_jax.parallel.mesh import AXES

# two blocks and a part of one; key heads that three query heads share
ROWS, TOKENS, BLOCK, HEADS, KV_HEADS, SIZE = 2, 300, 128, 4, 2, 16


def draw_ids(rng, rows=ROWS, tokens=TOKENS):
    """Rows of groups of a prefix and up to four questions, of any lengths, and filling behind."""
    group, segment = np.zeros((rows, tokens), np.int32), np.zeros((rows, tokens), np.int32)
    for b in range(rows):
        t, number, end_of_row = 0, 0, int(rng.integers(tokens // 3, tokens + 1))
        while t < end_of_row:
            number += 1
            for part in range(int(rng.integers(1, 6))):
                end = min(t + int(rng.integers(1, tokens // 4)), end_of_row)
                group[b, t:end], segment[b, t:end] = number, part
                t = end
    return jnp.asarray(group), jnp.asarray(segment)


def draw_heads(rng, dtype=jnp.float32):
    shapes = [(ROWS, TOKENS, n, SIZE) for n in (HEADS, KV_HEADS, KV_HEADS)]
    return tuple(jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)


def read_sight(sight):
    """The matrix that the integers stand for."""
    start, stop, own = (np.asarray(sight)[:, i, :, None] for i in range(3))
    s = np.arange(sight.shape[2])
    return ((s >= start) & (s < stop)) | ((s >= own) & (s <= s[:, None]))


def differentiate(function):
    """(gradients, values) of a random sum of what real positions get, of (q, k, v, group, …)."""

    def total(q, k, v, group, *others):
        out = function(q, k, v, group, *others)
        weights = np.random.default_rng(9).normal(size=out.shape).astype(np.float32)
        real = jnp.where(group[:, :, None] > 0, out, 0).astype(jnp.float32)
        return jnp.sum(real * weights), out

    return jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))


def run_packed(q, k, v, group, segment):
    sight = find_sight(group, segment)
    return attend_packed(q, k, v, sight, block=BLOCK, is_interpreted=True)


def run_plain(q, k, v, group, segment):
    return attend(q, k, v, make_mask(group, segment))


# compiled once for all tests that have these shapes
packed, plain = differentiate(run_packed), differentiate(run_plain)


def assert_close(found, expected, group, tolerance):
    (gradients, out), (wanted, wanted_out) = found, expected
    real = np.asarray(group)[:, :, None] > 0
    pairs = [(out * real, wanted_out * real), *zip(gradients, wanted, strict=True)]
    for x, y in pairs:
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * np.abs(y).max())


def test_three_integers_say_what_the_mask_says():
    group, segment = draw_ids(np.random.default_rng(0), rows=200, tokens=60)
    mask = np.asarray(make_mask(group, segment))
    real = np.asarray(group)[:, :, None] > 0
    np.testing.assert_array_equal(read_sight(find_sight(group, segment)), mask & real)
    assert (~real).any() and mask.sum() > real.sum()


def test_a_window_narrows_both_intervals():
    group, segment = draw_ids(np.random.default_rng(1), rows=50, tokens=60)
    sight = find_sight(group, segment)
    start, stop, own = (np.asarray(sight)[:, i] for i in range(3))
    # as rows are laid out: a question's positions go on behind the prefix
    place = np.arange(60)[None]
    position = jnp.asarray(np.where(stop > start, stop - start + place - own, place - own))
    near = np.asarray(position)[:, :, None] - np.asarray(position)[:, None] < 7
    mask = np.asarray(make_mask(group, segment)) & (np.asarray(group)[:, :, None] > 0)
    found = read_sight(narrow_sight(sight, position, jnp.asarray(7)))
    np.testing.assert_array_equal(found, mask & near)
    assert (mask & near).sum() < mask.sum()


def test_the_example_of_the_docstring():
    group = jnp.asarray([[1, 1, 1, 1, 1, 1, 2, 0]])
    segment = jnp.asarray([[0, 0, 1, 1, 2, 2, 0, 0]])
    sight = find_sight(group, segment)
    assert sight[0].tolist() == [
        [0, 0, 0, 0, 0, 0, 6, 0],
        [0, 0, 2, 2, 2, 2, 6, 0],
        [0, 0, 2, 2, 4, 4, 6, 8],
    ]
    by_query, by_key = list_visits(sight, 2)
    n = int(by_query.made)
    assert n == int(by_key.made) == 6
    pairs = list(zip(by_query.query[:n].tolist(), by_query.key[:n].tolist(), strict=True))
    assert pairs == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 2), (3, 3)]
    flags = by_query.flags[:n]
    assert [bool(x & FIRST) for x in flags] == [True, True, False, True, False, True]
    assert [bool(x & LAST) for x in flags] == [True, False, True, False, True, True]
    assert [bool(x & ALL) for x in flags] == [False, True, False, True, False, False]
    pairs = list(zip(by_key.key[:n].tolist(), by_key.query[:n].tolist(), strict=True))
    assert pairs == [(0, 0), (0, 1), (0, 2), (1, 1), (2, 2), (3, 3)]
    flags = by_key.flags[:n]
    assert [bool(x & FIRST) for x in flags] == [True, False, False, True, True, True]
    assert [bool(x & LAST) for x in flags] == [False, False, True, True, True, True]


@pytest.mark.parametrize("seed", range(5))
def test_blocks_that_nobody_sees_are_not_visited(seed):
    block = 8
    sight = find_sight(*draw_ids(np.random.default_rng(seed), rows=3, tokens=60))
    sight = lengthen_sight(sight, 4)
    matrix = read_sight(sight).reshape(3, 8, block, 8, block)
    seen = {tuple(x) for x in np.argwhere(matrix.any((2, 4))).tolist()}
    by_query, by_key = list_visits(sight, block)
    for visits in (by_query, by_key):
        n = int(visits.made)
        row, query, key, flags = (np.asarray(x)[:n] for x in visits[1:])
        made = list(zip(row.tolist(), query.tolist(), key.tolist(), strict=True))
        # each once, and beside them blocks of filling, whose zeros have to be written
        assert len(made) == len(set(made)) and seen <= set(made)
        assert all(i == j for _, i, j in set(made) - seen)
        assert {x for x, flag in zip(made, flags, strict=True) if flag & SOME} == seen
        whole = {x for x, flag in zip(made, flags, strict=True) if flag & ALL}
        assert whole <= {tuple(x) for x in np.argwhere(matrix.all((2, 4))).tolist()}
        # what a visit adds to is opened and closed once for each block of each row
        owned = row * 8 + (query if visits is by_query else key)
        assert sorted(owned[flags & FIRST > 0]) == sorted(owned[flags & LAST > 0]) == [*range(24)]
        assert (np.diff(owned) >= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_values_and_gradients_are_those_of_plain_attention(seed):
    rng = np.random.default_rng(seed)
    ids, heads = draw_ids(rng), draw_heads(rng)
    assert_close(packed(*heads, *ids), plain(*heads, *ids), ids[0], 1e-5)


def test_in_bfloat16_within_its_rounding():
    rng = np.random.default_rng(10)
    ids, heads = draw_ids(rng), draw_heads(rng, jnp.bfloat16)
    exact = plain(*(x.astype(jnp.float32) for x in heads), *ids)
    assert_close(packed(*heads, *ids), exact, ids[0], 2e-2)


def test_filling_is_zero_and_has_no_gradient():
    rng = np.random.default_rng(11)
    group = jnp.where(jnp.arange(TOKENS)[None] < jnp.asarray([[100], [0]]), 1, 0)
    heads = draw_heads(rng)
    gradients, out = packed(*heads, group, jnp.zeros_like(group))
    assert np.abs(out[0, :100]).min() > 0
    for x in (out, *gradients):
        assert not np.asarray(x[0, 100:]).any() and not np.asarray(x[1]).any()


def test_what_is_not_visited_is_not_read():
    """Two groups of a block each: what is no number in one never meets the other."""
    rng = np.random.default_rng(12)
    group = jnp.broadcast_to(1 + jnp.arange(TOKENS) // BLOCK, (ROWS, TOKENS))
    ids = group, jnp.zeros_like(group)
    q, k, v = draw_heads(rng)
    gradients, out = packed(q, k.at[:, :BLOCK].set(np.nan), v.at[:, :BLOCK].set(np.nan), *ids)
    wanted, wanted_out = packed(q, k, v, *ids)
    for x, y in ((out, wanted_out), *zip(gradients, wanted, strict=True)):
        assert np.isnan(x[:, :BLOCK]).any()
        np.testing.assert_array_equal(x[:, BLOCK:], y[:, BLOCK:])


PROGRAM = """
import jax, numpy as np
import test_packed_attention as here
from sift_jax.parallel.mesh import MeshConfig, make_mesh

rng = np.random.default_rng(13)
ids, heads = here.draw_ids(rng), here.draw_heads(rng)
mesh = make_mesh(MeshConfig(data=2, fsdp=1, tensor=2), jax.devices())
with jax.set_mesh(mesh):
    found = here.differentiate(here.run_packed)(*heads, *ids)
here.assert_close(found, here.plain(*heads, *ids), ids[0], 1e-5)
print(mesh.size)
"""


def test_on_a_mesh_each_device_has_its_own_rows_and_heads():
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])]),
    }
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4"]


def test_a_model_s_mask_has_integers_and_no_matrix():
    chip = jax.sharding.AbstractDevice(device_kind="TPU v5 lite", num_cores=1, platform="tpu")
    pod = jax.sharding.AbstractMesh((1, 4, 2), AXES, abstract_device=chip)
    ids = jnp.zeros((4, 1000), jnp.int32), jnp.zeros((4, 1000), jnp.int32)
    make = partial(make_row_mask, "packed", head_size=128, dtype="bfloat16")
    with jax.sharding.use_abstract_mesh(pod):
        mask = jax.eval_shape(make, *ids)
        narrowed = jax.eval_shape(lambda m, *x: m.narrow(x[0], jnp.asarray(8)), mask, *ids)
    assert mask.kind == "packed" and mask.mask_bts is None
    assert mask.sight.shape == (4, 3, 1000) and mask.visits[0].made.shape == (4,)
    assert narrowed.visits is None
    # where there is no TPU, by this name as by auto
    assert make(*ids).kind == "blockwise"


@pytest.mark.parametrize("tokens, block", [(3328, 256), (3584, 256), (1000, 256), (100, 128)])
def test_rows_of_any_length_are_made_whole(tokens, block):
    assert choose_packed_block(tokens, 512) == block


def describe_step(sharding=None, *, tokens, block):
    """A differentiated call as a model of 7B makes it, with two key heads, and its arguments."""

    def total(q, k, v, group, segment):
        out = attend_packed(q, k, v, find_sight(group, segment), block=block)
        return jnp.sum(out.astype(jnp.float32))

    def describe(*shape, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    heads = [describe(2, tokens, n, 128) for n in (8, 2, 2)]
    ids = [describe(2, tokens, dtype=jnp.int32)] * 2
    return jax.jit(jax.value_and_grad(total, (0, 1, 2))), (*heads, *ids)


def test_it_lowers_for_a_tpu():
    """As far as one gets without its compiler."""
    step, arguments = describe_step(tokens=300, block=128)
    text = step.trace(*arguments).lower(lowering_platforms=("tpu",)).as_text()
    assert text.count("tpu_custom_call") == 3


@pytest.mark.tpu
@pytest.mark.skipif(
    not is_installed("libtpu"), reason="libtpu is not installed: pip install 'libtpu==0.0.42.*'"
)
def test_it_compiles_for_a_tpu():
    """All the way, by the TPU's own compiler, forward and backward."""
    prepare_to_compile("v5e:2x2")
    sharding = jax.sharding.SingleDeviceSharding(open_topology("v5e:2x2")[0])
    step, arguments = describe_step(sharding, tokens=600, block=256)
    text = step.lower(*arguments).compile().as_text()
    names = {kernel.name for kernel in list_kernels(parse_program(text))}
    assert len(names) == 3 and all("packed_attention" in name for name in names)
