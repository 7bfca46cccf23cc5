"""Classes of the recording itself: the same for every corpus, none in doubt, none where nothing
supports one."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.build import parse_arguments
from data_prep.metadata import absolute
from data_prep.metadata.absolute import (
    ABSOLUTE_KEYS,
    NOTICED_DB,
    find_bounds,
    find_edges,
    find_place,
    find_scales,
)
from data_prep.metadata.bins import (
    bound_values,
    label_values,
    make_bins,
    read_bins,
    write_bins,
)
from data_prep.metadata.experts import DEFAULT_EXPERTS, parse_experts
from sift_jax.sift.labels import ACOUSTIC_LABELS

CALIBRATION = json.loads(
    Path(absolute.__file__).with_name("calibration.json").read_text(encoding="utf-8")
)


def make_rows(snr, count=70, c50=30.0):
    return [
        {
            "id": str(i),
            "gender": "male",
            "values": {
                "noise_level": float(value),
                "average_pitch": 100.0 + i,
                "reverberation": c50,
            },
            "evenness": -2.0,
        }
        for i, value in enumerate(snr + np.linspace(-1, 1, count))
    ]


@pytest.mark.parametrize(
    "snr, told",
    [(50.0, {"very clean"}), (30.0, {"clean"}), (14.5, {"slightly noisy"}), (0.0, {"very noisy"})],
)
def test_a_class_does_not_depend_on_the_rest_of_the_corpus(snr, told):
    rows = make_rows(snr)
    bins = make_bins(rows, ACOUSTIC_LABELS, "absolute", find_scales(DEFAULT_EXPERTS))
    labels = [label_values(row, bins, ACOUSTIC_LABELS) for row in rows]
    assert {found["noise_level"] for found in labels if "noise_level" in found} == told
    # How high a voice is stays a place in the corpus.
    assert {found["average_pitch"] for found in labels} == set(ACOUSTIC_LABELS["average_pitch"])


def test_a_value_near_an_edge_has_no_class():
    scale = find_scales([("noise_level", "gaps")])["noise_level"]

    def place(snr, c50=30.0, evenness=-2.0):
        values = {"noise_level": snr, "reverberation": c50, "evenness": evenness}
        return find_place("noise_level", values, scale.describe())

    for edge in set(scale.edges):
        for value, is_told in (
            (edge - scale.below - 0.01, True),
            (edge, False),
            (edge + scale.above - 0.01, False),
            (edge + scale.above, True),
        ):
            assert (place(value) is not None) == is_told, (edge, value)
    assert place(-5.0) == 0 and place(80.0) == len(scale.edges)
    # The tail of a room fills the pauses, and reads as noise; what is clean in spite of it is
    # clean.
    assert place(14.0) == 2 and place(14.0, c50=6.0) is None and place(40.0, c50=6.0) == 6
    # So does speech that dies away, which is not even.
    assert place(14.0, evenness=-15.0) is None and place(40.0, evenness=-15.0) == 6


def bound(key, name, **values):
    table = find_scales([(key, name)])[key].describe()
    return find_bounds(key, {"seconds": 3.0, "evenness": -2.0} | values, table)


def test_noise_has_no_upper_bound_where_something_else_may_be_what_is_read():
    assert bound("noise_level", "gaps", noise_level=14.0, reverberation=30.0) == (11.0, 17.0)
    # A room reads as noise: how clean it is without, nobody can tell.
    assert bound("noise_level", "gaps", noise_level=14.0, reverberation=6.0) == (11.0, None)
    # So does speech that dies away, where no pause is left: from 25 dB on, or by its fall.
    assert bound("noise_level", "gaps", noise_level=14.0, reverberation=30.0, evenness=-15.0) == (
        11.0,
        None,
    )
    assert bound("noise_level", "gaps", noise_level=28.0, reverberation=30.0) == (25.0, None)


def test_bounds_of_distance_need_quiet_and_more_than_a_word():
    values = {"noise_level": 40.0, "reverberation": 6.0}
    assert bound("reverberation", "ridge", **values) == (1.0, 11.0)
    assert bound("reverberation", "ridge", **{**values, "noise_level": 12.0}) is None
    assert bound("reverberation", "ridge", reverberation=6.0) is None
    assert bound("reverberation", "ridge", **values, seconds=0.6) == (1.0, None)
    assert bound("reverberation", "ridge", **{**values, "reverberation": 22.0}) == (17.0, None)


def test_a_measure_that_was_not_tried_has_no_bounds():
    assert bound("noise_level", "brouhaha", noise_level=14.0, reverberation=30.0) is None
    rows = make_rows(14.5)
    bins = make_bins(rows, ACOUSTIC_LABELS, "corpus")
    assert bound_values(rows[0], bins) == {}


def test_recordings_without_a_class_have_bounds():
    rows = [{**row, "duration": 3.0} for row in make_rows(10.0)]
    bins = make_bins(rows, ACOUSTIC_LABELS, "absolute", find_scales(DEFAULT_EXPERTS))
    doubtful = [
        row for row in rows if "noise_level" not in label_values(row, bins, ACOUSTIC_LABELS)
    ]
    assert doubtful
    for row in doubtful:
        low, high = bound_values(row, bins)["noise_level"]
        assert low < row["values"]["noise_level"] < high
        assert "noise_level" not in bound_values({**row, "in_doubt": ["noise_level"]}, bins)


def test_a_distance_is_not_told_in_noise():
    scale = find_scales([("reverberation", "ridge")])["reverberation"]
    for snr, told in ((40.0, 4), (12.0, None)):
        assert (
            find_place(
                "reverberation", {"noise_level": snr, "reverberation": 35.0}, scale.describe()
            )
            == told
        )
    assert find_place("reverberation", {"reverberation": 35.0}, scale.describe()) is None


def test_a_room_is_not_told_of_a_single_word():
    scales = find_scales(DEFAULT_EXPERTS)
    rows = [
        {**row, "values": {**row["values"], "reverberation": c50}, "duration": seconds}
        for row in make_rows(50.0, count=7)
        for seconds in (0.6, 2.0)
        for c50 in (3.0, 35.0)
    ]
    bins = make_bins(rows, ACOUSTIC_LABELS, "absolute", scales)
    told = {
        (row["duration"], row["values"]["reverberation"]): label_values(
            row, bins, ACOUSTIC_LABELS
        ).get("reverberation")
        for row in rows
    }
    assert told == {
        (0.6, 3.0): None,
        (0.6, 35.0): "very close-sounding",
        (2.0, 3.0): "distant-sounding",
        (2.0, 35.0): "very close-sounding",
    }


def test_energy_says_nothing_of_distortion(tmp_path):
    """It hears lasting noise: a clipped recording without any has "no audible distortion" by it."""
    scales = find_scales(parse_experts("distortion_level=energy"))
    assert scales["distortion_level"] is None
    rows = [
        {**row, "values": {**row["values"], "distortion_level": 20.0}} for row in make_rows(20.0)
    ]
    bins = make_bins(rows, ACOUSTIC_LABELS, "absolute", scales)
    assert all("distortion_level" not in label_values(row, bins, ACOUSTIC_LABELS) for row in rows)
    write_bins(bins, tmp_path / "bins.json")
    assert read_bins(tmp_path / "bins.json", ACOUSTIC_LABELS) == bins


def test_claims_and_edges_fit_each_other(tmp_path, capsys):
    relative = make_bins(make_rows(30.0), ACOUSTIC_LABELS)
    write_bins(relative, tmp_path / "older.json")
    assert read_bins(tmp_path / "older.json", ACOUSTIC_LABELS) == relative
    for edges in ("corpus", "data_speech", str(tmp_path / "older.json")):
        with pytest.raises(SystemExit):
            parse_arguments(["--out=x", f"--edges={edges}"])
        error = capsys.readouterr().err
        assert f"--edges={edges} has places within a corpus for noise_level" in error
        assert "give --claims=paper with it" in error and error.count("\n") == 1
        assert (
            parse_arguments(["--out=x", "--claims=paper", f"--edges={edges}"]).measuring.edges
            == edges
        )
    assert parse_arguments(["--out=x"]).measuring.edges == "absolute"
    assert parse_arguments(["--out=x", "--claims=paper"]).measuring.edges == "corpus"


def test_each_scale_fits_its_labels_and_rises():
    for (key, name), scale in absolute._SCALES.items():
        assert key in ABSOLUTE_KEYS and len(scale.edges) == len(ACOUSTIC_LABELS[key]) - 1
        assert (
            list(scale.edges) == sorted(scale.edges)
            and scale.basis
            and min(scale.above, scale.below) >= 0
        ), name


@pytest.mark.parametrize("measure", ["noise_level=gaps", "reverberation=ridge"])
def test_the_calibration_bears_the_doubts_out(measure):
    """Of a class that is told, the truth is further off than listeners notice in one of a hundred
    readings at most."""
    key, _, name = measure.partition("=")
    found = CALIBRATION["measures"][measure]["scale"]
    assert found["n"] >= 500 and found["told"] > 0.15 * found["n"]
    assert found["untrue"] / found["told"] <= 0.01
    assert sum(CALIBRATION["clips"].values()) >= 200 and NOTICED_DB == 3.0 and find_edges(key)


@pytest.mark.parametrize("measure", ["noise_level=gaps", "reverberation=ridge"])
def test_the_calibration_bears_the_bounds_out(measure):
    """Of two whose bounds do not overlap the order is wrong in one of a hundred at most."""
    found = CALIBRATION["measures"][measure]["orders"]
    assert found["told"] > 0.05 * found["n"] > 10_000
    assert found["untrue"] / found["told"] <= 0.01
