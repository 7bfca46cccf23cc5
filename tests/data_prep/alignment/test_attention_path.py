"""The path of most attention: against the plain recursion, and where attention is known."""

import numpy as np
import pytest
import scipy.ndimage

from data_prep.alignment.attention_path import (
    blend_heads,
    filter_median,
    find_first_frames,
    find_starts,
    sum_costs,
)


def walk(matrix):
    """First frame of each row by the recursion, one cell at a time, as Whisper's own code has
    it."""
    rows, frames = matrix.shape
    costs = np.full((rows + 1, frames + 1), np.inf)
    steps = np.full((rows + 1, frames + 1), 2)
    costs[0, 0] = 0
    for j in range(1, frames + 1):
        for i in range(1, rows + 1):
            diagonal, down, along = costs[i - 1, j - 1], costs[i - 1, j], costs[i, j - 1]
            if diagonal < down and diagonal < along:
                best, step = diagonal, 0
            elif down < diagonal and down < along:
                best, step = down, 1
            else:
                best, step = along, 2
            costs[i, j], steps[i, j] = best - matrix[i - 1, j - 1], step
    first, i, j = np.zeros(rows, int), rows, frames
    while i > 1:
        step = steps[i, j]
        if step != 2:
            first[i - 1] = j - 1
            i -= 1
        if step != 1:
            j -= 1
    return costs, first


@pytest.mark.parametrize(
    "rows, frames, seed", [(1, 9, 0), (5, 5, 1), (7, 40, 2), (30, 12, 3), (12, 200, 4)]
)
def test_rows_at_once_are_the_recursion(rows, frames, seed):
    matrix = np.random.default_rng(seed).standard_normal((rows, frames))
    costs, first = walk(matrix)
    np.testing.assert_allclose(sum_costs(matrix), costs, atol=1e-9)
    np.testing.assert_array_equal(find_starts(matrix), first)


def test_tokens_begin_where_attention_goes_to_them():
    starts, rng = np.array([0, 4, 9, 9, 15, 30]), np.random.default_rng(0)
    weights = 0.01 * rng.random((3, 6, 40))
    for row, (a, b) in enumerate(zip(starts, [*starts[1:], 40], strict=True)):
        weights[:, row, a:b] += 0.2
    found = find_starts(blend_heads(weights, 1))
    # row 2, of no length, has its place between its neighbours
    assert (
        found.tolist()[:2] == [0, 4]
        and 4 < found[2] <= found[3] <= 10
        and found.tolist()[4:] == [15, 30]
    )


def test_the_path_may_end_before_the_text_does():
    matrix = np.full((6, 30), -0.5)
    for row in range(3):
        matrix[row, 10 * row : 10 * row + 10] = 1.5
    costs = sum_costs(matrix)
    assert int(costs[1:, -1].argmin()) == 2
    assert find_first_frames(costs, 2).tolist() == [0, 10, 20]
    assert find_first_frames(costs, 5)[5] == 29


@pytest.mark.parametrize("width, frames", [(7, 50), (3, 4), (5, 6)])
def test_the_median_is_that_of_neighbours_mirrored_at_the_ends(width, frames):
    values = np.random.default_rng(1).standard_normal((2, 3, frames))
    expected = scipy.ndimage.median_filter(values, size=(1, 1, width), mode="mirror")
    np.testing.assert_array_equal(filter_median(values, width), expected)
    np.testing.assert_array_equal(filter_median(values[..., :1], width), values[..., :1])


def test_heads_that_say_nothing_do_no_harm():
    weights = np.random.default_rng(2).random((2, 5, 20))
    weights[1] = 0.05
    assert (
        np.isfinite(blend_heads(weights, 7)).all()
        and np.isfinite(blend_heads(weights[:, :1], 7)).all()
    )
