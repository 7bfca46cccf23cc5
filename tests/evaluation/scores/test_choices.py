"""Choices by their words, as MMAU's own evaluation compares them, and by their letters."""

import pytest
from scored_items import make_item

from sift_jax.evaluation.scores.choices import explain_choice, find_letter, find_verdict
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


@pytest.mark.parametrize(
    "answer, letter",
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B. A woman", "B"),
        ("The answer is B because she speaks.", "B"),
        ("The correct answer is option 'C'.", "C"),
        ("I would choose option D.", "D"),
        ("The correct option is **C. Rain**, not B.", "C"),
        ("The best choice is (a), a child.", "A"),
        ("is \\( \\boxed{\\text{D}} \\)", "D"),
        ("B is correct.", "B"),
        ("It is a woman.", ""),
        ("The answer is a dog.", ""),
        ("A dog has four legs.", ""),
        ("It is about D's dog", ""),
        ("None of them", ""),
        ("", ""),
    ],
)
def test_the_letter_that_an_answer_gives(answer, letter):
    assert find_letter(answer) == letter


@pytest.mark.parametrize(
    "answer, verdict",
    [
        ("Yes.", "yes"),
        ("**No**, you do not return to the start.", "no"),
        ("The sentence is plausible.", "yes"),
        ("The sentence is not plausible.", "no"),
        ("There is no doubt about it: the answer is yes.", "yes"),
        ("You end up where you began.", ""),
        ("", ""),
    ],
)
def test_the_verdict_that_an_answer_gives(answer, verdict):
    assert find_verdict(answer) == verdict


def test_an_option_is_right_by_letter_or_verdict():
    letters = make_item(0, "B", labels=("A", "B", "C", "D"), metrics=("option",))
    verdicts = make_item(1, "no", labels=("yes", "no"), metrics=("option",))
    assert score_answer("option", letters, "B. A woman") == 1.0
    # where no letter is found nothing is guessed
    assert score_answer("option", letters, "A woman") == 0.0
    assert score_answer("option", verdicts, "No.") == 1.0 != score_answer("option", verdicts, "B")
