"""Distortion as a blind estimate of SI-SDR: the recording against its own denoised self.

    wave x ─► spectra ─► less the noise heard in the quietest frames (Wiener) ─► ŝ
        SI-SDR = 10 log10(|αŝ|² / |x − αŝ|²),   α = ⟨x, ŝ⟩ / ⟨ŝ, ŝ⟩

SI-SDR proper needs the clean speech, which a corpus of recordings has not. This stands in for it as far as the
distortion is noise that lasts: an echo, clipping or a codec's artefacts pass for speech, and babble for its own
speakers. A network trained for it (squim, which data-speech used) hears more; see experts.py.
"""

import numpy as np
import scipy.fft

_FRAME, _STEP = 512, 256
_LOWEST_DB, _HIGHEST_DB = -30.0, 50.0
# Below this share a bin holds noise alone; nothing is ever wholly taken away.
_LEAST_GAIN = 0.03
_SMOOTHING = (0.25, 0.5, 0.25)


def distortion_level(wave: np.ndarray) -> float | None:
    """SI-SDR in dB, estimated; None of silence."""
    padded = np.pad(wave.astype(np.float32), _FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]
    # The square root of a Hann window, before and after: overlapping halves add up to the wave.
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)).astype(np.float32)
    spectra = scipy.fft.rfft(frames * window, axis=1)
    denoised = scipy.fft.irfft(spectra * _make_gains(np.abs(spectra) ** 2), _FRAME, axis=1) * window
    speech = np.zeros((len(frames) + 1) * _STEP)
    speech[: len(frames) * _STEP] += denoised[:, :_STEP].ravel()
    speech[_STEP:] += denoised[:, _STEP:].ravel()
    return compute_si_sdr(wave, speech[_FRAME : _FRAME + len(wave)])


def compute_si_sdr(wave: np.ndarray, speech: np.ndarray) -> float | None:
    """Scale-invariant signal-to-distortion ratio of a wave that holds the speech, in dB."""
    length = min(len(wave), len(speech))
    x, s = wave[:length].astype(np.float64), speech[:length].astype(np.float64)
    if not (s @ s > 1e-10 and x @ x > 1e-10):
        return None
    target = (x @ s) / (s @ s) * s
    rest = float(((x - target) ** 2).sum()) + 1e-12
    return float(np.clip(10 * np.log10(float(target @ target) / rest + 1e-12), _LOWEST_DB, _HIGHEST_DB))


def _make_gains(power: np.ndarray) -> np.ndarray:
    """Wiener's share of speech in every bin [t, f], by the spectrum of the quietest frames but digital zeros."""
    level = power.mean(axis=1)
    sounding = np.flatnonzero(level > 1e-3 * np.median(level))
    quiet = sounding[np.argsort(level[sounding], kind="stable")[: max(len(sounding) // 12, 3)]]
    noise = power[quiet].mean(axis=0) if len(quiet) else np.zeros(power.shape[1])
    ratio = np.maximum(power / (noise + 1e-12) - 1.0, 0.0)
    # Smoothed over time: a lone bin that noise has lifted is not speech.
    before, now, after = _SMOOTHING
    smooth = now * ratio
    smooth[1:] += before * ratio[:-1]
    smooth[:-1] += after * ratio[1:]
    return np.maximum(smooth / (1.0 + smooth), _LEAST_GAIN)
