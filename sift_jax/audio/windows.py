"""A recording longer than an encoder's window, as windows that follow each other.

75 s, windows of 30 s     │ 0 … 30 s │ 30 … 60 s │ 60 … 75 s │      three clips of one prompt, nothing between them
25 s                      │ 0 … 25 s │                               itself
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Counts = TypeVar("Counts", int, np.ndarray)


def count_windows(samples: Counts, window: int) -> Counts:
    """How many a recording of so many samples has: one at least."""
    more = -(-samples // window)
    return np.maximum(more, 1) if isinstance(more, np.ndarray) else max(more, 1)


def measure_windows(samples: int, window: int) -> list[int]:
    """The samples of each."""
    return [min(window, samples - start) for start in range(0, max(samples, 1), window)]


def cut_windows(clip: np.ndarray, window: int) -> list[np.ndarray]:
    """The recording itself where it is no longer than a window."""
    if len(clip) <= window:
        return [clip]
    return [clip[start : start + window] for start in range(0, len(clip), window)]
