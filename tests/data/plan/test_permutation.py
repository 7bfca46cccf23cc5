"""Orders that are computed: bijections, unlike each other, and the same on every machine."""

import itertools
from collections import Counter

import numpy as np
import pytest

from sift_jax.data.plan.permutation import make_key, mix_keys, permute


@pytest.mark.parametrize("size", [1, 2, 6, 255, 256, 257, 5000])
def test_every_place_is_taken_once(size):
    places = np.arange(size)
    first, second = (
        permute(places, size, np.full(size, make_key("epoch", e), np.uint64)) for e in (0, 1)
    )
    assert sorted(first) == sorted(second) == list(range(size))
    if size > 6:
        assert (first != second).mean() > 0.9 and (first != places).mean() > 0.9


def test_any_part_of_an_order_can_be_asked_for():
    whole = permute(np.arange(1000), 1000, np.uint64(7))
    asked = np.array([999, 3, 500])
    np.testing.assert_array_equal(permute(asked, 1000, np.uint64(7)), whole[asked])


def test_places_of_several_epochs_can_be_asked_for_at_once():
    keys = mix_keys(5, np.repeat([0, 1, 2], 10))
    found = permute(np.tile(np.arange(10), 3), 10, keys).reshape(3, 10)
    assert all(sorted(row) == list(range(10)) for row in found)
    assert len({tuple(row) for row in found}) == 3


def test_all_orders_of_a_few_are_equally_common():
    """24 orders of four, drawn 12,000 times: a chi-square of 23 degrees of freedom stays below its
    99.99 % point."""
    draws = 12_000
    found = permute(
        np.tile(np.arange(4), draws), 4, mix_keys(1, np.repeat(np.arange(draws), 4))
    ).reshape(draws, 4)
    counts = Counter(map(tuple, found.tolist()))
    expected = draws / 24
    assert (
        sum(
            (counts[order] - expected) ** 2 / expected for order in itertools.permutations(range(4))
        )
        < 55.0
    )


def test_neighbours_do_not_stay_neighbours():
    found = permute(np.arange(20_000), 20_000, np.uint64(3))
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.03


def test_fifty_million_need_no_array():
    found = permute(np.array([0, 1, 49_999_999]), 50_000_000, np.uint64(11))
    assert len(set(found.tolist())) == 3 and (found < 50_000_000).all()


def test_the_order_is_promised_for_ever():
    """A run that is resumed after an upgrade must find its place again."""
    assert make_key("a", 1) == make_key("a", 1) != make_key("a", 2)
    assert permute(np.arange(6), 6, np.uint64(42)).tolist() == FIXED


FIXED = [2, 5, 4, 3, 1, 0]
