"""Answers from a closed set: found, ambiguous, or none."""

import numpy as np
import pytest
from scored_items import make_item, make_predictions
from sklearn.metrics import cohen_kappa_score

from sift_jax.evaluation.scores.metrics import METRICS, check_metrics, judge_texts, score_answer
from sift_jax.evaluation.scores.ordinal_scores import explain_class, find_classes
from sift_jax.evaluation.scores.schema import EvaluationError

EMOTIONS = ("angry", "happy", "neutral", "very happy")
STEPS = ("very slowly", "quite slowly", "moderate speed", "quite fast", "very fast")


@pytest.mark.parametrize(
    "answer, is_right",
    [
        ("happy", True),
        ("She sounds HAPPY.", True),
        ("Happy, happy!", True),
        ("very happy", False),
        ("unhappy", False),
        ("happy or angry", False),
        ("It is hard to say.", False),
        ("", False),
        ("neutral", False),
    ],
)
def test_accuracy(answer, is_right):
    item = make_item(0, "happy", labels=EMOTIONS)
    assert score_answer("accuracy", item, answer) == float(is_right)


def test_labels_with_underscores_are_found_with_spaces():
    item = make_item(0, "alarm_set", labels=("alarm_set", "alarm_remove"))
    assert score_answer("accuracy", item, "B. alarm set") == 1.0
    assert find_classes(item, "alarm") == []


@pytest.mark.parametrize(
    "answer, is_right",
    [
        ("B", True),
        ("(B)", True),
        ("B.", True),
        ("Option B.", True),
        ("B. alarm set", True),
        ("A", False),
        ("b", False),
        ("D", False),
        ("A or B", False),
        ("B. alarm remove", False),
        ("A. alarm set", True),
    ],
)
def test_an_option_may_be_named_by_its_letter_alone(answer, is_right):
    item = make_item(
        0,
        "alarm set",
        labels=("alarm remove", "alarm set", "music play"),
        question="What is wanted?\nA. alarm remove\nB. alarm set\nC. music play",
    )
    assert score_answer("accuracy", item, answer) == float(is_right)


def test_why_an_answer_is_wrong_is_told():
    item = make_item(0, "happy", labels=EMOTIONS, metrics=("accuracy",))
    assert explain_class(item, "angry and happy") == "names several labels: angry, happy"
    verdicts = list(
        judge_texts(
            make_predictions(
                [("happy", "Hm."), ("happy", "")], labels=EMOTIONS, metrics=("accuracy",)
            )
        )
    )
    assert [v.reason for v in verdicts] == ["names no label", "the answer is empty"]
    assert [(v.score, v.status, v.judge, v.metric) for v in verdicts] == [
        (0.0, "scored", "accuracy", "accuracy")
    ] * 2


@pytest.mark.parametrize(
    "answer, is_right", [(" Yes\n", True), ("YES", True), ("yes.", False), ("", False)]
)
def test_exact_match_only_lowers_and_strips(answer, is_right):
    assert score_answer("exact_match", make_item(0, "yes"), answer) == float(is_right)


def test_kappa_and_error_of_steps_are_sklearns():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 5, 60)
    said = np.clip(true + rng.integers(-2, 3, 60), 0, 4)
    pairs = [(STEPS[a], f"They speak {STEPS[b]}.") for a, b in zip(true, said, strict=True)]
    predictions = make_predictions(pairs, labels=STEPS)
    figures = {
        name: float(
            METRICS[name].make(
                np.sum([METRICS[name].count(p.item, p.answer) for p in predictions], axis=0)
            )
        )
        for name in ("qwk", "mae")
    }
    assert figures["qwk"] == pytest.approx(cohen_kappa_score(true, said, weights="quadratic"))
    assert figures["mae"] == pytest.approx(np.abs(true - said).mean())


def test_an_answer_without_a_class_has_no_step():
    item = make_item(0, "very fast", labels=STEPS, metrics=("mae", "qwk"))
    assert METRICS["mae"].count(item, "hard to say") is None
    assert METRICS["qwk"].count(item, "very fast or very slowly") is None
    (mae, qwk) = judge_texts(
        make_predictions([("very fast", "who knows")], labels=STEPS, metrics=("mae", "qwk"))
    )
    assert (mae.score, mae.status, qwk.score) == (None, "no_label", None)


def test_kappa_of_one_class_alone_is_none():
    item = make_item(0, "very fast", labels=STEPS)
    assert np.isnan(METRICS["qwk"].make(np.asarray(METRICS["qwk"].count(item, "very fast"))))


@pytest.mark.parametrize(
    "answer, counts",
    [
        ("time: nine\ndate: today", [2, 2, 2]),
        ("Time: Nine.", [1, 1, 2]),
        ("time: ten\ndate: today", [1, 2, 2]),
        ("none", [0, 0, 2]),
        ("time: nine\ntime: nine", [1, 2, 2]),
        ("date: nine\ntime: today", [0, 2, 2]),
        ("", [0, 0, 2]),
    ],
)
def test_slots_are_pairs_of_name_and_value(answer, counts):
    assert METRICS["slot_f1"].count(make_item(0, "time: nine\ndate: today"), answer) == counts


def test_slot_f1_is_micro_averaged():
    pairs = [("time: nine\ndate: today", "time: nine"), ("none", "place: here"), ("none", "none")]
    counts = np.sum(
        [METRICS["slot_f1"].count(p.item, p.answer) for p in make_predictions(pairs)], axis=0
    )
    assert float(METRICS["slot_f1"].make(counts)) == pytest.approx(2 * 1 / (2 + 2))
    assert score_answer("slot_f1", make_item(0, "none"), "none") == 1.0


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"metrics": ("f2",)}, "no metric is called 'f2'"),
        ({"references": ()}, "exact_match needs a reference"),
        ({"metrics": ("accuracy",)}, "accuracy needs the item's labels"),
        ({"metrics": ("mae",)}, "mae needs the item's"),
    ],
)
def test_what_a_metric_needs_is_said_beforehand(changes, words):
    with pytest.raises(EvaluationError, match=words):
        check_metrics([make_item(0, **{"references": "yes", **changes})])
