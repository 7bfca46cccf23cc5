"""Two systems on the same items."""

import numpy as np
import pytest
from scipy.stats import binomtest
from scored_items import make_item

from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.paired import compare_systems, find_mcnemar
from sift_jax.evaluation.scores.schema import Prediction

BOOTSTRAP = BootstrapConfig(samples=999, confidence=0.95, seed=0)


def compare(items, first, second):
    def answer(answers):
        return [
            Prediction(item=i, answer=a)
            for i, a in zip(items, answers, strict=True)
            if a is not None
        ], ()

    return compare_systems(items, answer(first), answer(second), BOOTSTRAP)


def test_mcnemar_is_the_binomial_over_the_items_that_differ():
    items = [make_item(n, "yes", language="") for n in range(40)]
    first = ["yes"] * 3 + ["no"] * 11 + ["yes"] * 20 + ["no"] * 6
    second = ["no"] * 3 + ["yes"] * 11 + ["yes"] * 20 + ["no"] * 6
    (found,) = compare(items, first, second)
    assert (found.only_first, found.only_second, found.n) == (3, 11, 40)
    assert found.p == pytest.approx(binomtest(3, 14, 0.5).pvalue) == pytest.approx(0.0574, abs=1e-4)
    assert found.test == "exact McNemar" and found.difference == pytest.approx(0.2)
    assert found.low < 0.2 < found.high


def test_equal_systems_have_no_difference():
    items = [make_item(n, "a b c", metrics=("wer",)) for n in range(10)]
    (found,) = compare(items, ["a b"] * 10, ["a b"] * 10)
    assert (found.p, found.difference, found.low, found.high) == (1.0, 0.0, 0.0, 0.0)
    assert find_mcnemar(0, 0) == 1.0


def test_a_clear_difference_of_rates_is_found_and_a_chance_one_is_not():
    rng = np.random.default_rng(5)
    items = [make_item(n, "a b c d", metrics=("wer",), language="de") for n in range(60)]
    good = ["a b c d" if rng.random() < 0.9 else "a b c" for _ in items]
    bad = ["a b c d" if rng.random() < 0.3 else "a b" for _ in items]
    (clear,) = compare(items, bad, good)
    assert clear.p == pytest.approx(1 / 1000) and clear.difference < 0 and clear.high < 0
    assert clear.only_second > clear.only_first, "a lower rate of errors is the better one"
    (chance,) = compare(items, good, good[::-1])
    assert chance.p > 0.2 and chance.low < 0 < chance.high


def test_swaps_are_uniform_where_nothing_differs_but_chance():
    rng = np.random.default_rng(1)
    items = [make_item(n, "a b c d e", metrics=("wer",), language="de") for n in range(30)]
    ps = []
    for _ in range(40):
        answers = [[" ".join("abcde"[: rng.integers(1, 6)]) for _ in items] for _ in range(2)]
        ps.append(compare(items, *answers)[0].p)
    assert 0.3 < np.mean(ps) < 0.7 and np.mean(np.asarray(ps) < 0.05) < 0.2


def test_only_items_that_both_answered_are_compared():
    items = [make_item(n, "yes") for n in range(4)]
    (found,) = compare(items, ["yes", "no", None, "yes"], ["yes", "yes", "yes", None])
    assert found.n == 2 and found.difference == 0.5
    assert compare(items, [None] * 4, ["yes"] * 4) == []
