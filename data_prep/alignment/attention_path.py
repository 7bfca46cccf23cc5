"""From the attention of a decoder to the moment at which each token begins.

    weights [heads, rows, frames] ─ standardise over rows ─ median over frames ─ mean of heads ─► matrix [rows, frames]
        ─ the path of most attention from the first row and frame to the last ─► first frame of each row

    frames    0  1  2  3  4  5         a step stays in its row with the next frame, goes to the next row with it,
    row 0     #  #  .  .  .  .         or goes to the next row within the frame
    row 1     .  .  #  .  .  .
    row 2     .  .  .  #  #  #         first frames: 0, 2, 3

This is dynamic time warping as OpenAI's and transformers' Whisper have it. Where a text may go on
behind the end of the recording, the path is free to end in any row.
"""

import numpy as np


def blend_heads(weights: np.ndarray, width: int) -> np.ndarray:
    """One matrix of all heads: by how many standard deviations a row attends to a frame more than
    others do."""
    weights = np.asarray(weights, np.float64)
    deviation = weights.std(axis=1, keepdims=True)
    # a head that attends alike from everywhere, or the only row, says nothing
    standard = (weights - weights.mean(axis=1, keepdims=True)) / np.where(
        deviation > 0, deviation, 1.0
    )
    return filter_median(standard, width).mean(axis=0)


def filter_median(values: np.ndarray, width: int) -> np.ndarray:
    """The median of `width` neighbours on the last axis, mirrored at the ends; shorter than half of
    it, all stays."""
    half = width // 2
    if values.shape[-1] <= half:
        return values
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)], mode="reflect")
    frames = values.shape[-1]
    rows = [padded[..., i : i + frames] for i in range(width)]
    # the largest goes to the end and away, so often that the middle one is the largest of the rest
    for _ in range(half + 1):
        for i in range(len(rows) - 1):
            rows[i], rows[i + 1] = (
                np.minimum(rows[i], rows[i + 1]),
                np.maximum(rows[i], rows[i + 1]),
            )
        largest = rows.pop()
    return largest


def sum_costs(matrix: np.ndarray) -> np.ndarray:
    """[rows + 1, frames + 1]: the cost of the best path to each cell, infinite where none leads.

    c[i, j] = min(a[j], c[i, j−1]) − matrix[i, j] with a[j] from the row before is c[i, j] = s[j] +
    min over k ≤ j of (a[k] − s[k−1]), s being the row's running sum: a row at once.
    """
    rows, frames = matrix.shape
    costs = np.full((rows + 1, frames + 1), np.inf)
    costs[0, 0] = 0.0
    for i in range(rows):
        sums = np.cumsum(-matrix[i])
        entered = np.minimum(costs[i, :-1], costs[i, 1:])
        costs[i + 1, 1:] = sums + np.minimum.accumulate(
            entered - np.concatenate([[0.0], sums[:-1]])
        )
    return costs


def find_first_frames(costs: np.ndarray, last: int) -> np.ndarray:
    """Int [last + 1]: the frame at which the best path that ends in row `last` enters each row."""
    diagonal, down, along = costs[:-1, :-1], costs[:-1, 1:], costs[1:, :-1]
    is_diagonal = (diagonal < down) & (diagonal < along)
    is_down = (down < diagonal) & (down < along)
    first = np.zeros(last + 1, np.int64)
    row, frame = last, costs.shape[1] - 2
    while row > 0:
        if is_down[row, frame]:
            first[row] = frame
            row -= 1
        elif is_diagonal[row, frame]:
            first[row] = frame
            row, frame = row - 1, frame - 1
        else:
            frame -= 1
    return first


def find_starts(matrix: np.ndarray) -> np.ndarray:
    """The first frame of each row, on the path to the last row."""
    return find_first_frames(sum_costs(matrix), len(matrix) - 1)
