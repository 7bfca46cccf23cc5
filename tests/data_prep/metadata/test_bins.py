"""Classes: equal width where values are even, equal count where they crowd, apart by gender for
pitch."""

import numpy as np
import pytest

from data_prep.metadata.bins import (
    DATA_SPEECH_EDGES,
    label_values,
    make_bins,
    make_edges,
    name_length,
    read_bins,
    write_bins,
)
from sift_jax.sift.labels import ACOUSTIC_LABELS

LABELS = {
    "average_pitch": tuple("abcdefg"),
    "average_intensity": ("softly", "moderate volume", "loudly"),
}


def make_row(gender, hz, level):
    return {
        "id": "x",
        "gender": gender,
        "values": {"average_pitch": hz, "average_intensity": level},
    }


def test_even_values_get_equal_width_and_ignore_outliers():
    table = make_edges([*np.linspace(0, 70, 1000), 10_000.0], 7)
    assert table["method"] == "equal width"
    np.testing.assert_allclose(table["edges"], np.arange(10, 70, 10), atol=1.5)


def test_crowded_values_get_equal_count():
    values = np.random.default_rng(0).standard_normal(4_000)
    table = make_edges(values, 7)
    shares = np.bincount(np.searchsorted(table["edges"], values), minlength=7) / len(values)
    assert table["method"] == "equal count"
    assert shares.max() < 0.15


def test_labels_run_low_to_high_within_a_gender():
    women = [
        make_row("female", hz, level) for hz, level in zip(range(160, 300), range(140), strict=True)
    ]
    men = [
        make_row("male", hz - 80, -row["values"]["average_intensity"])
        for hz, row in zip(range(160, 300), women, strict=True)
    ]
    bins = make_bins(women + men, LABELS)
    assert label_values(make_row("female", 165, -200), bins, LABELS) == {
        "average_pitch": "a",
        "average_intensity": "softly",
    }
    assert label_values(make_row("male", 215, 200), bins, LABELS) == {
        "average_pitch": "g",
        "average_intensity": "loudly",
    }


def test_too_few_values_name_the_remedy():
    with pytest.raises(ValueError, match="no training utterance was measured.*raise --train"):
        make_bins([], LABELS)
    with pytest.raises(
        ValueError, match="of 2 training utterances no key can .*fewer keys out of --experts"
    ):
        make_bins([make_row(None, 100, -1) | {"values": {}}] * 2, LABELS)
    with pytest.raises(ValueError, match="raise --train"):
        make_edges([1.0], 7)
    bins = make_bins([make_row("male", 100 + i, -i) for i in range(20)], LABELS)
    with pytest.raises(ValueError, match="no average_pitch bins for female.*raise --train"):
        label_values(make_row("female", 200, -10), bins, LABELS)


def make_measured(gender="female", **values):
    return {"id": "x", "gender": gender, "values": values}


def test_edges_of_data_speech_are_its_own_and_the_rest_is_the_corpus():
    rows = [make_measured(noise_level=float(i), average_intensity=-float(i)) for i in range(1, 50)]
    bins = make_bins(rows, ACOUSTIC_LABELS, edges="data_speech")
    assert bins["average_intensity"] == make_bins(rows, ACOUSTIC_LABELS)["average_intensity"]
    names = [
        label_values(make_measured(noise_level=db), bins, ACOUSTIC_LABELS)["noise_level"]
        for db in (3.0, 20.0, 26.0, 34.0, 45.0, 51.0, 60.0, 80.0)
    ]
    assert names == ["very noisy", *ACOUSTIC_LABELS["noise_level"]]
    for key, edges in DATA_SPEECH_EDGES.items():
        assert len(edges) == len(ACOUSTIC_LABELS[key]) - 1
    with pytest.raises(
        ValueError, match="no edges 'theirs'; choose of absolute, corpus, data_speech"
    ):
        make_bins(rows, ACOUSTIC_LABELS, edges="theirs")


def test_values_that_cannot_be_do_not_move_edges():
    rows = [make_row("male", 80 + i, -i) for i in range(60)]
    broken = [make_row("male", hz, -5) for hz in (float("nan"), 9_000.0, None, 1.0)]
    assert (
        make_bins(rows + broken, LABELS)["average_pitch"]
        == make_bins(rows, LABELS)["average_pitch"]
    )


