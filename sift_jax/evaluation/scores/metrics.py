"""The table of metrics: how an item is counted, how counts become a figure.

    METRICS["wer"].count(item, answer)  [errors, words]        METRICS["wer"].make(sums)  errors / words
    METRICS["judge_closed"]             counted by a verdict: [score, 1]

Shares (accuracy, wer, …) are fractions of 1; bleu and chrf go to 100, judge_open to 10, as their
papers print them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from sift_jax.evaluation.scores import choices, ifeval, ordinal_scores, text
from sift_jax.evaluation.scores.constraints import is_followed, unpack
from sift_jax.evaluation.scores.refusals import is_refusal
from sift_jax.evaluation.scores.schema import EvaluationError, Item, Prediction, Verdict

Count = Callable[[Item, str], "list[float] | None"]
SCORED, NO_LABEL = "scored", "no_label"


def _mean(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def _rate(sums: np.ndarray) -> np.ndarray:
    """Errors of words; without any word each error counts as a whole one."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A score. `count` is None where a judge gives it."""

    count: Count | None
    make: Callable[[np.ndarray], np.ndarray] = _mean
    # the best score of an item, and the least; a rate of errors has no worst
    best: float = 1.0
    least: float | None = 0.0
    # 0 or 1 for each item: runs are compared by McNemar's test
    is_binary: bool = False
    # the labels' order matters: items with other labels do not share a figure
    is_ordered: bool = False
    # refusals are counted, and some answers judged, without a right answer beside them
    needs_reference: bool = True

    def count_item(self, item: Item, answer: str) -> list[float] | None:
        """What sums of an answer's figure are made of; None where there is nothing to count."""
        if self.count is None:
            raise EvaluationError(f"{item.id}: a judge gives this metric; ask one for its verdicts")
        return self.count(item, answer)

    @property
    def is_error(self) -> bool:
        return self.best == 0.0


def _count_followed(item: Item, answer: str) -> list[float] | None:
    followed = is_followed(item.facets["constraint"], item.language, answer)
    return None if followed is None else [float(followed), 1.0]


def _count_followed_right(item: Item, answer: str) -> list[float] | None:
    """Right by the item's own score, once the form is taken off."""
    followed = _count_followed(item, answer)
    if followed is None:
        return None
    content = unpack(item.facets["constraint"], item.language, answer)
    is_right = (
        ordinal_scores.is_right_class(item, content)
        if "accuracy" in item.metrics
        else ordinal_scores.is_exact_match(item, content)
    )
    return [float(followed[0] and is_right), 1.0]


METRICS: dict[str, Metric] = {
    "wer": Metric(count=text.count_word_errors, make=_rate, best=0.0, least=None),
    "cer": Metric(count=text.count_letter_errors, make=_rate, best=0.0, least=None),
    "bleu": Metric(count=text.count_bleu, make=text.make_bleu, best=100.0),
    "chrf": Metric(count=text.count_chrf, make=text.make_chrf, best=100.0),
    "rouge_l": Metric(count=text.count_rouge),
    "accuracy": Metric(
        count=lambda item, answer: [float(ordinal_scores.is_right_class(item, answer)), 1.0],
        is_binary=True,
    ),
    "exact_match": Metric(
        count=lambda item, answer: [float(ordinal_scores.is_exact_match(item, answer)), 1.0],
        is_binary=True,
    ),
    # of items with choices to which the answer gives its words
    "choice": Metric(
        count=lambda item, answer: [float(choices.is_right_choice(item, answer)), 1.0],
        is_binary=True,
    ),
    # of items whose labels are letters, or yes and no
    "option": Metric(
        count=lambda item, answer: [float(choices.is_right_option(item, answer)), 1.0],
        is_binary=True,
    ),
    "contains": Metric(
        count=lambda item, answer: [float(text.contains_reference(item, answer)), 1.0],
        is_binary=True,
    ),
    "refused": Metric(
        count=lambda item, answer: [float(is_refusal(answer)), 1.0],
        is_binary=True,
        needs_reference=False,
    ),
    # of items whose references are rules
    "ifeval": Metric(count=ifeval.count_kept, make=ifeval.make_ifeval),
    # of items with a constraint
    "followed": Metric(count=_count_followed, is_binary=True),
    "followed_right": Metric(count=_count_followed_right, is_binary=True),
    "slot_f1": Metric(count=ordinal_scores.count_slots, make=ordinal_scores.make_slot_f1),
    "mae": Metric(count=ordinal_scores.count_steps, best=0.0, least=None, is_ordered=True),
    "qwk": Metric(
        count=ordinal_scores.count_table, make=ordinal_scores.make_qwk, least=-1.0, is_ordered=True
    ),
    "judge_closed": Metric(count=None, is_binary=True),
    "judge_open": Metric(count=None, best=10.0),
    "judge_air_bench": Metric(count=None, best=10.0, least=1.0),
    "judge_spoken": Metric(count=None, best=5.0, least=1.0, needs_reference=False),
}


