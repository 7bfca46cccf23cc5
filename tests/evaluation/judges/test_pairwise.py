"""AIR-Bench's two orders."""

import pytest
from judge_server import find_code, judge_at, predict, read_object, say, serve

from sift_jax.evaluation.judges.pairwise import combine, make_pairs

REFERENCE = "They speak very fast."


def pair(answer="Quickly.", **changes):
    return predict(
        0, answer, metric="judge_air_bench", context="A man speaks very fast in a hall.", **changes
    )


def test_both_orders_are_shown_with_the_description():
    straight, swapped = make_pairs(pair())
    assert (straight["first answer"], straight["second answer"]) == (REFERENCE, "Quickly.")
    assert (swapped["first answer"], swapped["second answer"]) == ("Quickly.", REFERENCE)
    assert straight["description"] == swapped["description"] == "A man speaks very fast in a hall."


def test_the_score_is_the_answers_mean_over_both():
    score, reason = combine([((9.0, 6.0), "A"), ((7.0, 8.0), "B")])
    assert score == 6.5 and reason.startswith(
        "reference 9, answer 6; swapped: reference 8, answer 7"
    )


@pytest.mark.parametrize("favour, score", [("first", 6.0), ("second", 6.0), ("neither", 5.0)])
def test_a_judge_that_favours_a_place_gives_the_same_in_all(favour, score, tmp_path):
    def decide(body, _):
        found = read_object(body)
        grades = [
            (8 if found[f"{place} answer"] == REFERENCE else 5) + 2 * (place == favour)
            for place in ("first", "second")
        ]
        return say(f"Hm.\nVERDICT {find_code(body)} {grades[0]} {grades[1]}")

    with serve(decide) as script, judge_at(script.url, tmp_path) as judge:
        (verdict,) = judge.judge([pair()])
    assert verdict.score == score and len(script.bodies) == 2


def test_a_pair_with_one_order_unparsed_has_no_score(tmp_path):
    def decide(body, _):
        return (
            say(f"VERDICT {find_code(body)} 8 6")
            if read_object(body)["first answer"] == REFERENCE
            else say("Hm.")
        )

    with serve(decide) as script, judge_at(script.url, tmp_path) as judge:
        (verdict,) = judge.judge([pair()])
    assert (verdict.score, verdict.status) == (None, "unparsed")
