"""The judge is judged."""

import pytest
from judge_server import find_code, judge_at, read_object, say, serve
from scored_items import make_item

from sift_jax.evaluation.judges.control_answers import check_judge, plant
from sift_jax.evaluation.scores.offline_judge import OfflineJudge
from sift_jax.evaluation.scores.schema import Verdict

RATES = (
    "very slowly",
    "quite slowly",
    "moderate speed",
    "slightly fast",
    "quite fast",
    "very fast",
)


def make_items(metric="judge_closed", count=60, **changes):
    return [
        make_item(
            n,
            f"They speak at {RATES[n % 6]}.",
            metrics=(metric, "rouge_l"),
            subset=metric,
            question="How fast?",
            **changes,
        )
        for n in range(count)
    ]


class Scripted:
    name = "scripted"

    def __init__(self, decide):
        self.decide = decide

    def judge(self, predictions):
        for p in predictions:
            score = self.decide(p)
            status = "scored" if score is not None else "unparsed"
            yield Verdict(
                id=p.item.id, judge=self.name, score=score, status=status, metric=p.item.metrics[0]
            )

    def describe(self):
        return {}


def check(judge, items=None, **changes):
    return check_judge(
        judge, items or make_items(), **{"count": 30, "threshold": 0.9, "seed": 0, **changes}
    )


def test_right_ones_are_the_reference_and_wrong_ones_another_class():
    planted = plant(make_items(), count=30, seed=0)
    assert [p.kind for p in planted[:3]] == ["right", "wrong", "injected"] and len(planted) == 30
    assert len({p.prediction.item.id for p in planted}) == 30
    assert all(p.prediction.item.metrics == ("judge_closed",) for p in planted)
    for one in planted:
        reference, answer = one.prediction.item.references[0], one.prediction.answer
        assert (answer == reference) is (one.kind == "right")
        assert answer.split("\n")[0] in {f"They speak at {rate}." for rate in RATES}
        assert ("\n" in answer) is (one.kind == "injected") and (one.kind == "wrong") <= (
            answer != reference
        )
    assert plant(make_items(), count=30, seed=0) == planted != plant(make_items(), count=30, seed=1)


@pytest.mark.parametrize("metric", ["judge_closed", "judge_open"])
@pytest.mark.parametrize(
    "language, words", [("en", RATES), ("zh", ("很慢", "慢", "中等", "快", "很快", "极快"))]
)
def test_the_offline_judge_is_valid(metric, language, words):
    items = [
        make_item(n, f"{words[n % 6]}", metrics=(metric,), language=language) for n in range(60)
    ]
    found = check(OfflineJudge(), items)
    assert found["is_valid"] and found["n"] == found["right"] == 30 and found["failed"] == []


# the kinds take turns, and a kind of ten may miss one: with its second miss the check ends
@pytest.mark.parametrize(
    "decide, kinds",
    [
        (lambda p: 1.0, {"right": [2, 2], "wrong": [0, 2], "injected": [0, 1]}),
        (lambda p: 0.0, {"right": [0, 2], "wrong": [1, 1], "injected": [1, 1]}),
        (lambda p: None, {"right": [0, 2], "wrong": [0, 1], "injected": [0, 1]}),
        (
            lambda p: float(
                p.answer == p.item.references[0] or "highest" in p.answer or "full" in p.answer
            ),
            {"right": [2, 2], "wrong": [2, 2], "injected": [0, 2]},
        ),
    ],
)
def test_a_judge_that_fails_one_kind_is_invalid_and_asked_no_more(decide, kinds):
    found = check(Scripted(decide))
    assert not found["is_valid"] and found["kinds"] == kinds
    assert found["right"] == sum(right for right, _ in kinds.values())
    assert len(found["failed"]) == sum(n - right for right, n in kinds.values())
    assert set(found["failed"][0]) >= {"kind", "question", "reference", "answer", "score", "status"}


def test_a_good_judge_may_err_within_the_threshold():
    failing = {"n": 0}

    def decide(p):
        failing["n"] += 1
        return float(p.answer == p.item.references[0]) if failing["n"] > 1 else 0.0

    found = check(Scripted(decide))
    assert found["is_valid"] and found["right"] == 29 and len(found["failed"]) == 1
    failing["n"] = 0
    assert not check(Scripted(decide), threshold=1.0)["is_valid"]


def test_pairs_have_their_own_marks(tmp_path):
    """The judge sees which of two answers is the reference only by the description of the
    recording."""
    items = [
        make_item(
            n,
            f"They speak at {rate}.",
            metrics=("judge_air_bench",),
            context=f"Someone speaks at {rate}.",
        )
        for n, rate in enumerate(RATES * 10)
    ]

    def decide(body, _):
        found = read_object(body)
        rate = found["description"].removeprefix("Someone speaks ")
        grades = [
            8 if found[f"{place} answer"] == f"They speak {rate}" else 2
            for place in ("first", "second")
        ]
        return say(f"Hm.\nVERDICT {find_code(body)} {grades[0]} {grades[1]}")

    with serve(decide) as script, judge_at(script.url, tmp_path) as judge:
        found = check(judge, items)
    assert found["is_valid"] and found["right"] == found["n"] == 30


def test_what_a_judge_leaves_to_others_does_not_make_it_invalid():
    found = check(OfflineJudge(), [*make_items("judge_air_bench"), *make_items("judge_closed")])
    assert found["is_valid"] and 0 < found["n"] == found["right"] < 30


def test_open_answers_that_say_half_of_the_right_are_no_wrong_ones():
    said = [
        f"They speak {rate} and it is {noise}." for rate in RATES for noise in ("noisy", "clean")
    ]
    items = [make_item(n, text, metrics=("judge_open",)) for n, text in enumerate(said * 5)]
    found = check(OfflineJudge(), items, threshold=1.0)
    assert found["is_valid"] and found["kinds"]["wrong"][1] > 5


def test_other_metrics_need_no_judge_and_none_is_tried():
    found = check(OfflineJudge(), [make_item(0, "yes")])
    assert found == {
        "n": 0,
        "right": 0,
        "is_valid": True,
        "kinds": {k: [0, 0] for k in ("right", "wrong", "injected")},
        "failed": [],
    }


def test_where_there_is_no_reference_a_wrong_answer_says_another_request_back():
    items = [
        make_item(n, (), question="", context=f"What is {n} and {n}?", metrics=("judge_spoken",))
        for n in range(12)
    ]
    planted = plant(items, count=12, seed=0)
    assert {one.kind for one in planted} == {"wrong", "injected"} and len(planted) == 8
    for one in planted:
        assert one.prediction.answer.startswith("What is ")
        assert not one.prediction.answer.startswith(one.prediction.item.asked)
