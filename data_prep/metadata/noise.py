"""Signal-to-noise ratio from the waveform alone.

    frame power [t] ─► floor: the quietest frames, averaged        speech + noise: the active frames, averaged
                                   SNR = 10 log10((active − floor) / floor)

Speech has gaps, also within a word; what is left in the quietest of them is noise. A margin of the recording before the
first word counts as a gap when the aligner says that nobody speaks there.
"""

import numpy as np

from data_prep.metadata.intensity import find_active

_LOWEST_DB, _HIGHEST_DB = -5.0, 80.0


def estimate_floor(power: np.ndarray, first_word: float | None = None) -> float:
    """Noise power: the lower of the quiet tenth's mean and the mean ahead of the first word."""
    count = max(len(power) // 10, 3)
    quiet = float(np.sort(power)[:count].mean())
    if first_word is not None and first_word > 0.06:
        lead = float(power[: int((first_word - 0.03) / 0.01)].mean())
        return min(lead, 2.0 * quiet)
    return quiet


def noise_level(power: np.ndarray, first_word: float | None = None) -> float:
    """SNR in dB."""
    floor = estimate_floor(power, first_word)
    active = float(power[find_active(power)].mean())
    ratio = max(active - floor, 1e-3 * floor) / floor
    return float(np.clip(10 * np.log10(ratio), _LOWEST_DB, _HIGHEST_DB))
