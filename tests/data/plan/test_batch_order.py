"""Batches of one window each, of rows that are near each other in the stream."""

import numpy as np
import pytest

from sift_jax.data.plan.batch_order import order_batches


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("span", [50, 10_000])
def test_every_row_is_in_one_batch_near_its_place(levels, span):
    rng = np.random.default_rng(levels)
    level = np.minimum(rng.geometric(0.7, 800) - 1, levels - 1)
    keys = rng.permutation(1600)[:800]
    batches = order_batches(level.tolist(), keys.tolist(), 8, span)
    assert sorted(row for _, rows in batches for row in rows) == list(range(800))
    assert all(len(rows) == 8 and high == level[rows].max() for high, rows in batches)
    means = [keys[rows].mean() // 1 for _, rows in batches]
    assert means == sorted(means)
    if span == 50 and levels > 1:
        # those that are topped up, and the last, for which there is little left
        widths = [np.ptp(keys[rows]) for high, rows in batches if high]
        assert np.median(widths) <= 2 * span


def test_a_long_row_is_not_kept_waiting():
    """Four rows a batch: two long ones far from each other take three short ones along, each its
    neighbours."""
    keys = [0, 1000, *range(10, 16)]
    levels = [1, 1, *[0] * 6]
    batches = order_batches(levels, keys, 4, span=100)
    assert batches == [(1, [0, 2, 3, 4]), (1, [1, 5, 6, 7])]
    assert order_batches(levels, keys, 4, span=1000) == [(0, [4, 5, 6, 7]), (1, [0, 1, 2, 3])]
