"""What a position of a packed row sees, as three integers; and from them, which blocks of keys a block
of queries has to visit.

Position t sees [start, stop), its group's shared prefix, and [own, t], its own segment up to itself.
Within the prefix the first interval is empty. What fills the row up sees nothing: both are.

                 prefix  question 1  question 2  next utterance  filling
                  a  b     c  d        e  f          g              -
    place         0  1     2  3        4  5          6              7
    group         1  1     1  1        1  1          2              0
    segment       0  0     1  1        2  2          0              0
    start         0  0     0  0        0  0          6              0
    stop          0  0     2  2        2  2          6              0
    own           0  0     2  2        4  4          6              8

In blocks of two, the queries that see a key of a block, and all of it (■), a part (□), or nothing:

    queries   keys  a b   c d   e f   g -
    a b              □
    c d              ■     □
    e f              ■           □                 c d is never visited for e f
    g -                                □

A kernel makes one visit for each of these, in an order in which what it adds up stays where it is. By
query, for the values and the gradient of queries; by key, for that of keys and values:

    by query   query  0   1   1   2   2   3        by key   key    0   0   0   1   2   3
               key    0   0   1   0   2   3                 query  0   1   2   1   2   3
               first  x   x       x       x                 first  x           x   x   x
               last   x       x       x   x                 last           x   x   x   x

A block that sees nothing, or that nobody sees, has one visit, of the block by itself: its zeros are
written there.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from sift_jax.models.layers import Array
from sift_jax.parallel.mesh import BATCH_AXES

# Positions of a block: 128 leave a TPU's matrix units waiting, and of 512 half as much again is computed
# that nobody sees.
PACKED_BLOCK = 256
# what is known of a visit, as bits: the first or last of what it adds to; some pair is seen; all are
FIRST, LAST, SOME, ALL = 1, 2, 4, 8


class Visits(NamedTuple):
    """Pairs of blocks, `made` of them, in lists as long as they can get."""

    made: Array
    row: Array
    query: Array
    key: Array
    flags: Array


def find_sight(group_bt: Array, segment_bt: Array) -> Array:
    """(b, 3, t): start, stop and own of each position. A group stands in one piece, its prefix
    (segment 0) first, and so does each segment; row_layout.py lays rows out like this."""
    place = jnp.arange(group_bt.shape[1], dtype=jnp.int32)[None]
    is_new_group = group_bt != _shift(group_bt)
    is_new_segment = is_new_group | (segment_bt != _shift(segment_bt))
    ends_prefix = is_new_group | (is_new_segment & (_shift(segment_bt) == 0))

    def find_last(is_here: Array) -> Array:
        return jax.lax.cummax(jnp.where(is_here, place, 0), axis=1)

    start, own = find_last(is_new_group), find_last(is_new_segment)
    stop = jnp.where(segment_bt == 0, start, find_last(ends_prefix))
    is_real = group_bt > 0
    return jnp.stack(
        [
            jnp.where(is_real, start, 0),
            jnp.where(is_real, stop, 0),
            jnp.where(is_real, own, place + 1),
        ],
        axis=1,
    )


def _shift(x_bt: Array) -> Array:
    """What stands before each position; before the first, nothing that there is."""
    return jnp.pad(x_bt[:, :-1], ((0, 0), (1, 0)), constant_values=-1)


def narrow_sight(sight: Array, position_bt: Array, window: Array) -> Array:
    """The same without what is `window` positions back, or farther. Positions of a prefix count up by
    one, and so do those of a segment."""
    start, stop, own = sight[:, 0], sight[:, 1], sight[:, 2]
    place = jnp.arange(sight.shape[2])[None]
    first = jnp.take_along_axis(position_bt, start, axis=1)
    near = jnp.maximum(start, start + position_bt - first - window + 1)
    return jnp.stack([near, stop, jnp.maximum(own, place - window + 1)], axis=1)


def lengthen_sight(sight: Array, longer: int) -> Array:
    """With so many places of filling behind."""
    b, _, t = sight.shape
    own = jnp.broadcast_to(jnp.arange(t, t + longer) + 1, (b, 1, longer))
    filling = jnp.concatenate([jnp.zeros((b, 2, longer), own.dtype), own], axis=1)
    return jnp.concatenate([sight, filling.astype(sight.dtype)], axis=2)


def lay_out_visits(sight: Array, block: int = PACKED_BLOCK) -> tuple[Visits, Visits]:
    """Which blocks are visited, of each device's rows: lists with an axis of devices before them."""

    def lay_out(rows: Array) -> tuple[Visits, Visits]:
        found = list_visits(lengthen_sight(rows, -rows.shape[2] % block), block)
        return jax.tree.map(lambda x: x[None], found)

    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return lay_out(sight)
    rows = PartitionSpec(BATCH_AXES)
    return jax.shard_map(lay_out, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False)(sight)


def list_visits(sight: Array, block: int) -> tuple[Visits, Visits]:
    """(by query, by key) of rows of whole blocks."""
    b, _, t = sight.shape
    n = t // block
    some, whole = _compare_blocks(sight, block)
    one, other = np.tril_indices(n)
    # the upper triangle, read as (key, query), is the lower one by key
    key, query = np.triu_indices(n)
    return (
        _list(some, whole, one, other, owner=np.arange(b)[:, None] * n + one),
        _list(some, whole, query, key, owner=np.arange(b)[:, None] * n + key),
    )


def _compare_blocks(sight: Array, block: int) -> tuple[Array, Array]:
    """(b, n, n) twice: whether a block of queries sees some of a block of keys, and all of it."""
    b, _, t = sight.shape
    n = t // block
    start, stop, own = (sight[:, i, :, None] for i in range(3))
    end = jnp.arange(1, t + 1)[None, :, None]
    first = jnp.arange(n) * block
    last = first + block
    some = jnp.maximum(start, first) < jnp.minimum(stop, last)
    some |= jnp.maximum(own, first) < jnp.minimum(end, last)
    whole = (start <= first) & (stop >= last) | (own <= first) & (end >= last)
    return some.reshape(b, n, block, n).any(2), whole.reshape(b, n, block, n).all(2)


def _list(
    some: Array, whole: Array, query: np.ndarray, key: np.ndarray, owner: np.ndarray
) -> Visits:
    """Of these pairs those that are seen, or of one block; `owner` tells what a visit adds to."""
    rows = len(owner)
    row = np.repeat(np.arange(rows), len(query))
    query, key, owner = np.tile(query, rows), np.tile(key, rows), owner.ravel()
    is_some = some[row, query, key]
    is_kept = is_some | (query == key)
    made, most = jnp.sum(is_kept), len(row)
    # the kept ones move to the front, in their order
    target = jnp.where(is_kept, jnp.cumsum(is_kept) - 1, most)
    chosen = jnp.zeros(most, jnp.int32).at[target].set(jnp.arange(most), mode="drop")
    owned = jnp.asarray(owner)[chosen]
    is_first = (owned != jnp.roll(owned, 1)).at[0].set(True)
    is_last = (owned != jnp.roll(owned, -1)) | (jnp.arange(most) == made - 1)
    flags = FIRST * is_first + LAST * is_last
    flags += SOME * is_some[chosen] + ALL * whole[row, query, key][chosen]
    parts = (jnp.asarray(x)[chosen] for x in (row, query, key))
    row_list, query_list, key_list = (x.astype(jnp.int32) for x in parts)
    return Visits(
        made=made.astype(jnp.int32),
        row=row_list,
        query=query_list,
        key=key_list,
        flags=flags.astype(jnp.int32),
    )
