"""Who gives the scores that no formula gives: offline rules, or a language model behind an
endpoint.

predictions ─► judge ─► verdicts/<system>.<judge>.jsonl   planted answers go through it too, and must come out right
"""

from sift_jax.evaluation.scores.offline_judge import (
    classify,
    judge_closed,
    make_majority,
    question_kind,
    score_open,
)

__all__ = ["classify", "judge_closed", "make_majority", "question_kind", "score_open"]
