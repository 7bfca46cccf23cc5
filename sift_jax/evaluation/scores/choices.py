"""Answers to questions with choices, by their words: MMAU's own comparison.

choices  A child · A woman · An adult man         right: A woman
    "It is a woman."                right      has a, woman; nothing that only another choice has
    "A woman, not a man."           wrong      man is of another choice
    "woman"                         wrong      lacks a
    "B"                             wrong      has none of the words

A word is a run of letters, digits and underscores, lower-cased; order and repetition do not matter.
A choice with the same words as the right one takes nothing away from it.
"""

from __future__ import annotations

import re

from sift_jax.evaluation.scores.schema import Item

_WORD = re.compile(r"\w+")


def is_right_choice(item: Item, answer: str) -> bool:
    """Whether an answer has every word of the reference, and none that other choices alone have."""
    missing, foreign = _compare(item, answer)
    return bool(item.references) and not missing and not foreign


def explain_choice(item: Item, answer: str) -> str:
    """What an answer lacks or has too much of, in words for a reader."""
    missing, foreign = _compare(item, answer)
    parts = [f"lacks {', '.join(sorted(missing))}"] if missing else []
    parts += [f"has {', '.join(sorted(foreign))} of other choices"] if foreign else []
    return "; ".join(parts) or "has the words of the right choice"


def _compare(item: Item, answer: str) -> tuple[set[str], set[str]]:
    """The words of the right choice that are missing, and those of other choices that are there."""
    right, said = _find_words(" ".join(item.references[:1])), _find_words(answer)
    others = set().union(*(_find_words(label) for label in item.labels)) - right
    return right - said, said & others


def _find_words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
