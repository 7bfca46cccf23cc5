"""A stage that makes something else says so by its version: a build is made again by that, not by a
changed comment."""

import json

import pytest
from golden_stages import GOLDEN, make_parts

from data_prep.pipeline.build_stages import STAGES


def list_differences(ours, golden, place=""):
    """Places where two parts differ; figures may by a thousandth, as processors do."""
    if isinstance(ours, dict) and isinstance(golden, dict):
        names = sorted({*ours, *golden})
        found = [list_differences(ours.get(k), golden.get(k), f"{place}/{k}") for k in names]
        return [each for listed in found for each in listed]
    if isinstance(ours, list) and isinstance(golden, list) and len(ours) == len(golden):
        pairs = enumerate(zip(ours, golden, strict=True))
        found = [list_differences(a, b, f"{place}[{number}]") for number, (a, b) in pairs]
        return [each for listed in found for each in listed]
    is_figure = isinstance(ours, float) or isinstance(golden, float)
    if is_figure and None not in (ours, golden):
        return [] if ours == pytest.approx(golden, rel=1e-3, abs=2e-3) else [place]
    return [] if ours == golden else [f"{place}: {golden!r} became {ours!r}"[:300]]


def test_what_a_stage_makes_is_what_its_version_made(tmp_path):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    parts = make_parts(tmp_path / "build")
    for name in STAGES:
        found, kept = parts[name], golden[name]
        if found["version"] == kept["version"]:
            places = list_differences(found["part"], kept["part"])
            assert not places, (
                f"the stage {name} makes something else: raise its version in "
                "data_prep/pipeline/build_stages.py, then python tests/refresh_golden.py; "
                f"{places[:3]}"
            )
        else:
            pytest.fail(f"{name} has a new version; python tests/refresh_golden.py, and look")


def test_a_figure_may_differ_by_a_thousandth_and_a_text_by_nothing():
    assert not list_differences({"a": [1.0, "x"]}, {"a": [1.0005, "x"]})
    assert list_differences({"a": [1.0]}, {"a": [1.1]}) == ["/a[0]"]
    assert list_differences({"a": "x"}, {"a": "y", "b": 1})
