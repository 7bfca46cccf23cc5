"""The offline judge: right or wrong by the labels that an answer names.

    reference  "No, the person speaks very slowly."     yes_no          the answer begins with No, or ends in "No."
               "The clip is noisy, and … very fast."    noise_level+…   the answer names the same labels in that order
               'The speaker says: "Rain falls."'        transcript      the answer quotes the same words

It stands in for the judge LLM of the benchmark where there is none: the same answer always gets the
same score, but only answers in the words of our labels are understood; in languages without labels,
only the reference's own words.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator
from typing import Any

from sift_jax.evaluation.scores.metrics import SCORED
from sift_jax.evaluation.scores.ordinal_scores import find_classes, is_right_class
from sift_jax.evaluation.scores.schema import Item, Prediction, Verdict
from sift_jax.sift.fields import Fields
from sift_jax.sift.labels import (
    LANGUAGES,
    find_labels,
    find_quotations,
    read_first_word,
    read_yes_no,
    remove_quotations,
    simplify,
)

NO_JUDGE = "no_judge"
_SENTENCE_END = re.compile(r"[.!?]\s+|\n")


class OfflineJudge:
    """Judges closed questions right or wrong, open ones 0 to 10; two answers it cannot compare."""

    name = "offline"

    def judge(self, predictions: Iterable[Prediction]) -> Iterator[Verdict]:
        for prediction in predictions:
            for metric in prediction.item.metrics:
                if metric.startswith("judge_"):
                    yield self._judge(prediction, metric)

    def describe_cost(self) -> str:
        return ""

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "model": "", "prompt_hash": "", "parameters": {}}

    def _judge(self, prediction: Prediction, metric: str) -> Verdict:
        item, answer = prediction.item, prediction.answer
        if metric == "judge_closed":
            score = float(_is_right(item, answer))
        elif metric == "judge_open":
            score = max(score_open_item(item, reference, answer) for reference in item.references)
        else:
            reason = "the offline judge gives no such score; name an endpoint"
            return Verdict(
                id=item.id,
                judge=self.name,
                score=None,
                status=NO_JUDGE,
                reason=reason,
                metric=metric,
            )
        found = classify_item(item, answer)
        reason = f"{found[0]}: {found[1]}" if answer.strip() else "the answer is empty"
        return Verdict(
            id=item.id, judge=self.name, score=score, status=SCORED, reason=reason, metric=metric
        )


def judge_closed(reference: str, answer: str, language: str) -> bool:
    """Whether an answer to a closed-ended question says what the reference says."""
    answer_class = classify(answer, language)
    reference_class = classify(reference, language)
    if reference_class[0] != "text":
        return answer_class == reference_class
    # A transcript is right by itself too, without the words around it.
    return reference_class[1] in (answer_class[1], simplify(answer))


def classify(text: str, language: str) -> tuple[str, str]:
    """What an answer says, in a form that answers of one meaning share: its kind of content, and
    the content."""
    verdict = _find_verdict(text, language)
    if verdict:
        return "verdict", verdict
    labels = list(dict.fromkeys(_find_labels(text, language)))
    if labels:
        return "labels", "; ".join(f"{key}={label}" for key, label in labels)
    quoted = find_quotations(text)
    return "text", simplify(" ".join(quoted) if quoted else text)


def classify_item(item: Item, text: str) -> tuple[str, str]:
    """The same of an answer to an item, which may be one of the item's own classes."""
    own = _find_own(item, text)
    return ("labels", "; ".join(own)) if own else classify(text, item.language)


def item_kind(item: Item) -> str:
    """What an item asks for: its free field, or what its reference tells."""
    return (
        item.facets.get("kind", "")
        if item.aliases
        else question_kind("".join(item.references[:1]), item.language)
    )


def question_kind(reference: str, language: str) -> str:
    """What a question asks for, told by its reference answer; equal for all answers to one form of
    question."""
    if _find_verdict(reference, language):
        return "yes_no"
    keys = list(dict.fromkeys(key for key, _ in _find_labels(reference, language)))
    if keys:
        return "+".join(keys)
    quoted = find_quotations(reference)
    if not quoted:
        return "text"
    return "phonemes" if "|" in quoted[0] else "transcript"


def make_majority(
    rows: Iterable[tuple[str, str, str]], fields: Fields = ()
) -> dict[tuple[str, str, str], str]:
    """The answers of a baseline that never listens.

    From training rows (category, language, reference answer) to {(category, language, kind): an
    answer of the most frequent class}; ties go to the class seen first. `fields` are the tables of
    free fields that the rows may be about.
    """
    counts: dict[tuple[str, str, str], collections.Counter] = {}
    texts: dict[tuple[str, str, str, tuple[str, str]], str] = {}
    for category, language, reference in rows:
        kind, content = question_kind(reference, language), classify(reference, language)
        if kind == "text" and (free := _find_free(reference, language, fields)):
            kind, content = free[0], ("labels", f"{free[0]}={free[1]}")
        place = (category, language, kind)
        counts.setdefault(place, collections.Counter())[content] += 1
        texts.setdefault((*place, content), reference)
    return {place: texts[*place, counter.most_common(1)[0][0]] for place, counter in counts.items()}


def score_open(reference: str, answer: str, language: str) -> float:
    """0 to 10: the F1 of the answer's labels against the reference's, the offline stand-in for an
    LLM's judgement."""
    return _score_named(
        reference, answer, _find_labels(reference, language), _find_labels(answer, language)
    )


def score_open_item(item: Item, reference: str, answer: str) -> float:
    """The same, with the classes that the item may ask for among the labels."""
    wanted, named = (
        [*_find_labels(text, item.language), *(("", label) for label in _find_own(item, text))]
        for text in (reference, answer)
    )
    return _score_named(reference, answer, wanted, named)


def _score_named(reference: str, answer: str, wanted: Iterable[Any], named: Iterable[Any]) -> float:
    wanted, named = set(wanted), set(named)
    if not wanted:
        return 10.0 * (simplify(reference) == simplify(answer))
    return 20.0 * len(wanted & named) / (len(wanted) + len(named))


def _find_labels(text: str, language: str) -> list[tuple[str, str]]:
    return find_labels(text, language) if language in LANGUAGES else []


def _is_right(item: Item, answer: str) -> bool:
    if item.aliases:
        return is_right_class(item, answer)
    return any(judge_closed(reference, answer, item.language) for reference in item.references)


def _find_own(item: Item, text: str) -> list[str]:
    return find_classes(item, text) if item.aliases else []


def _find_free(text: str, language: str, fields: Fields) -> tuple[str, str] | None:
    """The one free field, and its one class, that an answer without other labels names."""
    found = [(field.name, label) for field in fields for label in field.find_named(text, language)]
    return found[0] if len(found) == 1 else None


def _find_verdict(text: str, language: str) -> str | None:
    """The yes or no that an answer begins with, or that is its last sentence."""
    if language not in LANGUAGES:
        return None
    verdict = read_first_word(text, language)
    if verdict is None:
        verdict = read_yes_no(_SENTENCE_END.split(remove_quotations(text).strip())[-1], language)
    return None if verdict is None else "yes" if verdict else "no"
