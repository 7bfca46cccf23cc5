"""Rows: every group in one that holds it, none over its limits, and nearly all of them full."""

import dataclasses

import numpy as np
import pytest

from sift_jax.batch import BatchShape
from sift_jax.data.plan.bin_packing import RowFiller, Sizes


def make_shape(rows, tokens, targets=64, clips=4):
    return BatchShape(
        rows=rows, tokens=tokens, targets=targets, clips=clips, mel_frames=100, mel_bins=80
    )


def make_sizes(rng, count, levels=1):
    return Sizes(
        tokens=rng.integers(5, 120, count),
        targets=rng.integers(1, 14, count),
        clips=rng.integers(0, 3, count),
        level=rng.integers(0, levels, count),
    )


@pytest.mark.parametrize("levels", [1, 3])
def test_every_group_is_in_one_row_that_holds_it(levels):
    sizes = make_sizes(np.random.default_rng(3), 500, levels)
    shape = make_shape(rows=3, tokens=150, targets=20, clips=3)
    filler = RowFiller(sizes, shape)
    assert filler.fill(range(500)) == []
    assert sorted(g for row in filler.rows for g in row) == list(range(500))
    for level, row in zip(filler.levels, filler.rows, strict=True):
        for values, room in ((sizes.tokens, 150), (sizes.targets, 20), (sizes.clips, 3)):
            assert values[row].sum() <= room
        assert (sizes.level[row] <= level).all()


def test_what_finds_no_room_is_given_back():
    sizes = make_sizes(np.random.default_rng(4), 300, 2)
    filler = RowFiller(sizes, make_shape(rows=4, tokens=120), most_rows=20)
    left = filler.fill(range(300))
    placed = [g for row in filler.rows for g in row]
    assert left and len(filler.rows) == 20 and sorted([*placed, *left]) == list(range(300))
    assert not filler.open(0)


def test_a_long_clip_opens_a_row_that_short_ones_fill():
    sizes = Sizes(
        tokens=np.array([60, 60, 60]),
        targets=np.ones(3, int),
        clips=np.ones(3, int),
        level=np.array([0, 1, 0]),
    )
    filler = RowFiller(sizes, make_shape(rows=2, tokens=100))
    filler.fill(range(3))
    assert filler.levels == [1, 0, 0] and sorted(filler.rows[1:]) == [[0], [2]]
    shared = RowFiller(
        dataclasses.replace(sizes, tokens=np.array([60, 40, 60])), make_shape(rows=2, tokens=100)
    )
    assert shared.fill(range(3)) == [] and shared.levels == [1, 0] and shared.rows[0] == [1, 2]


def test_sections_are_filled_in_order_and_no_worse():
    """A row holds a section's groups and the few that the one before left."""
    rng = np.random.default_rng(6)
    tokens, targets = rng.integers(90, 400, 3000), np.ones(3000, int)
    sizes = dataclasses.replace(make_sizes(rng, 3000, 2), targets=targets, tokens=tokens)
    sections = [range(first, first + 300) for first in range(0, 3000, 300)]
    filler = RowFiller(sizes, make_shape(rows=4, tokens=1024, targets=256, clips=64))
    assert filler.fill_in_order(sections) == []
    assert sorted(g for row in filler.rows for g in row) == list(range(3000))
    late = [
        section - g // 300
        for row, section in zip(filler.rows, filler.sections, strict=True)
        for g in row
    ]
    assert set(late) == {0, 1} and late.count(1) < 0.08 * len(late)
    assert sizes.tokens.sum() / (1024 * len(filler.rows)) > 0.98


def test_an_empty_row_takes_half_of_the_fullest():
    sizes = Sizes(
        tokens=np.full(5, 10),
        targets=np.ones(5, int),
        clips=np.ones(5, int),
        level=np.array([0, 0, 1, 1, 0]),
    )
    filler = RowFiller(sizes, make_shape(rows=2, tokens=100))
    filler.fill_in_order([range(5)])
    assert len(filler.rows) == 2 and filler.open(0) and filler.open(0)
    filler.share_rows()
    assert sorted(g for row in filler.rows for g in row) == list(range(5)) and all(filler.rows)
    assert filler.levels == [max(sizes.level[row]) for row in filler.rows]


def test_rows_are_full():
    """Groups of an eighth to a half of a row, as utterances are."""
    rng = np.random.default_rng(5)
    sizes = dataclasses.replace(
        make_sizes(rng, 4000), targets=np.ones(4000, int), tokens=rng.integers(400, 1600, 4000)
    )
    filler = RowFiller(sizes, make_shape(rows=4, tokens=3584, targets=256, clips=64))
    filler.fill(range(4000))
    used = sum(bool(row) for row in filler.rows)
    assert sizes.tokens.sum() / (3584 * used) > 0.99


def test_halved_rows_are_spread():
    """Of a hundred full rows ten are halved, and not the first ten."""
    sizes = Sizes(
        tokens=np.full(400, 25),
        targets=np.ones(400, int),
        clips=np.ones(400, int),
        level=np.zeros(400, int),
    )
    filler = RowFiller(sizes, make_shape(rows=2, tokens=100))
    assert filler.fill(range(400)) == [] and all(filler.open(0) for _ in range(10))
    filler.share_rows()
    halved = [row for row, groups in enumerate(filler.rows[:100]) if len(groups) == 2]
    assert len(halved) == 10 and max(np.diff([0, *halved, 100])) < 25
