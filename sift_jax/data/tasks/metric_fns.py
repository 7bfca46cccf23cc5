"""The project's own scores as SeqIO's metric functions: those of a category, as
mixture_table.SCORES has them.

    targets ["It is loud.", …], predictions ["It is soft.", …] ─► {"judge_closed": 0.5, "exact_match": 0.0}

Verdicts of a judge come from the offline one: SeqIO asks nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sift_jax.data.tasks.mixture_table import SCORES, make_task_name

MetricFn = Callable[[Sequence[str], Sequence[str]], dict[str, float]]


def make_metric_fns(category: str, language: str) -> list[MetricFn]:
    """A function for each score; none where answers are speech."""
    return [_make(name, category, language) for name in SCORES.get(category, ())]


def _make(name: str, category: str, language: str) -> MetricFn:
    def compute(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
        return {name: _score(name, category, language, targets, predictions)}

    return compute


def _score(
    name: str, category: str, language: str, targets: Sequence[str], predictions: Sequence[str]
) -> float:
    # the libraries behind them take seconds to import, and a registry of tasks needs none of them
    from sift_jax.evaluation.scores.metrics import get_metric
    from sift_jax.evaluation.scores.offline_judge import OfflineJudge
    from sift_jax.evaluation.scores.schema import Item, Prediction

    suite, metric = make_task_name(category, language), get_metric(name)
    items = [
        Item(
            id=f"{suite}#{number}",
            suite=suite,
            subset=category,
            language=language,
            messages=(),
            references=(target,),
            metrics=(name,),
        )
        for number, target in enumerate(targets)
    ]
    answered = list(zip(items, predictions, strict=True))
    if metric.count is None:
        found = OfflineJudge().judge(
            Prediction(item=item, answer=answer) for item, answer in answered
        )
        counts = [[verdict.score, 1.0] for verdict in found if verdict.score is not None]
    else:
        counts = [
            count for item, answer in answered if (count := metric.count(item, answer)) is not None
        ]
    return float(metric.make(np.sum(counts, axis=0))) if counts else float("nan")
