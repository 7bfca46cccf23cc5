"""AIR-Bench's judging: the reference and the answer side by side, in both orders.

    first  = reference, second = answer      verdict 9 6   ─┐
    first  = answer,    second = reference   verdict 7 8   ─┴► the answer's score (6 + 7) / 2 = 6.5

The benchmark does so because judges favour a place. Its figure is the answers' mean over the items,
and speech_QA and speech_dialogue_QA are pooled into its speech column.
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.evaluation.judges.judge_protocol import Data
from sift_jax.evaluation.scores.schema import Prediction

PAIRWISE = "judge_air_bench"


def make_pairs(prediction: Prediction) -> tuple[Data, Data]:
    """What the judge sees: first the reference's turn to stand first, then the answer's."""
    item = prediction.item
    start = {"description": item.context, "question": item.question}
    reference, answer = item.references[0], prediction.answer
    return (
        {**start, "first answer": reference, "second answer": answer},
        {**start, "first answer": answer, "second answer": reference},
    )


def combine(replies: Sequence[tuple[tuple[float, ...], str]]) -> tuple[float, str]:
    """The answer's score, and what was said: both orders' grades and the first one's reasoning."""
    (straight, reason), (swapped, other) = replies
    grades = (
        f"reference {straight[0]:g}, answer {straight[1]:g}; swapped: reference {swapped[1]:g}, "
        f"answer {swapped[0]:g}"
    )
    return (straight[1] + swapped[0]) / 2, f"{grades}\n{reason}\n{other}".strip()
