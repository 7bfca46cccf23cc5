"""Fundamental frequency by batched autocorrelation, and the likeliest way through its peaks.

    wave [n] 16 kHz ─► 8 kHz ─► frames [t, 384] (48 ms, a step of 10 ms) ─► power spectra less the noise's
        ─► autocorrelation [t, lag] ─► peaks [t, 5] ─ path ─► F0 [t], nan where unvoiced

A voice of 110 Hz repeats itself after one period, and after two and three: each frame has several
peaks, and which of them is the period is often plain from its neighbours alone. The path through
the frames is that of the highest peaks and the smallest leaps:

    peaks   110 55    112 56    224 112    115 57 Hz            gain of a path = Σ height of a peak
    path    110   ─►  112   ─►    112  ─►  115                                 − leap in octaves × its cost

It is sought twice. The first path shows in which range the talker moves; the second one pays for
leaving that range, so that no octave is taken by mistake, and a wide melody is not cut off. Where
the two paths differ in how lively they are, one of them is mistaken, and nobody knows which
(`is_variation_sure`): a creaky voice, or one of two talkers.

The autocorrelation is divided by that of the window, so that a peak's height is the periodic share
of the energy and a threshold on it decides voicing. `average_pitch` is the median in Hz;
`pitch_variation` is the standard deviation in semitones about it, because the same liveliness spans
more Hz in a higher voice.

Numpy on one clip after the other is the fastest form on a CPU core: the same steps compiled by XLA
over batches of like length reached three quarters of its rate.
"""

import functools
from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal

from data_prep.metadata.silence import find_heard

STEP_SECONDS = 0.010
# A transform as long as a frame and the longest lag: nothing wraps around into the lags that are
# looked at.
_RATE, _FRAME, _STEP, _FFT = 8_000, 384, 80, 512
FRAME_SECONDS = _FRAME / _RATE
LOWEST_HZ, HIGHEST_HZ = 63.0, 600.0
_VOICED_STRENGTH = 0.5
# A longer lag has to have the higher peak: two periods repeat themselves as well as one.
_OCTAVE_COST = 0.08
_PEAKS = 5
# Of an octave's leap from one frame to the next; over a gap it costs less, down to a tenth.
_LEAP_COST, _LONGEST_GAP = 0.5, 10
# The range is that of the surer half of the frames, less a tenth at either end, and four semitones
# more; an octave beyond it costs so much.
_OUTLIERS, _MARGIN_OCTAVES, _RANGE_COST = 0.1, 0.35, 1.0
# A frame this far below the loudest is not speech of the talker, whatever its periodicity.
_GATE_DB = 20.0
# Semitones by which the variations of two paths may differ: less than a class.
_SURE_SEMITONES = 0.5
# Energy of a frame of zeros, or next to it; and its neighbours that share some of them.
_BLANK_ENERGY, _OVERLAP = 2e-9, 5


@functools.cache
def _make_window() -> tuple[np.ndarray, np.ndarray]:
    window = np.hanning(_FRAME).astype(np.float32)
    correlation = scipy.fft.irfft(np.abs(scipy.fft.rfft(window, _FFT)) ** 2, _FFT)
    return window, (correlation / correlation[0]).astype(np.float32)


@functools.cache
def _make_lowpass() -> np.ndarray:
    # Wide enough that hiss, thus filtered, does not repeat itself by chance.
    return scipy.signal.firwin(63, 2_400, fs=16_000).astype(np.float32)


def track_pitch(wave: np.ndarray) -> np.ndarray:
    """F0 in Hz every 10 ms of a 16 kHz wave; nan where there is no voice."""
    return track_passes(wave)[-1]


