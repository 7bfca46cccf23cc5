"""Rewards and a judge as one score: the judge's verdict is one more part of the sum, "judge".

{"judge": 1.0, "length:60": 0.2}     8 of 10 from the judge, .5 for the length ─► 0.8 · 1.0 + 0.5 · 0.2 = 0.9
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import ModuleType

from sift_jax.data.tasks.mixture_table import SCORES, TASKS
from sift_jax.evaluation.judges.control_answers import Judge
from sift_jax.evaluation.judges.prompts import PROMPTS
from sift_jax.evaluation.scores.metrics import SCORED
from sift_jax.evaluation.scores.schema import Item, Prediction
from sift_jax.rewarding.rewards import Judged, RewardBook, Rollout
from sift_jax.text.chat import Message

JUDGE = "judge"


def find_judged_metric(task: str) -> str | None:
    """By which question a judge scores the answers of a task: "judge_closed", "judge_open"."""
    names = SCORES[TASKS[task][0]] if task in TASKS else ()
    return next((name for name in names if name.startswith("judge_")), None)


class Scorer:
    """What answers are worth, by the functions of a run and its judge."""

    def __init__(
        self,
        parts: Mapping[str, float],
        modules: Sequence[ModuleType],
        judge: Judge,
        *,
        seconds: float,
    ):
        functions = {name: weight for name, weight in parts.items() if name != JUDGE}
        self._book = RewardBook(functions, modules, seconds=seconds)
        self._judge, self._weight = judge, parts.get(JUDGE)

    def score(
        self, questions: Sequence[list[Message]], rollouts: Sequence[Sequence[Rollout]]
    ) -> list[list[Judged]]:
        """Question by question, in the order of the answers."""
        judged = [self._book.judge(group) for group in rollouts]
        if self._weight is None:
            return judged
        predictions = [
            _make_prediction(question, rollout)
            for question, group in zip(questions, rollouts, strict=True)
            for rollout in group
        ]
        verdicts = iter(list(self._judge.judge(predictions)))
        found = []
        for group in judged:
            added = []
            for one in group:
                verdict = next(verdicts)
                if verdict.score is None or verdict.status != SCORED:
                    failures = {**one.failures, JUDGE: f"{verdict.status} ({verdict.reason[:120]})"}
                    added.append(Judged(total=math.nan, parts=one.parts, failures=failures))
                    continue
                prompt = PROMPTS[verdict.metric]
                value = (verdict.score - prompt.low) / (prompt.high - prompt.low)
                total = one.total + self._weight * value
                parts = {**one.parts, JUDGE: value}
                added.append(Judged(total=total, parts=parts, failures=one.failures))
            found.append(added)
        return found


def _make_prediction(question: list[Message], rollout: Rollout) -> Prediction:
    metric = find_judged_metric(rollout.task)
    item = Item(
        id=rollout.item,
        suite="pairs",
        subset=TASKS[rollout.task][0],
        language=rollout.language,
        messages=tuple(question),
        references=(rollout.reference,),
        metrics=(metric,) if metric else (),
    )
    return Prediction(item=item, answer=rollout.answer)