def test_voices_of_unknown_gender_have_no_class_of_pitch():
    rows = [
        make_row(gender, low + i, -10 - i)
        for gender, low in (("male", 100), ("female", 200))
        for i in range(40)
    ]
    for gender in ("unknown", None, ""):
        unknown = make_row(gender, 400, -10)
        bins = make_bins([*rows, unknown], LABELS)
        assert bins["average_pitch"] == make_bins(rows, LABELS)["average_pitch"]
        assert label_values(unknown, bins, LABELS) == {"average_intensity": "loudly"}


def test_bins_are_written_read_and_checked(tmp_path):
    bins = make_bins([make_row("male", 100 + i, -10 - i) for i in range(40)], LABELS)
    write_bins(bins, tmp_path / "bins.json")
    assert read_bins(tmp_path / "bins.json", LABELS) == bins
    with pytest.raises(ValueError, match="no bins for noise_level.*--experts=noise_level=none"):
        label_values(make_measured(noise_level=3.0), bins, ACOUSTIC_LABELS)
    for text, message in (
        ('{"average_intensity": {"all": {"edges": [3, 1]}}}', "needs 2 rising edges"),
        ('{"shoe_size": {"all": {"edges": [3]}}}', "shoe_size of all needs 0"),
        ('{"average_intensity": {"all": {"edges": [1, "x"]}}}', "not a table of bins"),
        ('{"average_intensity": {"all": {"edges": 5}}}', "not a table of bins"),
        ('{"average_intensity": {"all": {"edges": [NaN, 1]}}}', "needs 2 rising edges"),
        ("[1]", "not a table of bins"),
        ("{", "not a table of bins"),
    ):
        (tmp_path / "bins.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_bins(tmp_path / "bins.json", LABELS)
    with pytest.raises(ValueError, match="cannot be read"):
        read_bins(tmp_path / "none.json", LABELS)


@pytest.mark.parametrize("shortest", [2, 25])
def test_sentences_are_as_long_as_those_of_their_corpus(tmp_path, shortest):
    """Also where each has dozens of words, every class has about a third of them."""
    rng = np.random.default_rng(1)
    rows = [
        make_row("male", 100 + i % 40, -10 - i % 20)
        | {"transcript": " ".join(["word"] * int(count))}
        for i, count in enumerate(rng.integers(shortest, shortest + 12, 300))
    ]
    bins = make_bins(rows, LABELS)
    write_bins(bins, tmp_path / "bins.json")
    assert read_bins(tmp_path / "bins.json", LABELS) == bins
    lengths = [name_length(row["transcript"], bins) for row in rows]
    assert all(
        0.25 < lengths.count(name) / len(rows) < 0.42 for name in ("short", "medium", "long")
    )
    assert name_length("one", bins) == "short" and name_length("word " * 60, bins) == "long"
    assert name_length("one", {}) is None


def test_the_level_of_each_named_corpus_is_its_own():
    rows = [
        {
            "id": f"{corpus}{i}",
            "gender": None,
            "values": {"average_intensity": level + i / 10},
            "collection": corpus,
        }
        for corpus, level in (("near", -15.0), ("far", -45.0))
        for i in range(60)
    ]
    bins = make_bins(rows, LABELS)
    labels = [label_values(row, bins, LABELS)["average_intensity"] for row in rows]
    for first in (0, 60):
        assert all(
            15 < labels[first : first + 60].count(name) < 25 for name in LABELS["average_intensity"]
        )
    # One that training knows too little of, or that nobody names, is on the scale of all.
    few = [{**row, "collection": "small"} for row in rows[:10]]
    bins = make_bins([*rows, *few], LABELS)
    assert set(bins["average_intensity"]) == {"all", "far", "near"}
    loud = {"id": "x", "gender": None, "values": {"average_intensity": -9.0}}
    assert (
        label_values(loud, bins, LABELS)
        == label_values({**loud, "collection": "small"}, bins, LABELS)
        == {"average_intensity": "loudly"}
    )
