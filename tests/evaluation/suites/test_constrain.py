"""Constraints over a suite's questions: worded, scored, drawn by the item."""

import json

import pytest

from sift_jax.evaluation.scores.constraints import KINDS
from sift_jax.evaluation.scores.metrics import judge_texts
from sift_jax.evaluation.scores.schema import EvaluationError, Item, Prediction
from sift_jax.evaluation.suites.constrain import constrain, word_constraint
from sift_jax.text.chat import render_chat


def make_item(number=0, language="en", metric="accuracy"):
    return Item(
        id=f"q{number}",
        suite="jsonl",
        subset="",
        language=language,
        messages=(
            {"role": "user", "content": [{"audio_path": "a.wav"}, {"text": "How loud is she?"}]},
        ),
        references=("loud",),
        labels=("loud", "soft") if metric == "accuracy" else (),
        metrics=(metric,),
    )


def score(item, answer):
    verdicts = judge_texts([Prediction(item=item, answer=answer)])
    return {verdict.metric: verdict.score for verdict in verdicts}


def test_a_question_is_asked_with_its_constraint_in_its_language():
    (item,) = constrain([make_item(language="de")], ["words:3"])
    assert item.question == "How loud is she? Antworte in genau 3 Wörtern."
    assert item.audio == ("a.wav",) and item.facets == {"constraint": "words:3"}
    assert item.metrics == ("accuracy", "followed", "followed_right")


def test_the_model_reads_a_space_between_question_and_constraint(tokenizer):
    (item,) = constrain([make_item()], ["words:3"])
    read = tokenizer.decode(render_chat(list(item.messages), tokenizer, has_reply=False).tokens)
    assert "How loud is she? Answer in exactly 3 words." in read


def test_followed_right_and_both_are_three_figures():
    (item,) = constrain([make_item()], ["words:3"])
    assert score(item, "It is loud.") == {"accuracy": 1, "followed": 1, "followed_right": 1}
    assert score(item, "It is soft.") == {"accuracy": 0, "followed": 1, "followed_right": 0}
    assert score(item, "loud") == {"accuracy": 1, "followed": 0, "followed_right": 0}


def test_what_is_right_is_looked_for_inside_the_form():
    (item,) = constrain([make_item(metric="exact_match")], ["json"])
    said = json.dumps({"answer": "Loud", "reason": "She shouts."})
    assert score(item, said) == {"exact_match": 0, "followed": 1, "followed_right": 1}


def test_an_answer_that_says_no_language_has_no_score_of_it():
    (item,) = constrain([make_item()], ["language:fr"])
    assert score(item, "loud") == {"accuracy": 1, "followed": None, "followed_right": None}


def test_a_free_answer_is_followed_or_not():
    (item,) = constrain([make_item(metric="rouge_l")], ["upper"])
    assert item.metrics == ("rouge_l", "followed")


def test_the_item_decides_which_constraint_it_gets():
    items = [make_item(number) for number in range(60)]
    drawn = [item.facets["constraint"] for item in constrain(items, ["upper", "lower", "json"])]
    assert set(drawn) == {"upper", "lower", "json"}
    again = [item.facets["constraint"] for item in constrain(items[7:], ["upper", "lower", "json"])]
    assert again == drawn[7:]


def test_without_constraints_items_stay_as_they_are():
    items = (make_item(),)
    assert constrain(items, ()) == items


@pytest.mark.parametrize("language", ["en", "de", "fr", "it", "es", "pt"])
def test_every_kind_has_a_sentence(language):
    for kind in KINDS:
        argument = "fr" if kind == "language" else "3"
        text = word_constraint(f"{kind}:{argument}", language)
        assert text and "{" not in text.replace("{n}", "{") and text == text.strip()


def test_a_constraint_that_is_none_is_named_with_the_knob():
    with pytest.raises(EvaluationError, match="SuiteConfig.constraints: no constraint is called"):
        constrain([make_item()], ["rhyme"])
