"""Which class was said for which, for questions about one acoustic property.

    reference "very fast", answer "quite fast"     counts[6][5] += 1
    an answer with no class, or several            counts[6][7] += 1      the last column: none

                very slowly … quite fast, very fast │ none
    very slowly     12             0         1      │  2
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sift_jax.data.labels import ACOUSTIC_LABELS, LANGUAGES, find_labels
from sift_jax.evaluation.items import Prediction

Place = tuple[str, str, str]


def find_class(text: str, key: str, language: str) -> str | None:
    """The one label of a property that a text names."""
    found = {label for name, label in find_labels(text, language) if name == key}
    return found.pop() if len(found) == 1 else None


def asked_property(prediction: Prediction) -> str | None:
    """The acoustic property that a question asks for, if its reference names one class of one, and nothing else."""
    item = prediction.item
    if item.language not in LANGUAGES or not item.references:
        return None
    found = set(find_labels(item.references[0], item.language))
    key = found.pop()[0] if len(found) == 1 else None
    return key if key in ACOUSTIC_LABELS else None


def make_confusions(predictions: Iterable[Prediction]) -> list[dict[str, Any]]:
    """A table for each suite, property and language, and one over all languages: rows the reference's class, in order
    from low to high, columns the answer's, the last one for answers without a class."""
    tables: dict[Place, np.ndarray] = {}
    for prediction in predictions:
        key = asked_property(prediction)
        if key is None or "judge_closed" not in prediction.item.metrics:
            continue
        item, labels = prediction.item, ACOUSTIC_LABELS[key]
        right = find_class(item.references[0], key, item.language)
        said = find_class(prediction.answer, key, item.language)
        row, column = labels.index(right), len(labels) if said is None else labels.index(said)
        for language in ("", item.language):
            table = tables.setdefault((item.suite, key, language), np.zeros((len(labels), len(labels) + 1), int))
            table[row, column] += 1
    return [
        {"suite": suite, "facet": f"kind={key}", "language": language, "labels": list(ACOUSTIC_LABELS[key]),
         "counts": tables[suite, key, language].tolist()}
        for suite, key, language in sorted(tables)
    ]  # fmt: skip
