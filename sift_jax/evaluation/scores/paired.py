"""Two systems on the same items: is the difference more than chance?

    0 or 1 an item     exact McNemar over the items that only one of them got right      3 against 11: p = 0.057
    anything else      recordings swapped between the systems at random: how often is the difference as large as seen
    both               an interval of the difference, from the same draws of recordings for both systems

McNemar takes items for independent; where questions share recordings, the interval says more than
the p.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import binomtest

from sift_jax.evaluation.scores.aggregate import Counts, count_items
from sift_jax.evaluation.scores.bootstrap import (
    BootstrapConfig,
    Make,
    draw_weights,
    find_interval,
    make_generator,
    sum_clusters,
)
from sift_jax.evaluation.scores.schema import Item, Prediction, Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedTest:
    """The second system minus the first, over the items that both have a score for."""

    metric: str
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float
    test: str
    n: int
    # items that only one of them got right; of scores that are no yes or no, those where one is
    # higher
    only_first: int
    only_second: int


def compare_systems(
    items: Sequence[Item],
    first: tuple[Iterable[Prediction], Iterable[Verdict]],
    second: tuple[Iterable[Prediction], Iterable[Verdict]],
    bootstrap: BootstrapConfig,
) -> list[PairedTest]:
    """For each metric of the items, pooled over them all; give the items of one subset for its own
    comparison."""
    pairs = zip(count_items(items, *first), count_items(items, *second), strict=True)
    compared = (_compare(one, other, bootstrap) for one, other in pairs)
    return [comparison for comparison in compared if comparison is not None]


def _compare(one: Counts, other: Counts, bootstrap: BootstrapConfig) -> PairedTest | None:
    shared = sorted(one.rows.keys() & other.rows.keys())
    is_mixed = one.metric.is_ordered and len({one.items[place].labels for place in shared}) > 1
    if not shared or is_mixed:
        return None
    a = one.counts[[one.rows[place] for place in shared]]
    b = other.counts[[other.rows[place] for place in shared]]
    make = one.metric.make
    first, second = float(make(a.sum(axis=0))), float(make(b.sum(axis=0)))
    singles = np.nan_to_num(make(b) - make(a)) * (-1 if one.metric.is_error else 1)
    wins, losses = int((singles > 0).sum()), int((singles < 0).sum())
    found, index = np.unique(
        one.clusters[[one.rows[place] for place in shared]], return_inverse=True
    )
    size = len(found)
    sums_a, sums_b = sum_clusters(a, index, size), sum_clusters(b, index, size)
    rng = make_generator(bootstrap.seed, f"compare {one.name}")
    differences = _resample_difference(sums_a, sums_b, make, rng, bootstrap.samples)
    low, high = find_interval(differences, bootstrap.confidence) if size > 1 else (None, None)
    if one.metric.is_binary:
        p, test = find_mcnemar(losses, wins), "exact McNemar"
    else:
        p, test = (
            _swap(sums_a, sums_b, make, rng, bootstrap.samples),
            "recordings swapped at random",
        )
    return PairedTest(
        metric=one.name,
        first=first,
        second=second,
        difference=second - first,
        low=low,
        high=high,
        p=p,
        test=test,
        n=len(shared),
        only_first=losses,
        only_second=wins,
    )


def find_mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of so uneven a split of the items on which the two differ."""
    both = only_first + only_second
    return float(binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def _resample_difference(
    a: np.ndarray, b: np.ndarray, make: Make, rng: np.random.Generator, samples: int
) -> np.ndarray:
    draws = [
        make(weights @ b) - make(weights @ a) for weights in draw_weights(rng, len(a), samples)
    ]
    return np.concatenate(draws) if draws else np.zeros(0)


def _swap(
    a: np.ndarray, b: np.ndarray, make: Make, rng: np.random.Generator, samples: int
) -> float:
    """The share of random swaps that part the systems as far as they are; the one seen counts among
    them."""
    seen = abs(make(b.sum(axis=0)) - make(a.sum(axis=0)))
    total, far = a.sum(axis=0) + b.sum(axis=0), 1
    rows = max(1, 4_000_000 // len(a))
    for start in range(0, samples, rows):
        is_swapped = rng.random((min(rows, samples - start), len(a))) < 0.5
        swapped = a.sum(axis=0) + is_swapped @ (b - a)
        far += int((np.abs(make(total - swapped) - make(swapped)) >= seen - 1e-12).sum())
    return far / (samples + 1)
