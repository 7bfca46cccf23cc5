"""Intervals by resampling, as products of matrices.

    counts of n items (n × k) ─ sum by recording ─► (clusters × k)
    weights (draws × clusters): how often each recording was drawn   weights @ counts ─► a draw's sums ─ make ─► figure

Questions about one recording stand or fall together, so recordings are drawn, not items: an
interval over items alone would be too narrow. A figure that is the mean of several parts
(sub-categories) draws once for all of them. A share of 0 or 1, of which all draws are alike, has
its exact interval instead.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import numpy as np

from sift_jax.field_ranges import CheckedConfig, Range, Seed, Whole

Make = Callable[[np.ndarray], np.ndarray]
# numbers held at once
_CHUNK = 4_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootstrapConfig(CheckedConfig):
    """How intervals are made. `samples` of 0 makes none."""

    samples: Whole
    # the share of draws inside
    confidence: Annotated[float, Range(above=0, below=1)]
    seed: Seed


def make_generator(seed: int, name: str) -> np.random.Generator:
    """Draws that depend on what they are for alone, so that one figure more changes no other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def sum_clusters(counts: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
    """Counts of items (n × k) summed by their cluster's number (size × k)."""
    sums = np.zeros((size, counts.shape[1]))
    np.add.at(sums, index, counts)
    return sums


def draw_weights(rng: np.random.Generator, size: int, samples: int) -> Iterator[np.ndarray]:
    """Rows that say how often each of `size` things was drawn, in chunks that fit into memory."""
    rows = max(1, _CHUNK // max(size, 1))
    for start in range(0, samples, rows):
        count = min(rows, samples - start)
        # Draw 2 of 5 things counts in 10 … 14, so that one count serves all draws of the chunk.
        drawn = rng.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size).astype(float)


def resample(
    parts: Sequence[np.ndarray], make: Make, rng: np.random.Generator, samples: int
) -> np.ndarray:
    """The figure of each draw: the mean over parts, each (clusters × its counts), of what is made
    of its sums.

    Parts share their clusters; a part from which a draw took nothing is left out of that draw's
    mean.
    """
    size = len(parts[0])
    stacked = np.concatenate(parts, axis=1)
    edges = np.cumsum([0, *(part.shape[1] for part in parts)])
    figures = []
    for weights in draw_weights(rng, size, samples):
        sums = weights @ stacked
        figures.append(
            average(np.stack([make(sums[:, a:b]) for a, b in itertools.pairwise(edges)]))
        )
    return np.concatenate(figures)


def average(figures: np.ndarray) -> np.ndarray:
    """The unweighted mean over the first axis of the figures that are there."""
    is_there = ~np.isnan(figures)
    total = np.where(is_there, figures, 0.0).sum(axis=0)
    return np.where(is_there.any(axis=0), total / np.maximum(is_there.sum(axis=0), 1), np.nan)


def find_interval(
    figures: np.ndarray, confidence: float
) -> tuple[float, float] | tuple[None, None]:
    """The percentiles that hold the confidence between them."""
    figures = figures[~np.isnan(figures)]
    if not len(figures):
        return None, None
    low, high = np.quantile(figures, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bound_unanimous(figure: float, size: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share of 0 or 1 over so many recordings: no draw of them differs, and
    yet three right answers of three do not make a sure thing."""
    margin = 1.0 - ((1.0 - confidence) / 2) ** (1.0 / size)
    return (1.0 - margin, 1.0) if figure else (0.0, margin)
