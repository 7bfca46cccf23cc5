"""Which class was said for which: acoustic properties, free fields, and suites whose answers come
from one closed set.

    reference "very fast", answer "quite fast"     counts[6][5] += 1
    an answer with no class, or several            counts[6][7] += 1      the last column: none

                very slowly … quite fast, very fast │ none
    very slowly     12             0         1      │  2
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sift_jax.evaluation.scores.ordinal_scores import find_classes
from sift_jax.evaluation.scores.schema import Item, Prediction
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES, find_labels

# more classes than that are no table to look at, and more parts of a suite no set of tables
_MOST_LABELS, _MOST_PARTS = 12, 4
_LABELLED = ("accuracy", "mae", "qwk")


def make_confusions(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """A table for each suite, property or part, and language, and one over all languages: rows the
    reference's class, in the labels' order, columns the answer's, the last one for answers without
    just one class."""
    labelled = _find_labelled(prediction.item for prediction in predictions)
    tables: dict[tuple[str, str, str], tuple[tuple[str, ...], np.ndarray]] = {}
    for prediction in predictions:
        found = (
            _read_field(prediction)
            or _read_acoustic(prediction)
            or _read_labelled(prediction, labelled)
        )
        if found is None:
            continue
        facet, labels, row, column = found
        for language in dict.fromkeys(("", prediction.item.language)):
            place = prediction.item.suite, facet, language
            _, counts = tables.setdefault(
                place, (labels, np.zeros((len(labels), len(labels) + 1), int))
            )
            counts[row, column] += 1
    return [
        {
            "suite": suite,
            "facet": facet,
            "language": language,
            "labels": list(labels),
            "counts": counts.tolist(),
        }
        for (suite, facet, language), (labels, counts) in sorted(
            tables.items(), key=lambda pair: pair[0]
        )
    ]


# facet, labels, row, column
Found = tuple[str, tuple[str, ...], int, int]


def _read_field(prediction: Prediction) -> Found | None:
    """What of a free field is asked for, and what the answer names; the classes are the same in
    every language."""
    item = prediction.item
    right = (
        find_classes(item, item.references[0])
        if item.aliases and "judge_closed" in item.metrics
        else []
    )
    if len(right) != 1 or len(item.labels) > _MOST_LABELS:
        return None
    said, labels = find_classes(item, prediction.answer), item.labels
    column = labels.index(said[0]) if len(said) == 1 else len(labels)
    return f"kind={item.facets['kind']}", labels, labels.index(right[0]), column


def _read_acoustic(prediction: Prediction) -> Found | None:
    """If the reference names one class of one acoustic property, and nothing else: that, and what
    the answer names."""
    item = prediction.item
    if "judge_closed" not in item.metrics or item.language not in LANGUAGES:
        return None
    named = set(find_labels(item.references[0], item.language))
    if len(named) != 1:
        return None
    ((key, right),) = named
    if key not in ACOUSTIC_LABELS:
        return None
    said = {label for name, label in find_labels(prediction.answer, item.language) if name == key}
    labels = ACOUSTIC_LABELS[key]
    return (
        f"kind={key}",
        labels,
        labels.index(right),
        labels.index(said.pop()) if len(said) == 1 else len(labels),
    )


def _find_labelled(items: Iterable[Item]) -> dict[tuple[str, str], tuple[str, ...]]:
    """The labels of each part of a suite whose items share them, such as the emotions of
    MSP-Podcast."""
    sets: dict[tuple[str, str], set[tuple[str, ...]]] = collections.defaultdict(set)
    for item in items:
        if any(name in _LABELLED for name in item.metrics):
            sets[item.suite, item.subset].add(item.labels)
    shared = {place: labels.pop() for place, labels in sets.items() if len(labels) == 1}
    parts = collections.Counter(suite for suite, _ in shared)
    return {
        (suite, subset): labels
        for (suite, subset), labels in shared.items()
        if parts[suite] <= _MOST_PARTS and len(labels) <= _MOST_LABELS
    }


def _read_labelled(
    prediction: Prediction, labelled: dict[tuple[str, str], tuple[str, ...]]
) -> Found | None:
    item = prediction.item
    labels = labelled.get((item.suite, item.subset))
    if not labels:
        return None
    right = find_classes(item, item.references[0])
    if len(right) != 1:
        return None
    said = find_classes(item, prediction.answer)
    column = labels.index(said[0]) if len(said) == 1 else len(labels)
    return f"part={item.subset}", labels, labels.index(right[0]), column