_EXPLAINED = {
    "choice": choices.explain_choice,
    "option": choices.explain_option,
    "ifeval": ifeval.explain_kept,
}


def get_metric(name: str) -> Metric:
    if name not in METRICS:
        raise EvaluationError(f"no metric is called {name!r}; there are {', '.join(METRICS)}")
    return METRICS[name]


def check_metrics(items: Iterable[Item]) -> None:
    """What a metric needs, before anything is answered: references, and labels for those that find
    them."""
    for item in items:
        for name in item.metrics:
            metric = get_metric(name)
            if metric.needs_reference and not item.references:
                raise EvaluationError(
                    f"{item.id}: {name} needs a reference; give one, or ask for no {name}"
                )
            if (name in ("accuracy", "choice") or metric.is_ordered) and not item.labels:
                raise EvaluationError(
                    f"{item.id}: {name} needs the item's labels; give them, or ask for exact_match"
                )
            most = ordinal_scores.MOST_CLASSES
            if name == "qwk" and len(item.labels) > most:
                raise EvaluationError(
                    f"{item.id}: {len(item.labels)} ordered labels; qwk takes at most {most}, "
                    "ask for mae"
                )


def judge_texts(predictions: Iterable[Prediction]) -> Iterator[Verdict]:
    """The verdicts that need no judge: one for each prediction and each of its metrics that a
    function counts."""
    for prediction in predictions:
        for name in prediction.item.metrics:
            if get_metric(name).count is not None:
                yield _judge_text(prediction, name)


def _judge_text(prediction: Prediction, name: str) -> Verdict:
    item, answer = prediction.item, prediction.answer
    score = score_answer(name, item, answer)
    status = SCORED if score is not None else NO_LABEL
    reason = "the answer is empty" if not answer.strip() else ""
    if name == "accuracy" or METRICS[name].is_ordered:
        reason = reason or ordinal_scores.explain_class(item, answer)
    elif name in _EXPLAINED:
        reason = reason or _EXPLAINED[name](item, answer)
    elif name in ("wer", "cer") and (counts := METRICS[name].count_item(item, answer)):
        errors, of = counts
        reason = (
            reason or f"{errors:.0f} errors in {of:.0f} {'words' if name == 'wer' else 'letters'}"
        )
    return Verdict(id=item.id, judge=name, score=score, status=status, reason=reason, metric=name)


def score_answer(name: str, item: Item, answer: str) -> float | None:
    """The score of one answer for itself; None where the metric finds nothing to count."""
    if name == "bleu":
        return text.score_bleu(item, answer)
    if name == "qwk":
        # a single item has no kappa: it is read as the share of the way to the right class
        steps = ordinal_scores.find_steps(item, answer)
        return (
            None if steps is None else 1.0 - abs(steps[0] - steps[1]) / max(len(item.labels) - 1, 1)
        )
    metric = METRICS[name]
    counts = metric.count_item(item, answer)
    return None if counts is None else float(metric.make(np.asarray(counts)))


def describe_metrics(items: Sequence[Item]) -> dict[str, str]:
    """The library, version and settings behind each text metric of the items, for the results."""
    names = dict.fromkeys(name for item in items for name in item.metrics)
    languages = sorted(
        {
            item.facets.get("target_language", item.language)
            for item in items
            if "bleu" in item.metrics
        }
    )
    return {
        name: text.describe(name, languages)
        for name in names
        if name in ("wer", "cer", "bleu", "chrf", "rouge_l")
    }
