"""Results of runs: their files, and what is gathered from files alone."""

import dataclasses
import json

import numpy as np
import pytest
from made_sweep import SUBSETS, draw_scores, make_part, make_plan, make_result, write_tables

from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.sweeps.page import make_document
from sift_jax.sweeps.result_files import ResultError, place_result, read_result, write_result
from sift_jax.sweeps.results import QuestionsConfig, gather_results, read_finished, read_places

BOOTSTRAP = BootstrapConfig(samples=200, confidence=0.95, seed=0)
PUBLISHED = {
    "default": {"closed": 45.4, "nowhere": 57.3},
    "less": {"closed": 34.3, "nowhere": 56.1},
}


def make_questions(**changes):
    given = {
        "title": "T <b>",
        "rows": {"default": "default", "less": "no comparison", "half": "half"},
        "baseline": "default",
        "differences": {"without": ("default", "less"), "half of it": ("default", "half")},
        "curve": {"default": 1.0, "half": 0.5},
        "curve_title": "Data volume",
        "curve_axis": "share",
        "curve_columns": ("closed",),
        "curve_file": "",
    }
    return QuestionsConfig(**{**given, **changes})


@pytest.fixture
def plan():
    return make_plan(arms={"default": {}, "less": {}, "half": {}}, evaluate_arms={}, seeds=(0, 1))


def write_runs(folder, chances, majority=0.3):
    rng = np.random.default_rng(0)
    for arm, chance in chances.items():
        for seed in (0, 1):
            parts = tuple(
                make_part(draw_scores(rng, chance), subset=subset, majority=majority)
                for subset in SUBSETS
            )
            write_result(folder, make_result(arm, seed, parts))


def gather(plan, folder, tables, **changes):
    finished = read_finished(plan, folder)
    return gather_results(plan, make_questions(**changes), tables, BOOTSTRAP, finished)


def test_a_result_is_read_as_it_was_written(tmp_path):
    result = make_result("one", 3, (make_part(np.array([[1.0, 2.0], [1 / 3, 1.0]])),))
    path = write_result(tmp_path, result)
    assert path == place_result(tmp_path, "one", 3) and path.stat().st_size < 1000
    assert read_result(tmp_path, "one", 3) == result
    assert result.parts[0].sums == {"00000000": (1.0, 2.0), "00000001": (0.333333, 1.0)}
    assert read_result(tmp_path, "one", 4) is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format": 9}, "has format 9"),
        ({"arm": "two"}, "give it the name two.3.json"),
        ({"parts": [{}]}, "is not a result of a run"),
        ({"parts": None}, "is not a result of a run"),
    ],
)
def test_a_file_that_is_no_result_is_one_line(tmp_path, change, message):
    path = write_result(tmp_path, make_result("one", 3, ()))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ResultError, match=message):
        read_result(tmp_path, "one", 3)
    path.write_text("{")
    with pytest.raises(ResultError, match="remove it, and the run is made again"):
        read_result(tmp_path, "one", 3)


def test_signs_expected_and_seen_stand_beside_each_other(tmp_path, plan):
    write_runs(tmp_path, {"default": 0.7, "less": 0.5, "half": 0.7})
    told = gather(plan, tmp_path, write_tables(tmp_path / "t.json", PUBLISHED))
    without, half = (asked["columns"]["closed"] for asked in told["differences"])
    assert (without["expected"], without["seen"], without["verdict"]) == (-1, -1, "as published")
    assert (half["expected"], half["seen"], half["verdict"]) == (None, 0, "no sign")
    assert told["curve"]["places"] == {"default": 1.0, "half": 0.5} and told["missing"] == []
    # what was not asked has published figures alone
    assert "nowhere" not in told["arms"]["default"] and "nowhere" not in told["differences"][0]
    document = make_document(told)
    page, text = document.write_html(), document.write_markdown()
    assert "<polyline" in page and "T &lt;b&gt;" in page and "<b>T" not in page
    assert (
        "*45.4 %*" in text
        and "*57.3 %*" in text
        and "expected lower, seen lower: as published" in text
    )


