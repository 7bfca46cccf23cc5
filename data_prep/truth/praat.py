"""What Praat measures of a wave, by algorithms that are not ours; `pip install praat-parselmouth`.

F0 is of two passes, after De Looze and Hirst: the quartiles of the first set floor and ceiling of
the second. That is made by autocorrelation and by cross-correlation: where the two do not agree,
Praat does not know.
"""

import importlib.util

import numpy as np

from data_prep.metadata.pitch import STEP_SECONDS, pitch_variation

RATE = 16_000
_FEWEST_FRAMES = 10
# Two tracks of a clip that differ by less agree.
_SURE_OCTAVES, _SURE_SEMITONES = 1 / 24, 0.25
# Praat's level is in dB over 2e-5, that of full scale is 1.
_FULL_SCALE_DB = -20 * np.log10(2e-5)


def is_installed() -> bool:
    return importlib.util.find_spec("parselmouth") is not None


def track_pitch(wave: np.ndarray, *, is_crossed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Times and F0 of the second pass; 0 where unvoiced."""
    import parselmouth

    sound = parselmouth.Sound(wave.astype(np.float64), RATE)
    first = sound.to_pitch_ac(time_step=STEP_SECONDS, pitch_floor=60, pitch_ceiling=700)
    hz = first.selected_array["frequency"]
    if np.count_nonzero(hz) < _FEWEST_FRAMES:
        return first.xs(), hz
    low, high = np.quantile(hz[hz > 0], [0.25, 0.75])
    track = sound.to_pitch_cc if is_crossed else sound.to_pitch_ac
    second = track(
        time_step=STEP_SECONDS, pitch_floor=max(0.75 * low, 50), pitch_ceiling=min(2.5 * high, 700)
    )
    return second.xs(), second.selected_array["frequency"]


def measure_level(wave: np.ndarray) -> float:
    """dBFS of the frames within 25 dB of the loud ones."""
    import parselmouth

    found = parselmouth.Sound(wave.astype(np.float64), RATE).to_intensity(
        minimum_pitch=60, time_step=0.01
    )
    level = found.values[0]
    loud = level[level >= np.quantile(level, 0.95) - 25]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))) - _FULL_SCALE_DB)


def measure_voice(wave: np.ndarray, first: float, last: float) -> dict[str, float]:
    """The level; median F0 in Hz and its deviation in semitones between two times, as far as they
    are sure."""
    found = {"average_intensity": measure_level(wave)}
    voiced = []
    for is_crossed in (False, True):
        times, hz = track_pitch(wave, is_crossed=is_crossed)
        voiced.append(hz[(hz > 0) & (times >= first) & (times <= last)])
    if min(map(len, voiced)) < _FEWEST_FRAMES:
        return found
    medians, variations = (
        [float(np.median(hz)) for hz in voiced],
        [pitch_variation(hz) for hz in voiced],
    )
    if abs(np.log2(medians[0] / medians[1])) < _SURE_OCTAVES:
        found["average_pitch"] = medians[0]
        if abs(variations[0] - variations[1]) < _SURE_SEMITONES:
            found["pitch_variation"] = variations[0]
    return found
