"""Two pictures of a clip side by side, Whisper's log-mel and Kaldi's, for an encoder that is two.

    window (frames, 80 + 128)    │ Whisper's: the clip, then silence │ Kaldi's: the clip, then nothing │

Both have 100 frames a second. Kaldi's last frame lies on the clip as a whole, and so it has two
frames fewer than the clip has hops, rounded: 30 s are 3,000 and 2,998. A clip shorter than a second
is filled up to one with silence, as SALMONN's is.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from sift_jax.audio.kaldi_mel import fill_kaldi_mel
from sift_jax.audio.whisper_mel import HOP, RATE, fill_log_mel

KALDI_BINS = 128
# hops of a clip that no frame of Kaldi's begins with
KALDI_LACKS = 2
LEAST_SAMPLES = RATE

# one number or many of them: what comes out is what went in
Counts = TypeVar("Counts", int, np.ndarray)


def count_joined_frames(samples: Counts) -> Counts:
    """Hops of a clip, rounded, and those of a second at least; the same for ints and arrays."""
    missing = (samples > 0) * (samples < LEAST_SAMPLES) * (LEAST_SAMPLES - samples)
    return (samples + missing + HOP // 2) // HOP


def fill_joined_mel(samples: np.ndarray, out: np.ndarray) -> int:
    """Lays a clip's features into a window (frames, bins of both) of float32; returns the frames
    that count as the clip."""
    if 0 < len(samples) < LEAST_SAMPLES:
        samples = np.pad(samples, (0, LEAST_SAMPLES - len(samples)))
    fill_log_mel(samples, out[:, :-KALDI_BINS])
    fill_kaldi_mel(samples, out[:, -KALDI_BINS:])
    return count_joined_frames(len(samples))