def test_a_sign_against_the_published_one_is_said(tmp_path, plan):
    write_runs(tmp_path, {"default": 0.5, "less": 0.7})
    told = gather(plan, tmp_path, write_tables(tmp_path / "t.json", PUBLISHED))
    assert told["differences"][0]["columns"]["closed"]["verdict"] == "against"
    assert told["missing"] == ["half.0", "half.1"]
    text = make_document(told).write_markdown()
    assert "expected lower, seen higher: against" in text and "half (0 of 2)" in text


def test_an_arm_that_lacks_a_seed_is_in_no_table(tmp_path, plan):
    write_runs(tmp_path, {"default": 0.5, "less": 0.7})
    place_result(tmp_path, "less", 1).unlink()
    told = gather(plan, tmp_path, write_tables(tmp_path / "t.json", PUBLISHED))
    assert set(told["arms"]) == {"default"} and told["differences"] == []
    assert told["missing"] == ["less.1", "half.0", "half.1"]
    assert "less (1 of 2), half (0 of 2)" in make_document(told).write_markdown()


def test_what_is_not_above_the_commonest_answer_carries_no_sign(tmp_path, plan):
    """The arms differ plainly, and the default cannot be told from an answer that hears nothing."""
    write_runs(tmp_path, {"default": 0.7, "less": 0.4}, majority=0.7)
    tables = write_tables(tmp_path / "t.json", PUBLISHED)
    told = gather(plan, tmp_path, tables)
    assert told["columns"]["closed"]["is_measurable"] is False
    found = told["differences"][0]["columns"]["closed"]
    assert found["seen"] is None and found["verdict"] == "not measurable at this size"
    text = make_document(told).write_markdown()
    assert "not measurable at this size" in text and "seen lower" not in text
    # by an arm that is above it, a column is measured
    column = dataclasses.replace(tables.columns["closed"], measured_by="half")
    measured = dataclasses.replace(tables, columns={**tables.columns, "closed": column})
    write_runs(tmp_path, {"half": 0.9}, majority=0.7)
    assert gather(plan, tmp_path, measured)["columns"]["closed"]["is_measurable"] is True


def test_results_of_two_configs_are_no_arm(tmp_path, plan):
    write_runs(tmp_path, {"default": 0.5})
    result = read_result(tmp_path, "default", 1)
    write_result(tmp_path, dataclasses.replace(result, digest="other"))
    with pytest.raises(
        ResultError, match="default are of different configs .seed 0: d, seed 1: ot"
    ):
        read_finished(plan, tmp_path)


def test_questions_about_what_is_not_there_are_refused(tmp_path, plan):
    tables = write_tables(tmp_path / "t.json", PUBLISHED)
    make_questions().check(plan, tables)
    for changes, message in (
        ({"baseline": "nobody"}, "'nobody', which is not an arm"),
        ({"differences": {"x": ("default", "nobody")}}, "'nobody', which is not an arm"),
        ({"curve_columns": ("none",)}, "'none', which is not a column"),
    ):
        with pytest.raises(ValueError, match=message):
            make_questions(**changes).check(plan, tables)


def test_a_place_on_the_axis_may_be_measured(tmp_path, plan):
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"word_error_rates": {"half": 0.201}}))
    questions = make_questions(curve={"default": 0.0, "half": "half"}, curve_file=str(path))
    assert read_places(plan, questions) == {"default": 0.0, "half": pytest.approx(20.1)}
    with pytest.raises(ValueError, match="has no word error rate of 'less'"):
        read_places(plan, make_questions(curve={"less": "less"}, curve_file=str(path)))
    path.unlink()
    with pytest.raises(ValueError, match="report.json is not there, from which the curve has its"):
        read_places(plan, questions)
