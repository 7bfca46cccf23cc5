"""Distortion as a blind estimate of SI-SDR, by energies of the whole recording.

    frame power [t] ─► floor: what is left in the gaps      SI-SDR ≈ 10 log10((mean power − floor) / floor)

SI-SDR proper compares with the clean speech, which a corpus of recordings has not. Against noise
that has nothing to do with the speech, it is the ratio of their energies over all of the recording,
pauses too, and that can be had from the recording. So this stands in for it as far as the
distortion is lasting noise: an echo, clipping or a codec's artefacts pass for speech. A network
trained for it (squim, which data-speech used) hears those; see experts.py.
"""

import numpy as np

from data_prep.metadata.intensity import find_background
from data_prep.metadata.noise import estimate_floor

_LOWEST_DB, _HIGHEST_DB = -30.0, 60.0


def distortion_level(power: np.ndarray, first_word: float | None = None) -> float:
    """SI-SDR in dB, estimated."""
    floor = estimate_floor(power, first_word)
    ratio = max(float(power[find_background(power)].mean()) / floor - 1.0, 1e-3)
    return float(np.clip(10 * np.log10(ratio), _LOWEST_DB, _HIGHEST_DB))
