"""What Praat measures of a wave, by algorithms that are not ours; `pip install praat-parselmouth`.

F0 is of two passes, after De Looze and Hirst: the quartiles of the first set floor and ceiling of the second.
"""

import importlib.util

import numpy as np

from data_prep.metadata.pitch import STEP_SECONDS, pitch_variation

RATE = 16_000
_FEWEST_FRAMES = 10
# Praat's level is in dB over 2e-5, that of full scale is 1.
_FULL_SCALE_DB = -20 * np.log10(2e-5)


def is_installed() -> bool:
    return importlib.util.find_spec("parselmouth") is not None


def track_pitch(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and F0 of the second pass; 0 where unvoiced."""
    import parselmouth

    sound = parselmouth.Sound(wave.astype(np.float64), RATE)
    first = sound.to_pitch_ac(time_step=STEP_SECONDS, pitch_floor=60, pitch_ceiling=700)
    hz = first.selected_array["frequency"]
    if np.count_nonzero(hz) < _FEWEST_FRAMES:
        return first.xs(), hz
    low, high = np.quantile(hz[hz > 0], [0.25, 0.75])
    second = sound.to_pitch_ac(time_step=STEP_SECONDS, pitch_floor=max(0.75 * low, 50),
                               pitch_ceiling=min(2.5 * high, 700))
    return second.xs(), second.selected_array["frequency"]


def measure_level(wave: np.ndarray) -> float:
    """dBFS of the frames within 25 dB of the loud ones."""
    import parselmouth

    found = parselmouth.Sound(wave.astype(np.float64), RATE).to_intensity(minimum_pitch=60, time_step=0.01)
    level = found.values[0]
    loud = level[level >= np.quantile(level, 0.95) - 25]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))) - _FULL_SCALE_DB)


def measure_voice(wave: np.ndarray, first: float, last: float) -> dict[str, float]:
    """Median F0 in Hz and its deviation in semitones between two times, and the level; no F0 of what is unvoiced."""
    found = {"average_intensity": measure_level(wave)}
    times, hz = track_pitch(wave)
    voiced = hz[(hz > 0) & (times >= first) & (times <= last)]
    if len(voiced) >= _FEWEST_FRAMES:
        found |= {"average_pitch": float(np.median(voiced)), "pitch_variation": pitch_variation(voiced)}
    return found
