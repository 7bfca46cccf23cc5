"""Kaldi's log-mel as BEATs hears it, in numpy: 25 ms windows every 10 ms, 16 kHz, 128 bins.

    samples (n,) · 2¹⁵ ─► frames of 400 ─► less their mean ─► x[i] − 0.97 x[i−1] ─► Povey's window
        ─► |FFT|² (frames, 257) ─► triangles, straight on the mel scale ─► ln ─► (x − mean) / 2 deviations

A frame lies on the clip as a whole: 400 samples have one, 559 have one, 560 have two. Beyond the
last there is nothing: zeros, which the encoder masks.
"""

from __future__ import annotations

import functools
from typing import TypeVar

import numpy as np
import scipy.fft

from sift_jax.audio.whisper_mel import CHUNK, HOP, RATE, WINDOW

FFT = 512
PREEMPHASIS = np.float32(0.97)
# of samples that are whole numbers of 16 bits
SCALE = np.float32(2.0**15)
LEAST_POWER = np.float32(2.0**-23)
LOWEST_HZ = 20.0
# of the data that BEATs was trained on
MEAN, DEVIATION = 15.41663, 6.55582

# one number or many of them: what comes out is what went in
Counts = TypeVar("Counts", int, np.ndarray)


@functools.cache
def _make_triangles(mel_bins: int) -> np.ndarray:
    """(frequencies, mel_bins), each with a peak of 1."""

    def to_mel(hz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(hz / 700.0)

    mel = to_mel(np.arange(FFT // 2 + 1) * RATE / FFT)[:, None]
    low, high = to_mel(np.array([LOWEST_HZ, RATE / 2]))
    edges = np.linspace(low, high, mel_bins + 2)
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@functools.cache
def _make_window() -> np.ndarray:
    """Povey's: Hann's to the power 0.85, with a zero at either end."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return (hann**0.85).astype(np.float32)


def count_kaldi_frames(samples: Counts) -> Counts:
    """Frames that lie on a clip; the same for ints and arrays."""
    return (samples >= WINDOW) * (1 + (samples - WINDOW) // HOP)


def fill_kaldi_mel(samples: np.ndarray, out: np.ndarray) -> int:
    """Lays a clip's features into a window (frames, mel_bins) of float32; returns how many frames
    it has."""
    heard = count_kaldi_frames(len(samples))
    if heard > len(out):
        raise ValueError(
            f"a clip of {len(samples) / RATE:.1f} s is longer than the encoder's window of "
            f"{len(out) * HOP / RATE:g} s; cut it"
        )
    out[heard:] = 0.0
    if not heard:
        return 0
    scaled = np.asarray(samples, np.float32) * SCALE
    cut = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW)[::HOP]
    for start in range(0, heard, CHUNK):
        part = out[start : min(start + CHUNK, heard)]
        np.matmul(
            _measure_power(cut[start : start + len(part)]), _make_triangles(out.shape[1]), part
        )
        np.log(np.maximum(part, LEAST_POWER, out=part), out=part)
        part -= np.float32(MEAN)
        part /= np.float32(2 * DEVIATION)
    return heard


def _measure_power(frames: np.ndarray) -> np.ndarray:
    """(frames, samples) to (frames, frequencies)."""
    x = frames - frames.mean(axis=1, keepdims=True)
    # Kaldi's: the first sample of a frame has itself before it, not the frame before
    before = np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    spectrum = scipy.fft.rfft((x - PREEMPHASIS * before) * _make_window(), FFT, axis=-1)
    return spectrum.real**2 + spectrum.imag**2
