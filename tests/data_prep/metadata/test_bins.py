"""Classes: equal width where values are even, equal count where they crowd, apart by gender for pitch."""

import numpy as np
import pytest

from data_prep.metadata.bins import label_values, make_bins, make_edges

LABELS = {"average_pitch": tuple("abcdefg"), "average_intensity": ("softly", "moderate volume", "loudly")}


def make_row(gender, hz, level):
    return {"id": "x", "gender": gender, "values": {"average_pitch": hz, "average_intensity": level}}


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
    women = [make_row("female", hz, level) for hz, level in zip(range(160, 300), range(140), strict=True)]
    men = [make_row("male", hz - 80, -row["values"]["average_intensity"]) for hz, row in
           zip(range(160, 300), women, strict=True)]
    bins = make_bins(women + men, LABELS)
    assert label_values(make_row("female", 165, -200), bins, LABELS) == {"average_pitch": "a",
                                                                         "average_intensity": "softly"}
    assert label_values(make_row("male", 215, 200), bins, LABELS) == {"average_pitch": "g",
                                                                      "average_intensity": "loudly"}


def test_too_few_values_name_the_remedy():
    with pytest.raises(ValueError, match="raise --train"):
        make_bins([], LABELS)
    with pytest.raises(ValueError, match="raise --train"):
        make_edges([1.0], 7)
    bins = make_bins([make_row("male", 100 + i, -i) for i in range(20)], LABELS)
    with pytest.raises(ValueError, match="no average_pitch bins for female.*raise --train"):
        label_values(make_row("female", 200, -10), bins, LABELS)
