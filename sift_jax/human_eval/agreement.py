"""How far raters agree: Krippendorff's alpha.

    1 − observed disagreement / the disagreement of values that meet by chance

    rater  task 1  task 2  task 3  task 4
    A         1       2       3       3        alpha is 1 where all agree, 0 where they agree as often as by chance,
    B         1       2       3       4        and below 0 where they avoid each other
    C         –       2       3       3

A task with fewer than two ratings says nothing of agreement, and is left out. The distance of two
values is the square of their difference, as fits scores of equal steps; for yes and no it is the
same as "differ or not".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# task → rater → value
Ratings = Mapping[str, Mapping[str, float]]


def compute_alpha(ratings: Ratings) -> float | None:
    """None where no task has two ratings, or where all values are one and the same: then nothing
    could disagree."""
    tasks = [list(values.values()) for values in ratings.values() if len(values) >= 2]
    if not tasks:
        return None
    # pairs within a task, each value as often as it has partners: weights 1 / (m − 1)
    observed = sum(_sum_squares(np.array(values)) / (len(values) - 1) for values in tasks)
    everything = np.concatenate([np.array(values, float) for values in tasks])
    n = len(everything)
    expected = _sum_squares(everything) / (n - 1)
    return None if expected == 0 else float(1 - observed / expected)


def _sum_squares(values: np.ndarray) -> float:
    """Σ over ordered pairs of (a − b)², which is 2 n Σ (a − mean)²."""
    values = values.astype(float)
    return float(2 * len(values) * ((values - values.mean()) ** 2).sum())
