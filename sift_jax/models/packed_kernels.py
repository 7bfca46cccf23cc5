"""What the kernels of packed_attention.py do at a visit: a block of queries, of all heads that share a
key head, and a block of keys.

    first visit     what is added up begins at nothing
    some is seen    who sees whom is worked out once, as what is added to a score: 0 or UNSEEN;
                    then, head after head, scores, powers, and what they add
    last visit      the sums are written

Sums are float32, in memory that lasts from visit to visit. A number a query stands in all lanes of a
tile, or in one row of it, as the sums beside it lie.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from sift_jax.models.layers import LANES, Array
from sift_jax.models.packed_sight import FIRST, LAST, SOME

# the score of what is not seen; adding a score to it changes nothing
UNSEEN = -(2.0**100)
_NT = (((1,), (1,)), ((), ()))
_NN = (((1,), (0,)), ((), ()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of what the kernels work on: a block of positions, heads, the query heads of one key head."""

    block: int
    kv_heads: int
    group: int
    head_size: int
    is_interpreted: bool

    def take(self, x_ref: Any, head: int) -> Array:
        """A head's part of a block of queries."""
        return x_ref[0, :, head * self.head_size : (head + 1) * self.head_size]


def attend_block(
    sizes: Sizes,
    row_ref: Any,
    query_ref: Any,
    key_ref: Any,
    flags_ref: Any,
    sight_ref: Any,
    q_ref: Any,
    k_ref: Any,
    v_ref: Any,
    out_ref: Any,
    lse_ref: Any,
    bias_ref: Any,
    most_ref: Any,
    sum_ref: Any,
    values_ref: Any,
) -> None:
    """The values of a block of queries: what was added up is scaled down where a greater score
    comes."""
    flags = flags_ref[pl.program_id(1)]
    place = query_ref[pl.program_id(1)], key_ref[pl.program_id(1)]

    @pl.when(flags & FIRST != 0)
    def begin() -> None:
        most_ref[...] = jnp.full_like(most_ref, UNSEEN)
        sum_ref[...] = jnp.zeros_like(sum_ref)
        values_ref[...] = jnp.zeros_like(values_ref)

    @pl.when(flags & SOME != 0)
    def add() -> None:
        bias_ref[...] = _compare_by_query(sizes, sight_ref, *place)
        for head in range(sizes.group):
            scores = _multiply(sizes.take(q_ref, head), k_ref[0], _NT) + bias_ref[...]
            before = most_ref[head]
            most = jnp.maximum(before, jnp.max(scores, axis=1, keepdims=True))
            powers = jnp.exp2(scores - _widen(most, sizes.block))
            shrunk = jnp.exp2(before - most)
            most_ref[head] = most
            sum_ref[head] = shrunk * sum_ref[head] + _fold(powers)
            values = _multiply(powers.astype(v_ref.dtype), v_ref[0], _NN)
            values_ref[head] = _widen(shrunk, sizes.head_size) * values_ref[head] + values

    @pl.when(flags & LAST != 0)
    def end() -> None:
        lane = jax.lax.broadcasted_iota(jnp.int32, (sizes.block, LANES), 1)
        columns = jnp.zeros((sizes.block, LANES), jnp.float32)
        for head in range(sizes.group):
            # of what sees nothing the powers are of no meaning; 2^(s − lse) is 0 backwards
            is_seeing = most_ref[head] > UNSEEN / 2
            total = jnp.sum(sum_ref[head], axis=1, keepdims=True)
            total = jnp.where(is_seeing, total, 1.0)
            lse = jnp.where(is_seeing, most_ref[head] + jnp.log2(total), -UNSEEN)
            share = _widen(jnp.where(is_seeing, 1.0 / total, 0.0), sizes.head_size)
            span = slice(head * sizes.head_size, (head + 1) * sizes.head_size)
            out_ref[0, :, span] = (values_ref[head] * share).astype(out_ref.dtype)
            columns = jnp.where(lane == head, lse, columns)
        lse_ref[0, 0] = columns.T[: sizes.group]


def add_query_gradient(
    sizes: Sizes,
    row_ref: Any,
    query_ref: Any,
    key_ref: Any,
    flags_ref: Any,
    sight_ref: Any,
    q_ref: Any,
    k_ref: Any,
    v_ref: Any,
    d_out_ref: Any,
    lse_ref: Any,
    delta_ref: Any,
    dq_ref: Any,
    bias_ref: Any,
    wide_lse_ref: Any,
    wide_delta_ref: Any,
    sum_ref: Any,
) -> None:
    flags = flags_ref[pl.program_id(1)]
    place = query_ref[pl.program_id(1)], key_ref[pl.program_id(1)]

    @pl.when(flags & FIRST != 0)
    def begin() -> None:
        sum_ref[...] = jnp.zeros_like(sum_ref)
        for wide_ref, lanes_ref in ((wide_lse_ref, lse_ref), (wide_delta_ref, delta_ref)):
            columns = _stand(lanes_ref[0, 0])
            for head in range(sizes.group):
                column = columns[:, head : head + 1]
                wide_ref[head] = jnp.broadcast_to(column, wide_ref.shape[1:])

    @pl.when(flags & SOME != 0)
    def add() -> None:
        bias_ref[...] = _compare_by_query(sizes, sight_ref, *place)
        for head in range(sizes.group):
            scores = _multiply(sizes.take(q_ref, head), k_ref[0], _NT) + bias_ref[...]
            powers = jnp.exp2(scores - _widen(wide_lse_ref[head], sizes.block))
            d_powers = _multiply(sizes.take(d_out_ref, head), v_ref[0], _NT)
            d_scores = powers * (d_powers - _widen(wide_delta_ref[head], sizes.block))
            sum_ref[head] += _multiply(d_scores.astype(k_ref.dtype), k_ref[0], _NN)

    @pl.when(flags & LAST != 0)
    def end() -> None:
        for head in range(sizes.group):
            span = slice(head * sizes.head_size, (head + 1) * sizes.head_size)
            # of a power of two
            dq_ref[0, :, span] = (sum_ref[head] * math.log(2)).astype(dq_ref.dtype)


