"""What a system would get that never listens: one constant answer to all questions of a kind.

    training rows ─► the answer of their commonest class to each (subset, language, kind)          it saw no test
    no such rows ──► the constant that the suite's own references make best                        the strongest form

    accuracy, exact match, a judge    a reference of the commonest class
    mae                               the median class
    wer, cer                          nothing at all: 100 %, which few constant texts get below
    refused                           nothing at all: 100 %, as who is silent refuses
    bleu, chrf, rouge_l, slot_f1      the commonest reference (where none repeats, the first)

Made from the suite's own references the constant knows more than any system may: what does not beat
it clearly has not listened.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from sift_jax.evaluation.scores.offline_judge import (
    classify_item,
    item_kind,
    make_majority,
    question_kind,
)
from sift_jax.evaluation.scores.ordinal_scores import find_classes
from sift_jax.evaluation.scores.schema import Item, Prediction
from sift_jax.sift.fields import Fields
from sift_jax.sift.labels import simplify

Place = tuple[str, str, str]


def make_majority_predictions(
    items: Sequence[Item],
    train_rows: Iterable[tuple[str, str, str]] | None = None,
    fields: Fields = (),
) -> list[Prediction]:
    """The constant answers to items. Training rows are (subset, language, reference answer); items
    whose kind of question they do not have get an empty answer."""
    if train_rows is not None:
        table = make_majority(train_rows, fields)
    else:
        groups: dict[Place, list[Item]] = {}
        for item in items:
            groups.setdefault(_place(item), []).append(item)
        table = {place: _find_best(group) for place, group in groups.items()}
    return [Prediction(item=item, answer=table.get(_place(item), "")) for item in items]


def _place(item: Item) -> Place:
    reference = item.references[0] if item.references else ""
    kind = (
        item_kind(item)
        if item.aliases
        else ""
        if item.labels
        else question_kind(reference, item.language)
    )
    return item.subset, item.language, kind


def _find_best(items: Sequence[Item]) -> str:
    first = items[0].metrics[0]
    if first in ("wer", "cer", "refused", "ifeval"):
        return ""
    if first == "mae":
        classes = [
            item.labels.index(found[0])
            for item in items
            if (found := find_classes(item, item.references[0]))
        ]
        return items[0].labels[sorted(classes)[len(classes) // 2]] if classes else ""
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    texts: dict[tuple[str, str], str] = {}
    for item in items:
        # each reference of an item is an answer that is right there
        for reference in dict.fromkeys(item.references):
            content = _content(item, reference)
            counts[content] += 1
            texts.setdefault(content, reference)
    return texts[counts.most_common(1)[0][0]] if counts else ""


def _content(item: Item, reference: str) -> tuple[str, str]:
    """What references that are right together share."""
    if (item.aliases or not item.labels) and item.metrics[0].startswith("judge_"):
        return classify_item(item, reference)
    return "text", simplify(reference)
