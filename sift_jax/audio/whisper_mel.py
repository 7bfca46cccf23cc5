"""Whisper's log-mel features in numpy: 25 ms windows every 10 ms, 16 kHz.

    samples (n,) ─► |STFT|² (frames, 201) ─► slaney mel (frames, bins) ─► log10, 8 decades deep ─► (x + 4) / 4

A clip stands in a window of its own length or longer, as if zeros followed it: only the frames that
touch a sample are computed, the rest is filled with what silence looks like beside this clip.

    window      │ f0 f1 f2 … f(n-1) │ tail tail │ silence silence …        tail: centred behind the end, reaching back
    counted       └── count_mel_frames(n) ──┘
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft

RATE = 16_000
HOP = 160
WINDOW = 400
REACH = WINDOW // 2
# Frames that are transformed at once: their spectrum stays in the second-level cache.
CHUNK = 512
# What calling a matrix product costs, in multiplications of a frame.
CALL = 300


@functools.cache
def make_mel_filters(mel_bins: int, fft: int = WINDOW) -> np.ndarray:
    """Slaney-normalised triangles on the Slaney mel scale, (fft / 2 + 1, mel_bins)."""

    def to_hz(mel: np.ndarray) -> np.ndarray:
        linear = mel * 200.0 / 3.0
        return np.where(mel < 15.0, linear, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))

    top = 15.0 + np.log(RATE / 2 / 1000.0) * 27.0 / np.log(6.4)
    edges = to_hz(np.linspace(0.0, top, mel_bins + 2))
    hz = np.linspace(0.0, RATE / 2, fft // 2 + 1)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return filters.astype(np.float32)


@functools.cache
def _make_bands(mel_bins: int, fft: int) -> Sequence[tuple[slice, slice, np.ndarray]]:
    """The filters cut into bands of neighbours, each with the few frequencies that it hears:
    (columns, bins, weights).

    Columns and weights are doubled, for squares of real and imaginary parts that lie side by side.
    The cuts minimise the multiplications.
    """
    filters = make_mel_filters(mel_bins, fft)
    heard = [np.flatnonzero(column) for column in filters.T]
    # a bin narrower than the frequencies' distance may hear none: it still needs a place
    low = [int(h[0]) if len(h) else filters.shape[0] for h in heard]
    high = [int(h[-1]) + 1 if len(h) else 0 for h in heard]
    # best[end]: (least cost of bins 0 … end, where its last band starts). A band of many bins is one
    # product of a wide matrix, most of it zeros; many bands are many calls. 80 bins over 201
    # frequencies, whole, are 16,080 multiplications a frame.
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, mel_bins + 1):
        costs = [
            best[start][0]
            + 2 * (end - start) * max(0, max(high[start:end]) - min(low[start:end]))
            + CALL
            for start in range(end)
        ]
        start = int(np.argmin(costs))
        best.append((costs[start], start))
    # back from the last bin, each band by where it starts
    bands, end = [], mel_bins
    while end:
        start = best[end][1]
        first, last = min(low[start:end]), max(high[start:end])
        weights = np.ascontiguousarray(np.repeat(filters[first:last, start:end], 2, axis=0))
        bands.append((slice(2 * first, 2 * last), slice(start, end), weights))
        end = start
    return tuple(bands)


@functools.cache
def _window() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def count_mel_frames(samples: int) -> int:
    """Frames whose centre lies on the clip."""
    return -(-samples // HOP)


def _cut_frames(samples: np.ndarray, frames: int) -> np.ndarray:
    """A view (frames, 400) of the clip and the zeros behind it, mirrored at its start, and at the
    window's end."""
    window = max(frames * HOP, WINDOW)
    padded = np.zeros(window + WINDOW, np.float32)
    padded[REACH : REACH + len(samples)] = samples
    # Mirrored without the sample at the edge, as reflect padding is: … 2 1 [0] 1 2 …
    padded[:REACH] = padded[2 * REACH : REACH : -1]
    padded[window + REACH :] = padded[window + REACH - 2 : window - 2 : -1]
    # each frame 160 samples of four bytes behind the last; they overlap in memory, so nobody may write
    return np.lib.stride_tricks.as_strided(padded, (frames, WINDOW), (HOP * 4, 4), writeable=False)


def fill_mel_power(
    cut: np.ndarray, window: np.ndarray, fft: int, out: np.ndarray
) -> Iterator[np.ndarray]:
    """Lays the mel power of frames of samples into the first rows of `out`; yields each chunk that
    is laid."""
    weighted = np.empty((min(CHUNK, len(cut)), len(window)), np.float32)
    bands = _make_bands(out.shape[1], fft)
    for start in range(0, len(cut), CHUNK):
        part = out[start : min(start + CHUNK, len(cut))]
        x = np.multiply(cut[start : start + len(part)], window, out=weighted[: len(part)])
        # re, im, re, im, …: squared where they lie, the doubled filters add them up
        power = scipy.fft.rfft(x, fft, axis=-1).view(np.float32)
        np.multiply(power, power, out=power)
        for columns, bins, weights in bands:
            np.matmul(power[:, columns], weights, out=part[:, bins])
        yield part


def fill_log_mel(samples: np.ndarray, out: np.ndarray) -> int:
    """Lays a clip's features into a window (frames, mel_bins) of float32; returns the frames that
    count as the clip."""
    n, frames = len(samples), len(out)
    if n > frames * HOP:
        raise ValueError(
            f"a clip of {n / RATE:.1f} s is longer than the encoder's window of "
            f"{frames * HOP / RATE:g} s; cut it"
        )
    heard = min(frames, -(-(n + REACH) // HOP)) if n else 0
    # beside a window that is full, the mirrored end needs the true window; else nothing behind the
    # tail is looked at
    cut = _cut_frames(samples, frames if heard == frames else heard + 2)[:heard]
    loudest = 1e-10
    for part in fill_mel_power(cut, _window(), WINDOW, out):
        loudest = max(loudest, float(part.max()))
        np.log10(np.maximum(part, 1e-10, out=part), out=part)
    floor = np.float32(np.log10(loudest) - 8.0)
    clip = out[:heard]
    np.maximum(clip, floor, out=clip)
    clip += 4.0
    clip *= 0.25
    out[heard:] = (np.maximum(floor, -10.0) + 4.0) * 0.25
    return count_mel_frames(n)
