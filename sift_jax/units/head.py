"""The head of a recording's units: what holds for the whole of it, so that no later unit has to say it again.

    loudness, semitones, voicing [s] ─► Head: pace, height, spread ─► three units that open the row

    pace     how fast the speech changes, against PHONES_A_SECOND; a sound lasts the shorter
    height   the semitone in whose middle the voice lies; spread how many it strays from there: tones count in spreads

Pace is heard without a transcript: the loudness of speech crosses its mean of half a second around some twice a
syllable. Over the embedded corpus its logarithm follows the phones a second with a correlation of .82.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# the pace of 1
PHONES_A_SECOND = 15.0
PACES, HEIGHTS, SPREADS = (np.geomspace(0.5, 2.0, 16), np.arange(36.0), np.geomspace(0.25, 4.0, 13))
HEAD_CODES = len(PACES) + len(HEIGHTS) + len(SPREADS)
# log of a mean power less the level; what is below is a pause
_PAUSE = -4.5
# steps over which the loudness is smoothed, and those of the means that it crosses
_SMOOTH, _AROUND = 7, (41, 61)
# log phones a second from log crossings a step, fitted to 900 recordings of the embedded corpus
_SLOPES, _OFFSET, _FEW = (0.947, 0.467), 5.725, 0.01
# a contour without a tracker's leaps
_CONTOUR, _LEAP = 7, 7.0
_LEAST_VOICED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """The values that the units of a head stand for."""

    pace: float
    height: float
    spread: float

    def to_ids(self) -> np.ndarray:
        """The nearest of each table, as ids 0 … HEAD_CODES − 1."""
        pace = np.abs(np.log(PACES / self.pace)).argmin()
        height = np.abs(HEIGHTS - self.height).argmin()
        spread = np.abs(np.log(SPREADS / self.spread)).argmin()
        return np.array([pace, len(PACES) + height, len(PACES) + len(HEIGHTS) + spread], np.int32)


# where nobody speaks, or a row has no head; 156 Hz lies between men and women
MIDDLING = Head(pace=1.0, height=16.0, spread=1.6)


def read_head(ids: np.ndarray) -> Head:
    """The head of a row of units, wherever its units stand: the first of a kind holds, one that is missing is
    MIDDLING's."""
    values, first = dataclasses.asdict(MIDDLING), 0
    for kind, table in (("pace", PACES), ("height", HEIGHTS), ("spread", SPREADS)):
        found = ids[(ids >= first) & (ids < first + len(table))]
        if len(found):
            values[kind] = float(table[found[0] - first])
        first += len(table)
    return Head(**values)


def measure_head(loudness_s: np.ndarray, semitone_s: np.ndarray, voicing_s: np.ndarray) -> Head:
    """Of a recording's steps; loudness is the logarithm of its power less its level."""
    if (voicing_s > 0).sum() <= _LEAST_VOICED:
        return MIDDLING
    heard = np.flatnonzero(loudness_s > _PAUSE)
    speech = slice(heard[0], heard[-1] + 1)
    pace = _measure_pace(loudness_s, speech) if speech.stop - speech.start > _AROUND[0] else MIDDLING.pace
    height, spread = _measure_voice(semitone_s, voicing_s)
    return Head(pace=pace, height=height, spread=spread)


def _measure_pace(loudness_s: np.ndarray, speech: slice) -> float:
    smooth, logarithm = _smooth(loudness_s, _SMOOTH), _OFFSET
    for around, slope in zip(_AROUND, _SLOPES, strict=True):
        is_above = (smooth > _smooth(loudness_s, around))[speech]
        logarithm += slope * np.log((np.diff(is_above) != 0).sum() / len(is_above) + _FEW)
    return float(np.clip(np.exp(logarithm) / PHONES_A_SECOND, PACES[0], PACES[-1]))


def _measure_voice(semitone_s: np.ndarray, voicing_s: np.ndarray) -> tuple[float, float]:
    """Height and spread of the voiced steps."""
    window, is_voiced = np.hanning(_CONTOUR + 2)[1:-1], voicing_s > 0
    share = np.convolve(voicing_s, window, "same")[is_voiced]
    contour = np.convolve(voicing_s * semitone_s, window, "same")[is_voiced] / share
    height = float(np.median(contour))
    spread = float(np.clip(contour - height, -_LEAP, _LEAP).std())
    return height, max(spread, float(SPREADS[0]))


def _smooth(x_s: np.ndarray, steps: int) -> np.ndarray:
    """Means under a Hann window of an odd number of steps; the ends go on as they are."""
    window = np.hanning(steps + 2)[1:-1]
    return np.convolve(np.pad(x_s, steps // 2, mode="edge"), window / window.sum(), "valid")
