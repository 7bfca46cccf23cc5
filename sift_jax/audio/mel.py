"""Whisper's log-mel features in numpy: 25 ms windows every 10 ms, 16 kHz.

    samples (n,) ─► |STFT|² (frames, 201) ─► slaney mel (frames, bins) ─► log10, 8 decades deep ─► (x + 4) / 4
"""

from __future__ import annotations

import functools

import numpy as np

RATE = 16_000
HOP = 160
WINDOW = 400


@functools.cache
def make_mel_filters(mel_bins: int) -> np.ndarray:
    """Slaney-normalised triangles on the Slaney mel scale, (201, mel_bins)."""

    def to_hz(mel: np.ndarray) -> np.ndarray:
        linear = mel * 200.0 / 3.0
        return np.where(mel < 15.0, linear, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))

    top = 15.0 + np.log(RATE / 2 / 1000.0) * 27.0 / np.log(6.4)
    edges = to_hz(np.linspace(0.0, top, mel_bins + 2))
    hz = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return filters.astype(np.float32)


@functools.cache
def _window() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def count_mel_frames(samples: int) -> int:
    return samples // HOP


def compute_log_mel(samples: np.ndarray, mel_bins: int) -> np.ndarray:
    """(frames, mel_bins) float32 of samples in [-1, 1]; as Whisper's extractor does without padding to 30 s."""
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    padded = np.pad(samples.astype(np.float32), WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: count_mel_frames(len(samples))]
    spectrum = np.fft.rfft(frames * _window(), axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    log_mel = np.log10(np.maximum(power.astype(np.float32) @ make_mel_filters(mel_bins), 1e-10))
    return (np.maximum(log_mel, log_mel.max() - 8.0) + 4.0) / 4.0


def fill_window(mel: np.ndarray, out: np.ndarray) -> int:
    """Lays a clip's features into a window and fills the rest with what silence looks like beside this clip."""
    out[: len(mel)] = mel
    # Whisper clamps at 8 decades below the clip's loudest bin; (x + 4) / 4 makes two units of them
    out[len(mel) :] = mel.max() - 2.0
    return len(mel)
