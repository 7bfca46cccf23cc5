"""Two recordings are compared wherever they surely differ, with classes or without, and nowhere
else."""

import random

import pytest

from data_prep.instructions import comparison
from data_prep.instructions.comparison import order_pair
from data_prep.instructions.pretraining import make_compares_item, make_ranks_item
from data_prep.instructions.templates import load_templates


def make_utterance(name, *, gender="female", labels=None, bounds=None, collection=None):
    return {
        "id": name,
        "gender": gender,
        "labels": labels or {},
        "bounds": bounds or {},
        "values": {},
        "collection": collection,
    }


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        ([9.3, 18.3], [24.0, 33.0], 1),
        ([24.0, 33.0], [9.3, 18.3], -1),
        ([24.0, None], [9.3, 18.3], -1),
        ([9.3, 18.3], [14.0, 23.0], 0),
        # How clean the first is at most is not known, so it may be the cleaner one.
        ([9.3, None], [24.0, None], 0),
        ([9.3, 18.3], [18.3, None], 0),
    ],
)
def test_noise_is_compared_by_what_surely_holds_of_it(first, second, order):
    pair = tuple(
        make_utterance(name, bounds={"noise_level": bounds})
        for name, bounds in (("a", first), ("b", second))
    )
    assert order_pair(pair, "noise_level") == order
    items = comparison.make_items(pair, load_templates("en"), random.Random(0))
    forms = [item.form for item in items]
    assert forms.count("which:noise_level") == 2 * abs(order)
    # Neither has a class that could be told.
    assert "compare" not in forms
    ranks = make_ranks_item(pair, random.Random(0))
    compares = make_compares_item(pair, "en", random.Random(0))
    assert bool(ranks) == bool(compares) == bool(order)
    if order:
        assert (
            ranks.answer
            in {
                1: ("Cleaner 2", "Noisier 1"),
                -1: ("Cleaner 1", "Noisier 2"),
            }[order]
        )


def test_bounds_decide_where_classes_would_say_otherwise():
    """24 dB and 26 dB are two classes apart, since the one between them is left out."""
    pair = (
        make_utterance(
            "a", labels={"noise_level": "slightly clean"}, bounds={"noise_level": [18.0, 27.0]}
        ),
        make_utterance("b", labels={"noise_level": "clean"}, bounds={"noise_level": [21.0, None]}),
    )
    assert order_pair(pair, "noise_level") == 0


def test_places_in_a_corpus_are_compared_by_classes_of_one_scale():
    labels = {"average_intensity": "softly"}, {"average_intensity": "loudly"}
    for collections, order in ((("x", "x"), True), (("x", "y"), False)):
        pair = tuple(
            make_utterance(str(place), labels=labels[place], collection=collections[place])
            for place in (0, 1)
        )
        assert (order_pair(pair, "average_intensity") > 0) == order
        forms = {
            item.form
            for item in comparison.make_items(pair, load_templates("en"), random.Random(0))
        }
        assert {"which:average_intensity", "compare"} <= forms if order else "compare" not in forms