def add_key_gradients(
    sizes: Sizes,
    row_ref: Any,
    query_ref: Any,
    key_ref: Any,
    flags_ref: Any,
    sight_ref: Any,
    q_ref: Any,
    k_ref: Any,
    v_ref: Any,
    d_out_ref: Any,
    lse_ref: Any,
    delta_ref: Any,
    dk_ref: Any,
    dv_ref: Any,
    bias_ref: Any,
    k_sum_ref: Any,
    v_sum_ref: Any,
) -> None:
    """With keys down and queries across, so that what is added up needs no turning."""
    flags = flags_ref[pl.program_id(1)]
    place = query_ref[pl.program_id(1)], key_ref[pl.program_id(1)]

    @pl.when(flags & FIRST != 0)
    def begin() -> None:
        k_sum_ref[...] = jnp.zeros_like(k_sum_ref)
        v_sum_ref[...] = jnp.zeros_like(v_sum_ref)

    @pl.when(flags & SOME != 0)
    def add() -> None:
        bias_ref[...] = _compare_by_key(sizes, sight_ref, *place)
        for head in range(sizes.group):
            q, d_out = sizes.take(q_ref, head), sizes.take(d_out_ref, head)
            scores = _multiply(k_ref[0], q, _NT) + bias_ref[...]
            powers = jnp.exp2(scores - lse_ref[0, 0, head : head + 1])
            v_sum_ref[...] += _multiply(powers.astype(d_out.dtype), d_out, _NN)
            d_powers = _multiply(v_ref[0], d_out, _NT)
            d_scores = powers * (d_powers - delta_ref[0, 0, head : head + 1])
            k_sum_ref[...] += _multiply(d_scores.astype(q.dtype), q, _NN)

    @pl.when(flags & LAST != 0)
    def end() -> None:
        dk_ref[0] = (k_sum_ref[...] * math.log(2)).astype(dk_ref.dtype)
        dv_ref[0] = v_sum_ref[...].astype(dv_ref.dtype)


def _multiply(x: Array, y: Array, dims: Any) -> Array:
    return jax.lax.dot_general(x, y, dims, preferred_element_type=jnp.float32)


def _widen(x: Array, width: int) -> Array:
    """A number a row, which stands in all lanes, in as many as are wanted."""
    if width < LANES:
        return x[:, :width]
    return x if width == LANES else jnp.tile(x, (1, width // LANES))


def _fold(x: Array) -> Array:
    """Sums over whole tiles of lanes; over a tile's own lanes is summed once, at the end."""
    return sum(x[:, i : i + LANES] for i in range(LANES, x.shape[1], LANES)) + x[:, :LANES]


def _stand(x: Array) -> Array:
    """(few, block) as (block, LANES): what lies across, down."""
    return jnp.pad(x, ((0, LANES - x.shape[0]), (0, 0))).T


def _compare_by_query(sizes: Sizes, sight_ref: Any, query: Array, key: Array) -> Array:
    """(queries, keys): 0 where a pair is seen, else UNSEEN."""
    columns = _stand(sight_ref[0])
    start, stop, own = (columns[:, i : i + 1] for i in range(3))
    return _compare(sizes, start, stop, own, query, key, keys_axis=1)


def _compare_by_key(sizes: Sizes, sight_ref: Any, query: Array, key: Array) -> Array:
    """The same, (keys, queries)."""
    start, stop, own = (sight_ref[0, i : i + 1] for i in range(3))
    return _compare(sizes, start, stop, own, query, key, keys_axis=0)


def _compare(
    sizes: Sizes,
    start: Array,
    stop: Array,
    own: Array,
    query: Array,
    key: Array,
    *,
    keys_axis: int,
) -> Array:
    shape = (sizes.block, sizes.block)
    s = jax.lax.broadcasted_iota(jnp.int32, shape, keys_axis) + key * sizes.block
    t = jax.lax.broadcasted_iota(jnp.int32, shape, 1 - keys_axis) + query * sizes.block
    is_seen = ((s >= start) & (s < stop)) | ((s >= own) & (s <= t))
    return jnp.where(is_seen, 0.0, UNSEEN)
