"""Choices by their words, as MMAU's own evaluation compares them."""

import pytest
from scored_items import make_item

from sift_jax.evaluation.scores.choices import explain_choice
from sift_jax.evaluation.scores.metrics import check_metrics, judge_texts, score_answer
from sift_jax.evaluation.scores.schema import EvaluationError, Prediction

VOICES = ("A child", "A woman", "An adult man", "A teenager")
ORDERS = ("first: happy, second: sad", "first: sad, second: happy", "both sad")
YEARS = ("one thousand, nine hundred and ninety", "one thousand, nine hundred and ninety-two")


@pytest.mark.parametrize(
    "choices, right, answer, is_right",
    [
        (VOICES, "A woman", "A woman", True),
        (VOICES, "A woman", "It is  a WOMAN.", True),
        (VOICES, "A woman", "woman", False),
        (VOICES, "A woman", "A woman, not a child", False),
        (VOICES, "A woman", "B", False),
        (VOICES, "A woman", "", False),
        (VOICES, "An adult man", "(C) An adult man", True),
        # words of one choice among those of another: the shorter one cannot rule out the longer
        (YEARS, YEARS[0], YEARS[0], True),
        (YEARS, YEARS[0], YEARS[1], False),
        (YEARS, YEARS[1], YEARS[1], True),
        (YEARS, YEARS[1], YEARS[0], False),
        # the same words in another order are the same to the benchmark
        (ORDERS, ORDERS[0], ORDERS[1], True),
        (("light_switch", "light"), "light", "light_switch", False),
    ],
)
def test_all_words_of_the_right_choice_and_none_of_others(choices, right, answer, is_right):
    item = make_item(0, right, labels=choices, metrics=("choice",))
    assert score_answer("choice", item, answer) == float(is_right)
    (verdict,) = judge_texts([Prediction(item=item, answer=answer)])
    assert (verdict.reason == "has the words of the right choice") == is_right


def test_what_is_wrong_is_told():
    item = make_item(0, "A woman", labels=VOICES, metrics=("choice",))
    assert (
        explain_choice(item, "An adult man")
        == "lacks a, woman; has adult, an, man of other choices"
    )


def test_a_choice_needs_labels():
    with pytest.raises(EvaluationError, match="choice needs the item's labels"):
        check_metrics([make_item(0, "A woman", metrics=("choice",))])
