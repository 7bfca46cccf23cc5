"""A code book by k-means: points and their weights spread over all devices, the book on each.

    points [p, d], weights [p] ─► assign to the nearest ─► weighted means ─► … ─► book [k, d]
                                                        └ an unused code moves to where the error is largest

Dims: p points, d dimensions, k codes.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

# points whose distances to all codes are held at once on a device
_ROWS = 4_096
# points among which the first codes are drawn
_FIRST = 16_384


@functools.cache
def make_mesh() -> Mesh:
    """All devices of this process, for rows that have nothing to do with each other."""
    devices = jax.local_devices()
    return jax.make_mesh((len(devices),), ("p",), devices=devices, axis_types=(AxisType.Auto,))


def find_nearest(points: jax.Array, book: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each point's code and its squared distance to it; points [..., d]."""
    cross = jnp.einsum("...d,kd->...k", points, book, precision=jax.lax.Precision.HIGHEST)
    score = (book**2).sum(-1) - 2 * cross
    code = score.argmin(-1)
    return code, jnp.maximum(score.min(-1) + (points**2).sum(-1), 0)


def assign(points: np.ndarray, book: np.ndarray) -> np.ndarray:
    """The codes [p] of any number of points, on one device, in blocks of few shapes."""
    codes = []
    for first in range(0, len(points), _ROWS):
        block = np.asarray(points[first : first + _ROWS], np.float32)
        rows = min(1 << max(len(block) - 1, 1).bit_length(), _ROWS)
        codes.append(
            np.asarray(_find_codes(np.pad(block, ((0, rows - len(block)), (0, 0))), book))[
                : len(block)
            ]
        )
    return np.concatenate(codes)


@jax.jit
def _find_codes(points: jax.Array, book: jax.Array) -> jax.Array:
    return find_nearest(points, book)[0]


def fit_book(
    points: np.ndarray, weights: np.ndarray, codes: int, *, seed: int, rounds: int = 30
) -> np.ndarray:
    """The book [k, d]; the same points, weights and seed give the same book on as many devices."""
    distinct = len(np.unique(points, axis=0))
    if distinct < codes:
        raise ValueError(
            f"{distinct} different frames cannot fill a book of {codes} codes; "
            "give more recordings or ask for fewer codes"
        )
    random = np.random.default_rng(seed)
    book = _draw_first(points, weights, codes, random)
    mesh = make_mesh()
    multiple = _ROWS * mesh.size if len(points) > _ROWS * mesh.size else mesh.size
    missing = -len(points) % multiple
    rows = NamedSharding(mesh, PartitionSpec("p"))
    spread = jax.device_put(np.pad(points, ((0, missing), (0, 0))).astype(np.float32), rows)
    weighed = jax.device_put(np.pad(weights, (0, missing)).astype(np.float32), rows)
    for last in range(rounds):
        sums, counts, worst = (
            np.asarray(x) for x in _step(spread, weighed, jnp.asarray(book, jnp.float32))
        )
        is_used = counts > 0
        book = np.where(is_used[:, None], sums / np.maximum(counts, 1e-9)[:, None], book)
        empty = np.flatnonzero(~is_used)
        if len(empty) and last < rounds - 5:
            book[empty] = points[worst[: len(empty)]]
    return book.astype(np.float32)


def _draw_first(
    points: np.ndarray, weights: np.ndarray, codes: int, random: np.random.Generator
) -> np.ndarray:
    """Points far from each other: each is drawn by its squared distance to those before it."""
    if len(points) > _FIRST:
        chosen = np.sort(random.choice(len(points), _FIRST, replace=False))
        points, weights = points[chosen], weights[chosen]
    book = [points[random.choice(len(points), p=weights / weights.sum())]]
    distance = np.full(len(points), np.inf)
    for _ in range(codes - 1):
        distance = np.minimum(distance, ((points - book[-1]) ** 2).sum(1, dtype=np.float64))
        share = distance * weights
        # where fewer points differ than codes were asked for, the rest are moved later
        book.append(
            points[random.choice(len(points), p=share / share.sum() if share.sum() > 0 else None)]
        )
    return np.stack(book)


@jax.jit
def _step(
    points: jax.Array, weights: jax.Array, book: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Weighted sums [k, d] and weights [k] of each code's points, and the points that fit worst."""
    code, distance = jax.lax.map(lambda row: find_nearest(row, book), points, batch_size=_ROWS)
    sums = jax.ops.segment_sum(points * weights[:, None], code, len(book))
    counts = jax.ops.segment_sum(weights, code, len(book))
    return sums, counts, jax.lax.top_k(distance * weights, min(len(book), len(points)))[1]
