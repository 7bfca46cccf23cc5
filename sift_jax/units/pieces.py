"""Waves of any length in batches of few static shapes, spread over all devices.

    hour.wav ─► pieces of 24 s, 3 s of what is around them at either side ─┐
    2 s, 5 s, … ─► a piece each ───────────────────────────────────────────┴─► buckets of 2, 4, … 30 s
                                             ─► batch [b, n] on all devices ─► run ─► each piece's own part ─► joined

The last pieces of a bucket wait for no others: rows that are missing are silence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from sift_jax.units.code_book import make_mesh
from sift_jax.units.features import RATE

BUCKET_SECONDS = (2, 4, 8, 16, 30)
# for networks whose time in silence costs more than some more compilations
FINE_BUCKET_SECONDS = (2, 3, 4, 6, 8, 12, 16, 22, 30)
# of audio that a device works on at once
_SECONDS = 64
_PIECE_SECONDS, _MARGIN_SECONDS = 24, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Samples of one wave from `start`, of which the units in `kept` (slice counted from `start`) are its own."""

    wave: int
    samples: np.ndarray
    kept: slice


def cut_pieces(waves: Sequence[np.ndarray], unit: int) -> Iterator[Piece]:
    """Pieces in the order of the waves; each begins at a multiple of `unit` samples, in which `kept` counts."""
    margin = -(-_MARGIN_SECONDS * RATE // unit)
    net = _PIECE_SECONDS * RATE // unit
    for i, wave in enumerate(waves):
        total = -(-len(wave) // unit)
        if len(wave) <= BUCKET_SECONDS[-1] * RATE:
            yield Piece(wave=i, samples=wave, kept=slice(0, total))
            continue
        for first in range(0, total, net):
            start, stop = max(first - margin, 0), min(first + net + margin, total)
            kept = slice(first - start, min(first + net, total) - start)
            yield Piece(wave=i, samples=wave[start * unit : stop * unit], kept=kept)


def make_batches(
    pieces: Sequence[Piece], *, is_heavy: bool = False
) -> Iterator[tuple[list[int], jax.Array, jax.Array]]:
    """(places of the pieces, waves [b, n], their lengths [b]); every batch of a bucket has the same shape.

    With `is_heavy` buckets are finer, and a bucket's last batch has no more than twice the rows that it needs.
    """
    buckets = FINE_BUCKET_SECONDS if is_heavy else BUCKET_SECONDS
    mesh = make_mesh()
    rows_of = NamedSharding(mesh, PartitionSpec("p"))
    bucket_of = np.searchsorted(np.array(buckets) * RATE, [len(piece.samples) for piece in pieces])
    for bucket, seconds in enumerate(buckets):
        places = np.flatnonzero(bucket_of == bucket).tolist()
        most = max(_SECONDS // seconds, 1) * mesh.size
        for first in range(0, len(places), most):
            chosen, rows = places[first : first + most], most
            if is_heavy:
                rows = min(rows, mesh.size << (-(-len(chosen) // mesh.size) - 1).bit_length())
            waves, lengths = np.zeros((rows, seconds * RATE), np.float32), np.ones(rows, np.int32)
            for row, place in enumerate(chosen):
                samples = pieces[place].samples
                waves[row, : len(samples)], lengths[row] = samples, len(samples)
            yield chosen, *jax.device_put((waves, lengths), rows_of)


def run_over(
    waves: Sequence[np.ndarray],
    unit: int,
    run: Callable[[jax.Array, jax.Array], Sequence[jax.Array]],
    *,
    is_heavy: bool = False,
) -> list[list[np.ndarray]]:
    """For each wave what `run` gives of it: arrays whose second axis counts units of so many samples."""
    pieces = list(cut_pieces(waves, unit))
    found: list[list[np.ndarray]] = [[] for _ in pieces]
    for places, wave_bn, sample_b in make_batches(pieces, is_heavy=is_heavy):
        results = [np.asarray(result) for result in run(wave_bn, sample_b)]
        for row, place in enumerate(places):
            found[place] = [result[row, pieces[place].kept] for result in results]
    joined: list[list[list[np.ndarray]]] = [[] for _ in waves]
    for piece, results in zip(pieces, found, strict=True):
        joined[piece.wave].append(results)
    return [[np.concatenate(parts) for parts in zip(*results, strict=True)] for results in joined]
