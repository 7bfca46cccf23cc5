"""Waves of any length in batches of few static shapes, spread over all devices.

    hour.wav ─► pieces of 24 s, 3 s of what is around them at either side ─┐
    2 s, 5 s, … ─► a piece each ───────────────────────────────────────────┴─► buckets of 2, 4, … 30 s
                                             ─► batch [b, n] on all devices ─► run ─► each piece's own part ─► joined

The last pieces of a bucket wait for no others: rows that are missing are silence. For heavy
networks, whose time in silence costs more than some more compilations, buckets are fine, pieces go
from the longest on, those of the next bucket fill up a batch, and the last ones are batches of
fewer rows: almost no silence is computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from sift_jax.codecs.code_book import make_mesh
from sift_jax.codecs.codec import INPUT_RATE

BUCKET_SECONDS = (2, 4, 8, 16, 30)
# each of whole fiftieths of a second
FINE_BUCKET_SECONDS = (
    1,
    1.2,
    1.5,
    1.8,
    2,
    2.5,
    3,
    3.5,
    4,
    4.5,
    5,
    5.5,
    6,
    7,
    8,
    9,
    10,
    12,
    14,
    16,
    18,
    20,
    22,
    24,
    27,
    30,
)
# of audio that a device works on at once; a CPU is as quick with less, and has less silence
_SECONDS, _CPU_SECONDS = 64, 16
_PIECE_SECONDS, _MARGIN_SECONDS = 24, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Samples of one wave from `start`, of which the units in `kept` (slice counted from `start`)
    are its own."""

    wave: int
    samples: np.ndarray
    kept: slice


def cut_pieces(waves: Sequence[np.ndarray], unit: int) -> Iterator[Piece]:
    """Pieces in the order of the waves; each begins at a multiple of `unit` samples, in which
    `kept` counts."""
    # An hour in units of 320 samples: pieces of 1,200 units with 150 more at either side, as context
    # that is thrown away. The first has none before it, so its own units begin at 0, not at 150.
    margin = -(-_MARGIN_SECONDS * INPUT_RATE // unit)
    net = _PIECE_SECONDS * INPUT_RATE // unit
    for i, wave in enumerate(waves):
        total = -(-len(wave) // unit)
        if len(wave) <= BUCKET_SECONDS[-1] * INPUT_RATE:
            yield Piece(wave=i, samples=wave, kept=slice(0, total))
            continue
        for first in range(0, total, net):
            start, stop = max(first - margin, 0), min(first + net + margin, total)
            kept = slice(first - start, min(first + net, total) - start)
            yield Piece(wave=i, samples=wave[start * unit : stop * unit], kept=kept)


def make_batches(
    pieces: Sequence[Piece], *, is_heavy: bool = False
) -> Iterator[tuple[list[int], jax.Array, jax.Array]]:
    """(places of the pieces, waves [b, n], their lengths [b]); every batch of a bucket has the same
    shape.

    With `is_heavy` a batch has a power of two of rows on each device, all of them pieces if there
    are enough.
    """
    mesh = make_mesh()
    rows_of = NamedSharding(mesh, PartitionSpec("p"))
    lengths = np.array([len(piece.samples) for piece in pieces])
    plan = _plan_heavy(lengths, mesh.size) if is_heavy else _plan_light(lengths, mesh.size)
    for chosen, rows, samples in plan:
        waves, counts = np.zeros((rows, samples), np.float32), np.ones(rows, np.int32)
        for row, place in enumerate(chosen):
            piece = pieces[place].samples
            waves[row, : len(piece)], counts[row] = piece, len(piece)
        yield chosen, *jax.device_put((waves, counts), rows_of)


def _plan_light(lengths: np.ndarray, devices: int) -> Iterator[tuple[list[int], int, int]]:
    """(places, rows, samples) of each batch, bucket by bucket."""
    bucket_of = np.searchsorted(np.array(BUCKET_SECONDS) * INPUT_RATE, lengths)
    for bucket, seconds in enumerate(BUCKET_SECONDS):
        places = np.flatnonzero(bucket_of == bucket).tolist()
        rows = max(_SECONDS // seconds, 1) * devices
        for first in range(0, len(places), rows):
            yield places[first : first + rows], rows, seconds * INPUT_RATE


def _plan_heavy(lengths: np.ndarray, devices: int) -> Iterator[tuple[list[int], int, int]]:
    """(places, rows, samples) of each batch, from the longest on."""
    sizes = np.round(np.array(FINE_BUCKET_SECONDS) * INPUT_RATE).astype(int)
    order, first = np.argsort(-lengths, kind="stable").tolist(), 0
    most = (_CPU_SECONDS if jax.default_backend() == "cpu" else _SECONDS) * INPUT_RATE
    while first < len(order):
        samples = int(sizes[np.searchsorted(sizes, lengths[order[first]])])
        # as many as there are, or as a device takes at once
        each = min(max(most // samples, 1), max((len(order) - first) // devices, 1))
        # the power of two below: 5 has three bits, and 1 << 2 is 4; so few shapes are compiled
        rows = devices << (each.bit_length() - 1)
        yield order[first : first + rows], rows, samples
        first += rows


def run_over(
    waves: Sequence[np.ndarray],
    unit: int,
    run: Callable[[jax.Array, jax.Array], Sequence[jax.Array]],
    *,
    is_heavy: bool = False,
) -> list[list[np.ndarray]]:
    """For each wave what `run` gives of it: arrays whose second axis counts units of so many
    samples."""
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
