"""Intervals over seeds and recordings, and the signs of planted differences."""

import numpy as np
import pytest
from made_sweep import SUBSETS, draw_scores, make_part, make_result, write_tables

from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.sweeps.figures import describe_difference, describe_figure, find_sign

BOOTSTRAP = BootstrapConfig(samples=600, confidence=0.95, seed=0)


@pytest.fixture
def columns(tmp_path):
    return write_tables(tmp_path / "t.json", {}).columns


def make_runs(arm, rng, chances, **given):
    """A seed for each (chance of the first subset, of the second)."""
    return [
        make_result(
            arm,
            seed,
            tuple(
                make_part(draw_scores(rng, chance, **given), subset=subset)
                for subset, chance in zip(SUBSETS, pair, strict=True)
            ),
        )
        for seed, pair in enumerate(chances)
    ]


def test_a_figure_is_the_plain_mean_of_its_subsets(columns):
    """Of 1 right of 4 and 8 of 8 it is .625, and not 9 of 12."""
    parts = (
        make_part(np.array([[1.0, 4.0]]), subset=SUBSETS[0]),
        make_part(np.array([[4.0, 4.0], [4.0, 4.0]]), subset=SUBSETS[1], majority=0.5),
        # of another language, which the column leaves out
        make_part(np.array([[0.0, 9.0]]), subset=SUBSETS[0], language="de"),
    )
    told = describe_figure([make_result("one", 0, parts)], columns["closed"], BOOTSTRAP)
    assert told["figure"] == pytest.approx(0.625) and told["of_seeds"] == [told["figure"]]
    assert told["majority"] == pytest.approx(0.4)
    assert (told["recordings"], told["items"]) == (2, 12)
    assert describe_figure([make_result("one", 0, parts)], columns["nowhere"], BOOTSTRAP) is None


def test_the_interval_of_recordings_is_that_of_a_known_case(columns):
    """60 recordings of 4 questions, all right or all wrong: the standard error of a half is
    .5 / √60, and four questions a recording make it no smaller."""
    scores = np.array([[4.0, 4.0], [0.0, 4.0]] * 30)
    told = describe_figure([make_result("a", 0, (make_part(scores),))], columns["one"], BOOTSTRAP)
    assert (told["high"] - told["low"]) / 2 == pytest.approx(1.96 * 0.5 / 60**0.5, rel=0.12)


def test_seeds_that_differ_widen_the_interval(columns):
    """Two pairs of arms with the same mean: in one the seeds agree, in the other they do not."""
    widths = []
    for chances in ([0.6] * 3, [0.4, 0.6, 0.8]):
        runs = make_runs("a", np.random.default_rng(0), [(c, c) for c in chances], recordings=400)
        told = describe_figure(runs, columns["closed"], BOOTSTRAP)
        assert told["low"] < 0.6 < told["high"]
        widths.append(told["high"] - told["low"])
    assert widths[0] < 0.05 and widths[1] > 0.2


def test_intervals_hold_the_truth_about_as_often_as_they_say(columns):
    """Recordings of differing difficulty, one run: 95 of 100 intervals hold the truth, within what
    100 tries can tell."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(100):
        chances = rng.beta(2, 2, 80)
        scores = np.stack([rng.binomial(4, chances), np.full(80, 4)], axis=1).astype(float)
        run = make_result("a", 0, (make_part(scores),))
        told = describe_figure(
            [run], columns["one"], BootstrapConfig(samples=300, confidence=0.95, seed=0)
        )
        held += told["low"] <= 0.5 <= told["high"]
    assert 88 <= held <= 99


def test_signs_are_those_of_planted_differences(columns):
    rng = np.random.default_rng(0)
    default = make_runs("default", rng, [(0.6, 0.5)] * 3)
    better, same = (make_runs("x", rng, [pair] * 3) for pair in ((0.8, 0.7), (0.6, 0.5)))
    found = describe_difference(default, better, columns["closed"], BOOTSTRAP)
    assert found["seen"] == 1 and found["low"] < 0.2 < found["high"] and found["p"] < 0.01
    assert found["difference"] == pytest.approx(0.2, abs=0.05) and len(found["of_seeds"]) == 3
    found = describe_difference(better, default, columns["closed"], BOOTSTRAP)
    assert found["seen"] == -1
    found = describe_difference(default, same, columns["closed"], BOOTSTRAP)
    assert found["seen"] == 0 and found["p"] > 0.05


def test_both_arms_of_a_difference_are_drawn_alike(columns):
    """What is hard for both is no difference: one question more right in each recording has an
    interval of nothing, where the figures themselves are uncertain."""
    scores = np.array([[k % 4, 4.0] for k in range(60)], float)
    first = [make_result("a", 0, (make_part(scores),))]
    second = [make_result("b", 0, (make_part(scores + [[1.0, 0.0]]),))]
    found = describe_difference(first, second, columns["one"], BOOTSTRAP)
    assert found["low"] == pytest.approx(0.25) and found["high"] == pytest.approx(0.25)
    told = describe_figure(first, columns["one"], BOOTSTRAP)
    assert told["high"] - told["low"] > 0.1


def test_arms_are_compared_by_the_seeds_that_both_have(columns):
    rng = np.random.default_rng(0)
    first, second = (make_runs(arm, rng, [(0.5, 0.5)] * 3) for arm in ("a", "b"))
    found = describe_difference(first, second[1:], columns["closed"], BOOTSTRAP)
    assert found["seeds"] == [1, 2]
    assert describe_difference(first[:1], second[1:], columns["closed"], BOOTSTRAP) is None


def test_an_interval_that_holds_zero_has_no_sign():
    assert [find_sign(*pair) for pair in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2), (0.0, 0.2))] == [
        1,
        -1,
        0,
        0,
    ]
    assert find_sign(None, None) == 0
