"""Krippendorff's alpha: the published example, simulated raters, and where there is none."""

import numpy as np
import pytest

from sift_jax.human_eval.agreement import compute_alpha

# The example of four coders and twelve units in Krippendorff's "Computing Krippendorff's
# Alpha-Reliability" (2011), whose interval alpha is .849.
CODERS = {
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}


def by_task(coders):
    tasks = range(len(next(iter(coders.values()))))
    return {
        str(task): {name: given[task] for name, given in coders.items() if given[task] is not None}
        for task in tasks
    }


def test_the_published_example_has_its_published_alpha():
    assert compute_alpha(by_task(CODERS)) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_simulated_raters_agree_as_much_as_they_were_made_to(noise):
    # of values with variance 1 and errors with variance n², alpha tends to 1 / (1 + n²)
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    coders = {name: truth + noise * rng.normal(size=4000) for name in "abc"}
    assert compute_alpha(by_task(coders)) == pytest.approx(1 / (1 + noise**2), abs=0.03)


def test_raters_who_avoid_each_other_are_below_chance():
    assert compute_alpha({str(n): {"a": 0, "b": 1} for n in range(10)}) < 0


def test_where_nothing_can_disagree_there_is_no_alpha():
    assert compute_alpha({}) is None
    assert compute_alpha({"1": {"a": 3}}) is None
    assert compute_alpha({"1": {"a": 3, "b": 3}, "2": {"a": 3, "b": 3}}) is None
