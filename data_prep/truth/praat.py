"""What Praat measures of a wave, by algorithms that are not ours; `pip install praat-parselmouth`.

F0 is followed in four ways: in a wide range; in the range of this voice, after De Looze and Hirst,
of which the quartiles of the first are floor and ceiling, by autocorrelation and by
cross-correlation; and as Praat has it by default. How lively a voice is depends on the way, so that
is a range; where it is wide, or the median is not the same, Praat does not know.

    variation in semitones    2.9  3.1  3.0  3.4   ─►  2.9 … 3.4
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from data_prep.metadata.pitch import STEP_SECONDS, pitch_variation

RATE = 16_000
_FEWEST_FRAMES = 10
_WIDE_HZ = (60.0, 500.0)
# The range of a voice by the quartiles of its F0, which is not to leave these bounds.
_BELOW, _ABOVE, _BOUNDS_HZ = 0.75, 2.5, (50.0, 700.0)
# Medians that differ by less agree; of variations that differ by more none is known.
_SURE_OCTAVES, _SURE_SEMITONES = 1 / 24, 1.5
# Praat's level is in dB over 2e-5, that of full scale is 1.
_FULL_SCALE_DB = -20 * np.log10(2e-5)


def is_installed() -> bool:
    return importlib.util.find_spec("parselmouth") is not None


def track_pitch(wave: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times and F0, 0 where unvoiced, in each of the four ways; one alone where hardly anything is
    voiced."""
    import parselmouth

    sound = parselmouth.Sound(wave.astype(np.float64), RATE)

    def track(follow: Callable[..., Any], **limits: float) -> tuple[np.ndarray, np.ndarray]:
        found = follow(time_step=STEP_SECONDS, **limits)
        return found.xs(), found.selected_array["frequency"]

    wide = track(sound.to_pitch_ac, pitch_floor=_WIDE_HZ[0], pitch_ceiling=_WIDE_HZ[1])
    voiced = wide[1][wide[1] > 0]
    if len(voiced) < _FEWEST_FRAMES:
        return [wide]
    low, high = np.quantile(voiced, [0.25, 0.75])
    own = {
        "pitch_floor": max(_BELOW * low, _BOUNDS_HZ[0]),
        "pitch_ceiling": min(_ABOVE * high, _BOUNDS_HZ[1]),
    }
    return [
        track(sound.to_pitch_ac, **own),
        track(sound.to_pitch_cc, **own),
        wide,
        track(sound.to_pitch_ac),
    ]


def measure_level(wave: np.ndarray) -> float:
    """dBFS of the frames within 25 dB of the loud ones."""
    import parselmouth

    found = parselmouth.Sound(wave.astype(np.float64), RATE).to_intensity(
        minimum_pitch=60, time_step=0.01
    )
    level = found.values[0]
    loud = level[level >= np.quantile(level, 0.95) - 25]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))) - _FULL_SCALE_DB)


def measure_voice(wave: np.ndarray, first: float, last: float) -> dict[str, tuple[float, float]]:
    """From where to where the level is, the median F0 in Hz and its deviation in semitones between
    two times, as far as they are sure."""
    level = measure_level(wave)
    found = {"average_intensity": (level, level)}
    tracks = [hz[(hz > 0) & (times >= first) & (times <= last)] for times, hz in track_pitch(wave)]
    if len(tracks) < 2 or min(map(len, tracks)) < _FEWEST_FRAMES:
        return found
    medians = [float(np.median(hz)) for hz in tracks[:2]]
    if abs(np.log2(medians[0] / medians[1])) < _SURE_OCTAVES:
        found["average_pitch"] = (medians[0], medians[0])
        variations = [value for hz in tracks if (value := pitch_variation(hz)) is not None]
        if max(variations) - min(variations) < _SURE_SEMITONES:
            found["pitch_variation"] = (min(variations), max(variations))
    return found
