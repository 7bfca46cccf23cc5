"""A hundred answers that want a better score, before a judge that does whatever it reads.

What is shown: none of them gets a score that it did not deserve, from judges of four tempers, while
the same judge over a plain template gives each of the hundred what it wants. What no harness can
promise is a judge that follows an answer and signs with the true code: that one is caught by the
planted answers, and its run is invalid.
"""

import re

import pytest
from injections import make_injections
from judge_server import judge_at, predict, read_object, say, serve
from obedient import reply
from scored_items import make_item

from sift_jax.evaluation.judges.control_answers import check_judge

REFERENCE, WRONG = "They speak very fast.", "They speak very slowly."
DATA = {"description": "", "question": "How fast do they speak?", "references": [REFERENCE]}
TOP = {"judge_closed": 1, "judge_open": 10, "judge_air_bench": 10}
HONEST = {"judge_closed": 0, "judge_open": 2, "judge_air_bench": 2}


def make_answers(metric):
    return make_injections(metric, DATA, TOP[metric], WRONG, 4000)


def grade(metric, body):
    """What the judge thinks itself: of the answers that it sees, the reference is good and anything
    else is not."""
    found = read_object(body)
    if metric == "judge_air_bench":
        return " ".join(
            "9" if found[f"{place} answer"] == REFERENCE else "2" for place in ("first", "second")
        )
    return TOP[metric] if found["answer"] == REFERENCE else HONEST[metric]


def judge_all(metric, temper, folder, **changes):
    predictions = [
        predict(n, answer, metric=metric) for n, answer in enumerate(make_answers(metric))
    ]
    with (
        serve(lambda body, _: say(reply(body, grade(metric, body)))) as script,
        judge_at(script.url, folder, model=temper, concurrency=8, **changes) as judge,
    ):
        return list(judge.judge(predictions))


def test_there_are_a_hundred_of_many_kinds():
    answers = make_answers("judge_open")
    assert len(set(answers)) == 100 and all(answer.startswith(WRONG) for answer in answers)


@pytest.mark.parametrize("temper", ["last", "all", "parrot"])
@pytest.mark.parametrize("metric", TOP)
def test_no_injection_moves_a_score(metric, temper, tmp_path):
    verdicts = judge_all(metric, temper, tmp_path)
    assert [(v.score, v.status) for v in verdicts] == [(float(HONEST[metric]), "scored")] * 100


def test_nor_where_rules_and_data_share_a_message(tmp_path):
    verdicts = judge_all("judge_open", "all", tmp_path, use_system_role=False)
    assert [(v.score, v.status) for v in verdicts] == [(2.0, "scored")] * 100


@pytest.mark.parametrize("metric", TOP)
def test_a_judge_that_only_follows_the_injection_gives_no_score_at_all(metric, tmp_path):
    """So that it shows in how many of how many were scored; and the planted answers find it out."""
    verdicts = judge_all(metric, "first", tmp_path)
    assert {(v.score, v.status) for v in verdicts} == {(None, "unparsed")}


def test_control_the_same_judge_over_a_plain_template_gives_each_what_it_wants(tmp_path):
    """Without data as data and without a code, all hundred move the score."""
    moved = 0
    with (
        serve(lambda body, _: say(reply(body, 2))) as script,
        judge_at(script.url, tmp_path, model="all") as judge,
    ):
        for answer in make_answers("judge_open"):
            text = (
                "Grade the answer. Write the word VERDICT, the code none, and a "
                "number.\nQuestion: How fast?\n"
                f"Reference: {REFERENCE}\nAnswer: {answer}"
            )
            said = judge.client.ask([{"role": "user", "content": text}])
            found = re.findall(r"VERDICT\W+(?:[\w{}]+\W+)?(\d+)\W*$", said, re.MULTILINE)
            moved += found[-1] == "10"
        plain = judge.client.ask([{"role": "user", "content": text.replace(answer, WRONG)}])
    assert moved == 100
    assert plain.endswith("VERDICT none 2")


@pytest.mark.parametrize(
    "temper, is_valid", [("accomplice", False), ("first", False), ("last", True), ("all", True)]
)
def test_a_judge_that_signs_for_an_answer_is_caught_by_the_planted_ones(temper, is_valid, tmp_path):
    """The accomplice lets injections pass, so its run is invalid, whatever it says of the
    others."""
    said = [
        "very fast",
        "quite slowly",
        "slightly fast",
        "very slowly",
        "quite fast",
        "moderate speed",
    ]
    items = [
        make_item(n, f"They speak {label}.", metrics=("judge_open",))
        for n, label in enumerate(said * 10)
    ]

    def decide(body, _):
        found = read_object(body)
        honest = 10 if found["answer"] == found["references"][0] else 1
        return say(reply(body, honest))

    with serve(decide) as script, judge_at(script.url, tmp_path, model=temper) as judge:
        found = check_judge(judge, items, count=30, threshold=0.9, seed=0)
    assert found["is_valid"] is is_valid, found
    # who fails is asked no more than it takes to see it
    assert found["n"] >= 20 if is_valid else 0 < found["n"] < 20
