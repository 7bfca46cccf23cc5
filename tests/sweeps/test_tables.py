"""What is expected before a run, and what is said of what was seen."""

import json
import re
from pathlib import Path

import pytest
from made_sweep import write_tables

from sift_jax.sweeps.results import name_verdict
from sift_jax.sweeps.tables import TableError, read_tables

ROOT = Path(__file__).parents[2]
ARMS = ROOT / "configs" / "sweeps" / "small" / "ablations"
SIGNS = {"lower": -1, "none": 0, "higher": 1}


def test_the_sign_expected_is_that_of_a_published_difference_of_more_than_a_point(tmp_path):
    published = {"default": {"closed": 45.4}}
    arms = {"up": 46.5, "down": 34.3, "point_up": 46.4, "point_down": 44.4, "same": 45.4}
    tables = write_tables(
        tmp_path / "t.json", {**published, **{arm: {"closed": x} for arm, x in arms.items()}}
    )
    expected = {arm: tables.expect("default", arm, "closed") for arm in arms}
    assert expected == {"up": 1, "down": -1, "point_up": 0, "point_down": 0, "same": 0}
    assert tables.expect("down", "default", "closed") == 1
    assert tables.expect("default", "down", "one") is None
    assert tables.expect("default", "nobody", "closed") is None


@pytest.mark.parametrize(
    "expected, seen, verdict",
    [
        (-1, -1, "as published"),
        (1, 1, "as published"),
        (-1, 1, "against"),
        (1, -1, "against"),
        # an interval that holds zero agrees with nothing, and contradicts nothing
        (-1, 0, "no sign"),
        (0, 0, "no sign"),
        (None, 0, "no sign"),
        (0, -1, "seen"),
        (None, 1, "seen"),
        (-1, None, "not measurable at this size"),
        (None, None, "not measurable at this size"),
    ],
)
def test_a_verdict_is_what_the_interval_says_and_no_more(expected, seen, verdict):
    assert name_verdict(expected, seen) == verdict


def test_each_arm_says_before_the_run_what_is_expected():
    """The comments of the arms' files, and the rule over the published figures, are one."""
    tables = read_tables("configs/sweeps/tables/sift_ablations.json")
    said = {}
    for path in ARMS.glob("*.gin"):
        text = path.read_text(encoding="utf-8")
        if path.stem in ("start", "arm", "evaluate", "default"):
            continue
        found = re.search(r"Expected: (.+)\.$", text, re.MULTILINE)
        assert found, path
        said[path.stem] = found[1]
    assert len(said) == 15
    for arm, words in said.items():
        signs = {
            column: tables.expect("default", arm, column) for column in ("ds1", "closed", "open")
        }
        if words == "nothing":
            assert set(signs.values()) == {None}, arm
            continue
        told = dict(word.rsplit(" ", 1) for word in words.split(", "))
        assert signs == {
            "ds1": SIGNS[told["DS-1"]],
            "closed": SIGNS[told["closed"]],
            "open": SIGNS[told["open"]],
        }, arm


def test_a_file_that_is_no_table_is_one_line(tmp_path):
    path = tmp_path / "t.json"
    for text, message in (
        ("{", "is not a file of tables"),
        ("{}", "KeyError: 'columns'"),
        (
            json.dumps({"source": "", "columns": {}, "published": {"a": {"b": 1}}, "tables": []}),
            "has a column 'b', which is not among",
        ),
    ):
        path.write_text(text)
        with pytest.raises(TableError, match=message):
            read_tables(str(path))
    with pytest.raises(TableError, match="nowhere.json is not there"):
        read_tables("nowhere.json")
