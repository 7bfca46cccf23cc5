"""The log-mel features of NeMo's encoders (FastConformer, Parakeet) in numpy: 25 ms windows every
10 ms, 16 kHz.

    samples (n,) ─► x[i] − 0.97 x[i−1] ─► |STFT|² (frames, 257) ─► slaney mel (frames, bins) ─► ln
        ─► each bin to mean 0 and deviation 1 over the clip

Beyond a clip's end there is nothing: zeros, which its encoder masks. So a clip has the same
features in a window of any length, and a whole number of hops of a clip's samples is what counts.
"""

from __future__ import annotations

import functools
from typing import TypeVar

import numpy as np

from sift_jax.audio.whisper_mel import HOP, RATE, REACH, WINDOW, fill_mel_power

FFT = 512
PREEMPHASIS = np.float32(0.97)
# added before the logarithm, and to a deviation
LEAST_POWER = np.float32(2.0**-24)
LEAST_DEVIATION = np.float32(1e-5)


# one number or many of them: what comes out is what went in
Counts = TypeVar("Counts", int, np.ndarray)


@functools.cache
def _window() -> np.ndarray:
    """Hann's, with a zero at either end, unlike Whisper's."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))).astype(np.float32)


def count_normalised_frames(samples: Counts) -> Counts:
    """Frames of a clip: its whole hops, and one of a clip that is shorter than that; the same for
    ints and arrays."""
    return samples // HOP + ((samples > 0) & (samples < HOP))


def fill_normalised_mel(samples: np.ndarray, out: np.ndarray) -> int:
    """Lays a clip's features into a window (frames, mel_bins) of float32; returns the frames that
    count as the clip."""
    heard, window = count_normalised_frames(len(samples)), len(out)
    if heard > window:
        raise ValueError(
            f"a clip of {len(samples) / RATE:.1f} s is longer than the encoder's window of "
            f"{window * HOP / RATE:g} s; cut it"
        )
    out[heard:] = 0.0
    if not heard:
        return 0
    padded = np.zeros(max(len(samples), heard * HOP) + WINDOW, np.float32)
    inner = padded[REACH : REACH + len(samples)]
    inner[:] = samples
    inner[1:] -= PREEMPHASIS * np.asarray(samples[:-1], np.float32)
    cut = np.lib.stride_tricks.as_strided(padded, (heard, WINDOW), (HOP * 4, 4), writeable=False)
    for part in fill_mel_power(cut, _window(), FFT, out):
        np.log(np.add(part, LEAST_POWER, out=part), out=part)
    clip = out[:heard]
    clip -= clip.mean(axis=0)
    # a clip of one frame has no deviation
    deviation = np.sqrt(np.square(clip).sum(axis=0) / max(heard - 1, 1))
    clip /= deviation + LEAST_DEVIATION
    return heard
