"""Attention over packed rows by a kernel of our own for TPUs, which reads three integers a position
where others read a matrix, and visits no block that nobody sees.

    values          for each visit by query   s = k·q   p = 2^(s − max)   o = Σ p·v       lse = log₂ Σ 2^s
    d query         for each visit by query   p = 2^(s − lse)   ds = p (do·v − δ)         dq = Σ ds·k
    d key, value    for each visit by key     the same                                    dk = Σ ds·q, dv = Σ p·do

What a visit is, and which there are, is said in packed_sight.py. A visit is of a block of queries of all
heads that share a key head: who sees whom is worked out once for them, and keys are read once. Scores
are in base 2, whose power a TPU has; queries are scaled for it outside of the kernel. δ = Σ do·o.

What sees nothing (the filling of a row) becomes zeros and has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import PartitionSpec

from sift_jax.models.layers import ATTENTION_RESULT, LANES, Array
from sift_jax.models.packed_kernels import (
    Sizes,
    add_key_gradients,
    add_query_gradient,
    attend_block,
)
from sift_jax.models.packed_sight import PACKED_BLOCK, Visits, lay_out_visits, lengthen_sight
from sift_jax.parallel.mesh import BATCH_AXES

# what a visit reads or writes of an array, see _make_spec
SIGHT, QUERY, KEY, STATISTIC = "sight", "query", "key", "statistic"


def attend_packed(
    q_btnk: Array,
    k_bsnk: Array,
    v_bsnk: Array,
    sight: Array,
    visits: tuple[Visits, Visits] | None = None,
    *,
    block: int = PACKED_BLOCK,
    is_interpreted: bool = False,
) -> Array:
    """(b, t, n · k), on every device over its own rows and heads; `sight` is find_sight's, `visits`
    lay_out_visits' for the same block."""
    if visits is None:
        visits = lay_out_visits(sight, block)
    run = partial(_attend_rows, block=block, is_interpreted=is_interpreted)
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return run(q_btnk, k_bsnk, v_bsnk, sight, visits)
    # With fewer key heads than devices on the tensor axis each device keeps all heads.
    heads = "tensor" if k_bsnk.shape[2] % mesh.shape["tensor"] == 0 else None
    spread, rows = PartitionSpec(BATCH_AXES, None, heads, None), PartitionSpec(BATCH_AXES)
    run = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(spread, spread, spread, rows, rows),
        out_specs=PartitionSpec(BATCH_AXES, None, heads),
        check_vma=False,
    )
    return run(q_btnk, k_bsnk, v_bsnk, sight, visits)


def _attend_rows(
    q_btnk: Array,
    k_bsnk: Array,
    v_bsnk: Array,
    sight: Array,
    visits: tuple[Visits, Visits],
    *,
    block: int,
    is_interpreted: bool,
) -> Array:
    b, t, n, k = q_btnk.shape
    kv_heads = k_bsnk.shape[2]
    sizes = Sizes(
        block=block,
        kv_heads=kv_heads,
        group=n // kv_heads,
        head_size=k,
        is_interpreted=is_interpreted,
    )
    longer = -t % block
    scaled = q_btnk * (k**-0.5 * math.log2(math.e))
    # heads stand side by side, as the layers around write and read them: nothing is transposed
    flat = (
        jnp.pad(x.reshape(b, t, -1), ((0, 0), (0, longer), (0, 0)))
        for x in (scaled, k_bsnk, v_bsnk)
    )
    own = jax.tree.map(lambda x: x[0], visits)
    return _attend(sizes, *flat, lengthen_sight(sight, longer), own)[:, :t]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(
    sizes: Sizes, q: Array, k: Array, v: Array, sight: Array, visits: tuple[Visits, Visits]
) -> Array:
    return _run_forward(sizes, q, k, v, sight, visits[0])[0]


def _attend_forward(
    sizes: Sizes, q: Array, k: Array, v: Array, sight: Array, visits: tuple[Visits, Visits]
) -> tuple[Array, tuple]:
    out, lse = _run_forward(sizes, q, k, v, sight, visits[0])
    # what the backward pass reads of the forward one; see scanned_stack.py
    out, lse = checkpoint_name(out, ATTENTION_RESULT), checkpoint_name(lse, ATTENTION_RESULT)
    return out, (q, k, v, sight, visits, out, lse)


