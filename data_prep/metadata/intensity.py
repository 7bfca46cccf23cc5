"""Loudness: dB relative to full scale.

    wave [n] ─► power of 20 ms frames every 10 ms [t] ─► frames within 25 dB of the loud ones ─► 10 log10 of their mean

Frames of digital silence have no say in what is loud, nor in what is background.
"""

import numpy as np

from data_prep.metadata.silence import SMALLEST, find_heard

STEP_SECONDS = 0.010
_STEP = 160
_SILENCE = 1e-10
_SHORTEST_SOUND = 5
# A frame of less holds hardly a sample that is not zero: five 16-bit steps in it make more.
_BLANK_POWER = _SILENCE + SMALLEST**2
# A frame of 20 ms every 10 ms shares samples with one on either side; the second may begin within a
# sample of it.
_OVERLAP = 2


def frame_power(wave: np.ndarray) -> np.ndarray:
    """Mean power of 20 ms frames at 16 kHz, every 10 ms."""
    count = max(len(wave) // _STEP, 2)
    padded = np.zeros(count * _STEP, np.float64)
    padded[: min(len(wave), count * _STEP)] = wave[: count * _STEP]
    halves = (padded.reshape(count, _STEP) ** 2).mean(axis=1)
    return (halves[1:] + halves[:-1]) / 2 + _SILENCE


def find_blank(power: np.ndarray) -> np.ndarray:
    """Which frames hold nothing but digital silence."""
    return power < _BLANK_POWER


def find_background(power: np.ndarray) -> np.ndarray:
    """Which frames were recorded: those that hold no digital silence, or all where there is no
    other."""
    return find_heard(power, _BLANK_POWER, _OVERLAP)


def find_active(power: np.ndarray, range_db: float = 25.0) -> np.ndarray:
    """Which frames are within `range_db` of the loud ones."""
    return power >= np.quantile(power[find_background(power)], 0.95) * 10 ** (-range_db / 10)


def average_intensity(power: np.ndarray) -> float:
    """dBFS over the active frames."""
    return float(10 * np.log10(power[find_active(power)].mean()))


def find_speech(power: np.ndarray, range_db: float = 25.0) -> tuple[float, float]:
    """Seconds between which somebody speaks: from the first to the last 50 ms that stand out of the
    background."""
    heard = np.sort(power[find_background(power)])
    floor = heard[: max(len(heard) // 10, 3)].mean()
    threshold = max(np.quantile(heard, 0.95) * 10 ** (-range_db / 10), 3.0 * floor)
    # A click is shorter than a sound of speech.
    run = np.convolve(power >= threshold, np.ones(_SHORTEST_SOUND), mode="valid") == _SHORTEST_SOUND
    places = np.flatnonzero(run)
    if not len(places):
        return 0.0, len(power) * STEP_SECONDS
    return float(places[0]) * STEP_SECONDS, float(places[-1] + _SHORTEST_SOUND) * STEP_SECONDS
