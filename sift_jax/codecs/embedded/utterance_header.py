"""The head of a recording's units: what holds for the whole of it, so that no later unit has to say
it again.

    log power [s, f], semitones, voicing [s] ─► Head: pace, height, spread, length ─► four units that open the row

    pace     how fast the speech changes, against PHONES_A_SECOND; a sound lasts the shorter
    height   the semitone in whose middle the voice lies; spread how many it strays from there: tones count in spreads
    length   how many sounds there will be, 8 … 800: who writes a row knows its end from the beginning

Pace is heard without a transcript, by how often loudness crosses its mean of half a second around,
and by how fast the spectrum's shape moves against how far it strays. Over the embedded corpus its
logarithm follows the phones a second with a correlation of .87 (benchmarks.pace); it is stretched
so that in the mean fast speech has as many sounds for its phones as slow. Dims: s steps, f bands.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from sift_jax.codecs.embedded.embedded_features import make_lifter

# the pace of 1
PHONES_A_SECOND = 15.0
PACES, HEIGHTS, SPREADS = np.geomspace(0.4, 2.0, 18), np.arange(36.0), np.geomspace(0.25, 4.0, 13)
LENGTHS = np.geomspace(8.0, 800.0, 34)
TABLES = {"pace": PACES, "height": HEIGHTS, "spread": SPREADS, "length": LENGTHS}
HEAD_CODES = sum(map(len, TABLES.values()))
# what the ids mean; a codec's folder holds them too, and so do fingerprints
HEAD_VALUES = np.concatenate(list(TABLES.values())).astype(np.float32)
# log of a mean power less the level: what is below is a pause, and the floor under what is compared
_PAUSE, _FLOOR = -4.5, -5.0
# steps over which loudness and shape are smoothed, those of the mean that is crossed, and between
# shapes
_SMOOTH, _AROUND, _APART = 7, 41, 3
_ROUNDING = 1e-4
_SHAPE = slice(1, 10)
# log phones a second from what describe_pace gives, fitted once as benchmarks.pace does it
_SLOPES, _OFFSET, _FEW = (1.118, 0.718, -1.248), 5.058, 0.01
# a contour without a tracker's leaps
_CONTOUR, _LEAP = 7, 7.0
_LEAST_VOICED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """The values that the units of a head stand for."""

    pace: float
    height: float
    spread: float
    length: float

    def to_ids(self) -> np.ndarray:
        """The nearest of each table, as ids 0 … HEAD_CODES − 1."""
        ids, first = [], 0
        for kind, table in TABLES.items():
            ids.append(first + np.abs(table - getattr(self, kind)).argmin())
            first += len(table)
        return np.array(ids, np.int32)


# where nobody speaks, or a row has no head: of the paces the one nearest to 1; 156 Hz lies between
# men and women
MIDDLING = Head(pace=float(PACES[np.abs(PACES - 1).argmin()]), height=16.0, spread=1.6, length=60.0)


def read_head(ids: np.ndarray) -> Head:
    """The head of a row of units, wherever its units stand: the first of a kind holds, one that is
    missing is MIDDLING's."""
    values, first = dataclasses.asdict(MIDDLING), 0
    for kind, table in TABLES.items():
        found = ids[(ids >= first) & (ids < first + len(table))]
        if len(found):
            values[kind] = float(table[found[0] - first])
        first += len(table)
    return Head(**values)


def measure_head(relative_sf: np.ndarray, semitone_s: np.ndarray, voicing_s: np.ndarray) -> Head:
    """All but the length of a recording's steps; `relative` is the logarithm of power less its
    level."""
    head = MIDDLING
    if (voicing_s > 0).sum() > _LEAST_VOICED:
        height, spread = _measure_voice(semitone_s, voicing_s)
        head = dataclasses.replace(head, height=height, spread=spread)
    described = describe_pace(relative_sf)
    if described is None:
        return head
    pace = np.exp(_OFFSET + np.dot(_SLOPES, described)) / PHONES_A_SECOND
    return dataclasses.replace(head, pace=float(np.clip(pace, PACES[0], PACES[-1])))


def describe_pace(relative_sf: np.ndarray) -> np.ndarray | None:
    """The logarithms of crossings a step, of the shape's movement and of its straying; None of too
    little speech, and of what never crosses its mean, which is none."""
    loudness_s = np.log(np.exp(relative_sf).mean(1))
    heard = np.flatnonzero(loudness_s > _PAUSE)
    if not len(heard) or heard[-1] - heard[0] < _AROUND:
        return None
    speech = slice(heard[0], heard[-1] + 1)
    floored = np.maximum(loudness_s, _FLOOR)
    # a loudness that stays crosses by no rounding
    is_above = (_smooth(floored, _SMOOTH) - _smooth(floored, _AROUND) > _ROUNDING)[speech]
    crossings = (np.diff(is_above) != 0).sum() / len(is_above)
    if not crossings:
        return None
    cepstra_sc = relative_sf @ make_lifter()
    shape = np.stack([_smooth(row, _SMOOTH) for row in cepstra_sc.T[_SHAPE]], axis=1)[speech]
    movement = np.linalg.norm(shape[_APART:] - shape[:-_APART], axis=1).mean()
    return np.log(np.array([crossings + _FEW, movement + 1e-3, shape.std(0).mean() + 1e-3]))


def _measure_voice(semitone_s: np.ndarray, voicing_s: np.ndarray) -> tuple[float, float]:
    """Height and spread of the voiced steps."""
    window, is_voiced = np.hanning(_CONTOUR + 2)[1:-1], voicing_s > 0
    # not "same": that is as long as the window where the window is the longer
    share, sums = (
        np.convolve(x, window)[_CONTOUR // 2 :][: len(x)]
        for x in (voicing_s, voicing_s * semitone_s)
    )
    contour = sums[is_voiced] / share[is_voiced]
    height = float(np.median(contour))
    spread = float(np.clip(contour - height, -_LEAP, _LEAP).std())
    return height, max(spread, float(SPREADS[0]))


def _smooth(x_s: np.ndarray, steps: int) -> np.ndarray:
    """Means under a Hann window of an odd number of steps; the ends go on as they are."""
    window = np.hanning(steps + 2)[1:-1]
    return np.convolve(np.pad(x_s, steps // 2, mode="edge"), window / window.sum(), "valid")