def _attend_backward(sizes: Sizes, kept: tuple, d_out: Array) -> tuple:
    q, k, v, sight, visits, out, lse = kept
    b, t, _ = out.shape
    products = d_out.astype(jnp.float32) * out.astype(jnp.float32)
    delta = products.reshape(b, t, sizes.kv_heads, sizes.group, sizes.head_size).sum(-1)
    given = (sight, q, k, v, d_out, lse, jnp.transpose(delta, (0, 2, 3, 1)))
    (dq,) = _run_query_gradient(sizes, given, visits[0])
    dk, dv = _run_key_gradients(sizes, given, visits[1])
    return dq, dk, dv, None, None


_attend.defvjp(_attend_forward, _attend_backward)


def _run_forward(
    sizes: Sizes, q: Array, k: Array, v: Array, sight: Array, visits: Visits
) -> tuple[Array, Array]:
    """(values as q lies, log₂ of the sum of powers (b, kv_heads, group, t))."""
    b, t, _ = q.shape
    wide = (sizes.group, sizes.block, LANES)
    lse = jax.ShapeDtypeStruct((b, sizes.kv_heads, sizes.group, t), jnp.float32)
    return _run(
        attend_block,
        "packed_attention_fwd",
        sizes,
        visits,
        (sight, q, k, v),
        specs=[SIGHT, QUERY, KEY, KEY],
        out=[(q, QUERY), (lse, STATISTIC)],
        scratch=[(sizes.block, sizes.block), wide, wide, (*wide[:2], sizes.head_size)],
    )


def _run_query_gradient(sizes: Sizes, given: tuple, visits: Visits) -> tuple[Array]:
    wide = (sizes.group, sizes.block, LANES)
    return _run(
        add_query_gradient,
        "packed_attention_dq",
        sizes,
        visits,
        given,
        specs=[SIGHT, QUERY, KEY, KEY, QUERY, STATISTIC, STATISTIC],
        out=[(given[1], QUERY)],
        scratch=[(sizes.block, sizes.block), wide, wide, (*wide[:2], sizes.head_size)],
    )


def _run_key_gradients(sizes: Sizes, given: tuple, visits: Visits) -> tuple[Array, Array]:
    return _run(
        add_key_gradients,
        "packed_attention_dkv",
        sizes,
        visits,
        given,
        specs=[SIGHT, QUERY, KEY, KEY, QUERY, STATISTIC, STATISTIC],
        out=[(given[2], KEY), (given[3], KEY)],
        scratch=[(sizes.block, sizes.block), *[(sizes.block, sizes.head_size)] * 2],
    )


def _run(
    body: Callable[..., None],
    name: str,
    sizes: Sizes,
    visits: Visits,
    given: tuple[Array, ...],
    *,
    specs: list[str],
    out: list[tuple[Any, str]],
    scratch: list[tuple[int, ...]],
) -> Any:
    """One of the kernels: for each key head, each visit in turn."""
    lists = visits.row, visits.query, visits.key, visits.flags
    return pl.pallas_call(
        partial(body, sizes),
        name=name,
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=len(lists),
            grid=(sizes.kv_heads, visits.made),
            in_specs=[_make_spec(sizes, kind) for kind in specs],
            out_specs=[_make_spec(sizes, kind) for _, kind in out],
            scratch_shapes=[pltpu.VMEM(shape, jnp.float32) for shape in scratch],
        ),
        out_shape=[jax.ShapeDtypeStruct(like.shape, like.dtype) for like, _ in out],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary")),
        interpret=sizes.is_interpreted,
    )(*lists, *given)


def _make_spec(sizes: Sizes, kind: str) -> pl.BlockSpec:
    """Which part of an array a visit reads or writes."""
    block, group, k = sizes.block, sizes.group, sizes.head_size
    if kind == QUERY:
        return pl.BlockSpec(
            (1, block, group * k), lambda h, i, row, query, key, _: (row[i], query[i], h)
        )
    if kind == KEY:
        return pl.BlockSpec((1, block, k), lambda h, i, row, query, key, _: (row[i], key[i], h))
    if kind == STATISTIC:
        return pl.BlockSpec(
            (1, 1, group, block), lambda h, i, row, query, key, _: (row[i], h, 0, query[i])
        )
    return pl.BlockSpec((1, 3, block), lambda h, i, row, query, key, _: (row[i], 0, query[i]))
