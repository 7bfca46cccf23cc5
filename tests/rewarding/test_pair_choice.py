"""Which answers become a pair, and what is said of the others."""

import math

from sift_jax.evaluation.scores.offline_judge import OfflineJudge
from sift_jax.evaluation.scores.schema import Verdict
from sift_jax.rewarding.judged_answers import Scorer
from sift_jax.rewarding.pair_choice import CUT_OFF, FAILED, TIE, choose_pair
from sift_jax.rewarding.rewards import Judged, Rollout
from sift_jax.text.chat import make_question


def make_rollout(answer, *, is_whole=True, reference="It is loud."):
    return Rollout(
        item="sift.closed_ended.acoustic_level.en#1/0",
        task="sift.closed_ended.acoustic_level.en",
        language="en",
        prompt="How loud?",
        answer=answer,
        reference=reference,
        tokens=3,
        is_whole=is_whole,
    )


def choose(*scored, margin=0.5):
    """Answers with their rewards; one whose reward is None is cut off, NaN failed."""
    rollouts = [make_rollout(answer, is_whole=total is not None) for answer, total in scored]
    judged = [Judged(total=total or 0.0, parts={}, failures={}) for _, total in scored]
    found = choose_pair(rollouts, judged, margin=margin)
    if found.reason:
        assert found.chosen is found.rejected is None
        return found.reason
    return rollouts[found.chosen].answer, rollouts[found.rejected].answer


def test_the_best_and_the_worst_are_a_pair():
    assert choose(("a", 0.5), ("b", 1.0), ("c", 0.1), ("d", 1.0)) == ("b", "c")
    # by exactly the margin is far enough
    assert choose(("a", 0.5), ("b", 0.0)) == ("a", "b")


def test_what_failed_or_was_cut_off_is_in_no_pair():
    assert choose(("a", math.nan), ("b", 1.0), ("c", 0.1), ("d", None)) == ("b", "c")
    assert choose(("a", math.nan), ("b", 1.0)) == FAILED
    assert choose(("a", None), ("b", 1.0)) == CUT_OFF


def test_a_tie_is_no_pair():
    assert choose(("a", 0.5), ("b", 0.6)) == TIE
    # a reward that differs from call to call
    assert choose(("a", 0.0), ("a", 1.0)) == TIE
    assert choose(("", 1.0), ("a", 0.0)) == TIE


def test_a_judge_s_verdict_is_a_part_of_the_reward():
    scorer = Scorer({"judge": 2.0, "length:2": 1.0}, (), OfflineJudge(), seconds=10.0)
    groups = [[make_rollout("It is loud."), make_rollout("Soft.")]]
    ((right, wrong),) = scorer.score([make_question("How loud?", ["a.wav"])], groups)
    assert right.parts == {"length:2": 0.5, "judge": 1.0} and right.total == 2.5
    assert wrong.parts == {"length:2": 1.0, "judge": 0.0} and wrong.total == 1.0


def test_without_the_judge_s_part_it_is_not_asked():
    (group,) = Scorer({"label": 1.0}, (), None, seconds=10.0).score([[]], [[make_rollout("?")]])
    assert set(group[0].parts) == {"label"}


class SilentJudge(OfflineJudge):
    """Has no verdict."""

    def judge(self, predictions):
        for one in predictions:
            yield Verdict(id=one.item.id, judge="x", score=None, status="error", reason="down")


def test_a_verdict_that_is_none_is_a_failure():
    scorer = Scorer({"judge": 1.0}, (), SilentJudge(), seconds=10.0)
    ((found,),) = scorer.score([make_question("?", [])], [[make_rollout("It is loud.")]])
    assert math.isnan(found.total) and found.failures == {"judge": "error (down)"}
    assert choose(("a", found.total), ("b", 1.0)) == FAILED
