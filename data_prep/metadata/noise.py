"""Signal-to-noise ratio from the waveform alone.

    frame power [t] ─► floor: the quietest frames, averaged        speech + noise: the frames clearly above, averaged
                                   SNR = 10 log10((active − floor) / floor)

Speech has gaps, also within a word; what is left in the quietest of them is noise. A margin of the recording before the
first word counts as a gap when the aligner says that nobody speaks there.
"""

import numpy as np

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
    excess = power - floor
    # What the noise alone would reach now and then is not speech.
    is_active = (excess >= 0.01 * np.quantile(excess, 0.95)) & (excess > 0.5 * floor)
    ratio = float(excess[is_active].mean()) / floor if is_active.any() else 1e-3
    return float(np.clip(10 * np.log10(ratio), _LOWEST_DB, _HIGHEST_DB))
