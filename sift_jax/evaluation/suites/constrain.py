"""Constraints laid over a suite's questions, to see whether a model still follows instructions.

"How loud is she?"  ─►  "How loud is she? Answer in exactly 3 words."     scored as before, and: followed,
                        facet constraint=words:3                           followed and right

Each question gets one of the constraints, drawn by its id, in its own language; a question in a language
without texts is asked in English.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.constraints import (
    BEGIN,
    END,
    check_constraint,
    split_constraint,
)
from sift_jax.evaluation.scores.schema import EvaluationError, Item
from sift_jax.text.chat import add_sentence

FACET = "constraint"
# scores of a right answer that can be looked for inside of a form
_RIGHT = ("accuracy", "exact_match")
_TEXTS = Path(__file__).with_name("constraint_texts.json")


@functools.cache
def _load_texts() -> dict[str, dict[str, Any]]:
    return json.loads(_TEXTS.read_text(encoding="utf-8"))


def constrain(items: Sequence[Item], constraints: Sequence[str]) -> tuple[Item, ...]:
    """The items with a constraint each; without constraints, as they are."""
    if not constraints:
        return tuple(items)
    try:
        for constraint in constraints:
            check_constraint(constraint)
    except ValueError as error:
        raise EvaluationError(f"SuiteConfig.constraints: {error}") from error
    return tuple(_constrain(item, constraints) for item in items)


def _constrain(item: Item, constraints: Sequence[str]) -> Item:
    constraint = constraints[zlib.crc32(item.id.encode()) % len(constraints)]
    *before, last = item.messages
    content = add_sentence(last["content"], word_constraint(constraint, item.language))
    metrics = ["followed"]
    if any(name in _RIGHT for name in item.metrics):
        metrics.append("followed_right")
    return dataclasses.replace(
        item,
        messages=(*before, {**last, "content": content}),
        metrics=(*item.metrics, *metrics),
        facets={**item.facets, FACET: constraint},
    )


def word_constraint(constraint: str, language: str) -> str:
    """The sentence that asks for it."""
    kind, argument = split_constraint(constraint)
    texts = _load_texts()
    base = language.partition("-")[0]
    own = base if base in texts and base != "languages" else "en"
    phrase = {"begin": BEGIN, "end": END}.get(kind, {}).get(own, "")
    named = texts["languages"][own].get(argument, "")
    return texts[own][kind].format(n=argument, phrase=phrase, language=named)