def track_passes(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by the first path and by the second."""
    low = scipy.signal.upfirdn(_make_lowpass(), wave.astype(np.float32), down=2)[15:]
    if len(low) < _FRAME:
        return np.full(0, np.nan), np.full(0, np.nan)
    frames = np.lib.stride_tricks.sliding_window_view(low, _FRAME)[::_STEP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    window, reference = _make_window()
    power = np.abs(scipy.fft.rfft(frames * window, _FFT, axis=1)) ** 2
    energy = power.mean(axis=1) + 1e-12
    power = np.maximum(power - _estimate_noise(power, energy), 0.02 * power)
    correlation = scipy.fft.irfft(power, _FFT, axis=1)
    energy = power.mean(axis=1) + 1e-12
    first, last = int(_RATE / HIGHEST_HZ), int(np.ceil(_RATE / LOWEST_HZ))
    lags = np.arange(first - 1, last + 2)
    scaled = correlation[:, lags] / (correlation[:, :1] + 1e-12) / reference[lags]
    octave, gain, strength = _find_peaks(scaled, lags)
    is_loud = 10 * np.log10(energy) > 10 * np.log10(energy.max()) - _GATE_DB
    places = np.flatnonzero(is_loud & (strength.max(axis=1) > _VOICED_STRENGTH))
    if not len(places):
        return np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    octave, gain, strength = octave[places], gain[places], strength[places]
    first_path = _find_path(places, octave, gain)
    low, high = _find_range(octave[first_path], strength[first_path])
    beyond = np.maximum(np.maximum(low - octave, octave - high), 0.0)
    second_path = _find_path(places, octave, gain - _RANGE_COST * beyond)
    tracks = np.full((2, len(frames)), np.nan)
    for track, path in zip(tracks, (first_path, second_path), strict=True):
        is_voiced = strength[path] > _VOICED_STRENGTH
        track[places[is_voiced]] = 2 ** octave[path][is_voiced]
    return clean_track(tracks[0]), clean_track(tracks[1])


def _find_peaks(scaled: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each frame's highest peaks, each [t, 5]: log2 of F0, refined by a parabola; gain; height,
    0 of no peak."""
    inner = scaled[:, 1:-1]
    is_peak = (inner >= scaled[:, :-2]) & (inner >= scaled[:, 2:])
    gain = np.where(is_peak, inner - _OCTAVE_COST * np.log2(lags[1:-1] / lags[1]), -1.0)
    best = np.argpartition(-gain, _PEAKS, axis=1)[:, :_PEAKS]
    rows = np.arange(len(scaled))[:, None]
    left, mid, right = scaled[rows, best], scaled[rows, best + 1], scaled[rows, best + 2]
    # A parabola through the peak and its neighbours has its top (left − right) / 2 (left − 2 mid +
    # right) beside the middle: at 8 kHz a voice of 400 Hz has a lag of 20 samples, and one sample
    # more would be 0.8 semitones.
    curve = left - 2 * mid + right
    shift = np.where(
        np.abs(curve) > 1e-6, 0.5 * (left - right) / np.where(curve == 0, 1, curve), 0.0
    )
    octave = np.log2(_RATE / (lags[best + 1] + np.clip(shift, -0.5, 0.5)))
    return octave, gain[rows, best], np.where(is_peak[rows, best], mid, 0.0)


def _find_path(
    places: np.ndarray, octave: np.ndarray, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the peak of each frame on the way of the highest gain less leaps (Viterbi's
    algorithm).

    `places` are the frames' numbers: between two that are not neighbours a voice had time to move.
    """
    cost = _LEAP_COST / np.minimum(np.diff(places, prepend=places[0] - 1), _LONGEST_GAP)
    leaps = cost[1:, None, None] * np.abs(octave[:-1, :, None] - octave[1:, None, :])
    columns = np.arange(octave.shape[1])
    total, origins = gain[0], np.zeros(octave.shape, np.int64)
    for frame, leap in enumerate(leaps, 1):
        reached = total[:, None] - leap
        origins[frame] = reached.argmax(axis=0)
        total = reached[origins[frame], columns] + gain[frame]
    path = np.empty(len(octave), np.int64)
    path[-1] = total.argmax()
    for frame in range(len(path) - 1, 0, -1):
        path[frame - 1] = origins[frame, path[frame]]
    return np.arange(len(path)), path


def _find_range(octave: np.ndarray, strength: np.ndarray) -> tuple[float, float]:
    """log2 of the lowest and the highest F0 that this talker is expected to reach."""
    sure = octave[strength >= np.median(strength)]
    low, high = np.quantile(sure, [_OUTLIERS, 1 - _OUTLIERS])
    return float(low) - _MARGIN_OCTAVES, float(high) + _MARGIN_OCTAVES


def _estimate_noise(power: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Spectrum of the quietest frames: without it mains hum and coloured noise pass for a voice."""
    heard = np.flatnonzero(find_heard(energy, _BLANK_ENERGY, _OVERLAP))
    count = max(len(heard) // 12, 4)
    quiet = heard[np.argsort(energy[heard], kind="stable")[:count]]
    # A recording without any pause has no frames of noise alone.
    has_pause = energy[quiet].mean() < 0.6 * np.quantile(energy[heard], 0.9)
    return 1.3 * power[quiet].mean(axis=0) if has_pause else np.zeros(power.shape[1], power.dtype)


def clean_track(track: np.ndarray) -> np.ndarray:
    """Drops voiced islands shorter than 40 ms; smooths the rest by a running median of five."""
    is_voiced = np.isfinite(track)
    labels, count = scipy.ndimage.label(is_voiced)
    if not count:
        return track
    sizes = np.bincount(labels.ravel())
    is_voiced &= sizes[labels] >= 4
    if not is_voiced.any():
        return np.full_like(track, np.nan)
    cleaned = np.full_like(track, np.nan)
    cleaned[is_voiced] = scipy.ndimage.median_filter(track[is_voiced], size=5, mode="nearest")
    return cleaned


def slice_track(track: np.ndarray, start: float, end: float) -> np.ndarray:
    """The frames whose middle lies between two times in seconds."""
    half = FRAME_SECONDS / 2
    return track[
        max(round((start - half) / STEP_SECONDS), 0) : max(round((end - half) / STEP_SECONDS), 0)
    ]


def average_pitch(track: np.ndarray) -> float | None:
    """Median F0 in Hz; None with fewer than five voiced frames."""
    voiced = track[np.isfinite(track)]
    return float(np.median(voiced)) if len(voiced) >= 5 else None


def pitch_variation(track: np.ndarray) -> float | None:
    """Standard deviation of F0 in semitones, the outermost twentieth at either end clipped."""
    voiced = track[np.isfinite(track)]
    if len(voiced) < 5:
        return None
    semitones = 12 * np.log2(voiced)
    low, high = np.quantile(semitones, [0.05, 0.95])
    return float(np.std(np.clip(semitones, low, high)))


def is_variation_sure(tracks: Sequence[np.ndarray]) -> bool:
    """Whether all of these tracks of a recording are about as lively."""
    found = [pitch_variation(track) for track in tracks]
    known = [variation for variation in found if variation is not None]
    return len(known) == len(found) and max(known) - min(known) <= _SURE_SEMITONES
