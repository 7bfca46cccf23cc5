"""Signal-to-noise ratio from the waveform alone.

    frame power [t] ─► floor: the quietest frames, averaged        speech + noise: the frames clearly above, averaged
                                   SNR = 10 log10((active − floor) / floor)

Speech has gaps, also within a word; what is left in the quietest of them is noise. A margin of the
recording before the first word counts as a gap when the aligner says that nobody speaks there.
Digital silence is no gap: nothing of the place was recorded there. Where a gate has taken the noise
out of the pauses, nobody can tell how much there was.

So the value follows the pauses that a recording has: cut close around the words, a clean one reads
as 20 to 30 dB, for what is left in its quietest frames is speech that dies away. Such a floor is not
even, as that of lasting noise is (`measure_evenness`):

    quietest frames   -52 -51 -51 -50 -50 dB  noise: the quietest three are 1 dB below the floor
                      -78 -70 -55 -47 -44 dB  speech that dies away: 23 dB below

`inside_noise_level` does not: it reads the same with the margins or without, and for that tells
apart nothing beyond some 30 dB.

    power spectra of the frames between the first and the last loud one [t, 32]
        ─► each band's quietest twentieth, over what that is of noise alone ─► floor ─► SNR as above
"""

import functools

import numpy as np
import scipy.stats

from data_prep.metadata.intensity import find_background
from data_prep.metadata.silence import Heard, find_heard

_LOWEST_DB, _HIGHEST_DB = -5.0, 80.0
# Frames within this factor of the floor are what the pauses sound like.
_NEAR_FLOOR = 4.0
# A cut of a tenth of a second is no gate, and what lasts so long is a pause.
_FEWEST_BLANK = _SHORTEST_PAUSE = 12
# Power of a noise of two 16-bit steps.
_FLICKER = 4e-9
_FEWEST_FRAMES = 10
# Of so few quietest frames a click or a gap between two sounds is not one.
_QUIETEST_FRAMES = 3
_RATE, _FRAME, _STEP, _BINS_A_BAND = 16_000, 512, 160, 8
_QUIET_SHARE = 0.05
# Energy of a windowed frame of zeros, or next to it, over its bands.
_BLANK_ENERGY = 1e-7
# Bins of a windowed spectrum are no independent draws: eight of them vary like six.
_FREEDOM = 0.75 * _BINS_A_BAND


def estimate_floor(power: np.ndarray, first_word: float | None = None) -> float:
    """Noise power: the lower of twice the quiet tenth's mean and what is usual ahead of the first
    word."""
    is_heard = find_background(power)
    heard = power[is_heard]
    count = max(len(heard) // 10, 3)
    quiet = float(np.sort(heard)[:count].mean())
    if first_word is not None and first_word > 0.06:
        ahead = int((first_word - 0.03) / 0.01)
        lead = power[:ahead][is_heard[:ahead]]
        # the median: where a word begins softly, the last frames are of it
        return min(float(np.median(lead)), 2.0 * quiet) if len(lead) else quiet
    return quiet


def measure_evenness(power: np.ndarray, first_word: float | None = None) -> float:
    """How far the quietest frames lie below the floor, in dB, 0 at most: -1 to -7 of noise that
    lasts; less where the floor is of speech that dies away, or of noise that comes and goes."""
    quietest = np.sort(power[find_background(power)])[:_QUIETEST_FRAMES].mean()
    return min(float(10 * np.log10(quietest / estimate_floor(power, first_word))), 0.0)


def is_gated(heard: Heard, power: np.ndarray) -> bool:
    """Whether a gate has put digital silence where the pauses were, so that no background is left
    to be measured; `power` is that of what was heard.

    A gate closes again and again, and leaves more than the flicker of the last bit; or it has taken
    more than what is left of pauses, or all that lasts.
    """
    cut = heard.cut_inside // _STEP
    if cut < _FEWEST_BLANK:
        return False
    is_pause = _find_pauses(power)
    closes = len(heard.firsts) > 2 and bool(estimate_floor(power) > _FLICKER)
    return (
        closes or cut > int(np.count_nonzero(is_pause)) or _find_longest(is_pause) < _SHORTEST_PAUSE
    )


def has_lost_margins(zeros: int, power: np.ndarray) -> bool:
    """Whether zeros at the ends, in samples, stand where the background was, and no pause is left
    either: what is quiet then is quiet speech, and even as far as the gate let it."""
    return zeros // _STEP >= _FEWEST_BLANK and _find_longest(_find_pauses(power)) < _SHORTEST_PAUSE


def _find_pauses(power: np.ndarray) -> np.ndarray:
    """Which frames sound like the quietest."""
    return find_background(power) & (power < _NEAR_FLOOR * estimate_floor(power))


def _find_longest(is_pause: np.ndarray) -> int:
    """Frames of the longest pause."""
    bounds = np.flatnonzero(np.diff(is_pause.astype(np.int8), prepend=0, append=0))
    return int((bounds[1::2] - bounds[::2]).max(initial=0))


def noise_level(power: np.ndarray, first_word: float | None = None) -> float:
    """SNR in dB."""
    return _compare(power[find_background(power)], estimate_floor(power, first_word))


def inside_noise_level(wave: np.ndarray, first_word: float, last_word: float) -> float | None:
    """SNR in dB of what lies between two times; None where that is next to nothing."""
    frames = np.lib.stride_tricks.sliding_window_view(
        np.pad(wave.astype(np.float32), (0, _FRAME)), _FRAME
    )[::_STEP]
    first = max(int(first_word * _RATE / _STEP) - 1, 0)
    frames = frames[first : max(int(last_word * _RATE / _STEP), first)]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), axis=1)) ** 2
    bands = spectra[:, 1:].reshape(len(spectra), -1, _BINS_A_BAND).mean(axis=2)
    bands = bands[find_heard(bands.sum(axis=1), _BLANK_ENERGY, _FRAME // _STEP + 1)]
    if len(bands) < _FEWEST_FRAMES:
        return None
    quiet = np.sort(bands, axis=0)[: max(int(_QUIET_SHARE * len(bands)), 3)].mean(axis=0)
    floor = float(quiet.sum()) / _share_of_noise()
    return _compare(bands.sum(axis=1), floor)


def _compare(power: np.ndarray, floor: float) -> float:
    """The excess of the active frames over the floor, in dB."""
    excess = power - floor
    # What the noise alone would reach now and then is not speech.
    is_active = (excess >= 0.01 * np.quantile(excess, 0.95)) & (excess > 0.5 * floor)
    ratio = float(excess[is_active].mean()) / floor if is_active.any() else 1e-3
    return float(np.clip(10 * np.log10(ratio), _LOWEST_DB, _HIGHEST_DB))


@functools.cache
def _share_of_noise() -> float:
    """What the quietest twentieth of a band of noise alone is of its mean."""
    quantile = scipy.stats.gamma.ppf(_QUIET_SHARE, _FREEDOM)
    return float(scipy.stats.gamma.cdf(quantile, _FREEDOM + 1) / _QUIET_SHARE)
