"""Answers to questions with choices: by the words of the choice, or by its letter.

By its words, MMAU's own comparison:

choices  A child · A woman · An adult man         right: A woman
    "It is a woman."                right      has a, woman; nothing that only another choice has
    "A woman, not a man."           wrong      man is of another choice
    "woman"                         wrong      lacks a
    "B"                             wrong      has none of the words

A word is a run of letters, digits and underscores, lower-cased; order and repetition do not matter.
A choice with the same words as the right one takes nothing away from it.

By its letter, for choices that are spoken and that the model does not see; or by yes and no:

    "B" · "(b)" · "B. A woman"      B
    "The answer is B, as she …"     B          the first letter that an answer marks as its own
    "It is a woman."                none       an article is no letter
    "No. That is not plausible."    no         the first word; else the one that is said; else the last one said
"""

from __future__ import annotations

import re

from sift_jax.evaluation.scores.schema import Item

_WORD = re.compile(r"\w+")
# the whole answer, or its beginning; then what says that it is the answer; then any letter with a mark
_LETTERS = (
    re.compile(r"[\W_]*([A-Da-d])[\W_]*"),
    re.compile(r"[\s*(\"'\[]*([A-Da-d])[*)\"'\]]*[.,:)]"),
    re.compile(
        r"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice|ANSWER|OPTION)(?:\s+(?:is|would be|should be))?"
        r"(?:\s+(?:[Oo]ption|[Cc]hoice))?[\s:*(\"'\[]*(?<![A-Za-z])([A-D])\b(?!'[a-z])"
    ),
    re.compile(r"(?<![\w'])(?:\(([A-Da-d])\)|\*\*([A-D])\b|([A-D])(?:[.,:)\"*}]|'(?![a-z])))"),
    re.compile(r"\b(?:is|would be|say|choose)\s+([A-D])\b(?!'[a-z])|(?<![\w'])([A-D]) is\b"),
)
_VERDICT = re.compile(r"\b(?:(yes|plausible)|(no|not plausible|implausible))\b")


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


def find_letter(answer: str) -> str:
    """The letter, A to D, that an answer gives; empty where it gives none."""
    whole, beginning, *anywhere = _LETTERS
    found = whole.fullmatch(answer) or beginning.match(answer)
    for pattern in anywhere:
        found = found or pattern.search(answer)
    return next(filter(None, found.groups()), "").upper() if found else ""


def find_verdict(answer: str) -> str:
    """The yes or no that an answer gives; empty where it gives none."""
    found = [
        (match.start(), "yes" if match[1] else "no")
        for match in _VERDICT.finditer(answer.lower().replace("not plausible", "implausible"))
    ]
    if not found:
        return ""
    first, last = found[0], found[-1]
    # what stands before the first letter or digit is no word
    is_first = not re.search(r"\w", answer[: first[0]])
    return first[1] if is_first else last[1]


def find_option(item: Item, answer: str) -> str:
    """What an answer gives of the item's labels: letters, or yes and no."""
    return find_verdict(answer) if "yes" in item.labels else find_letter(answer)


def is_right_option(item: Item, answer: str) -> bool:
    return find_option(item, answer) in item.references


def explain_option(item: Item, answer: str) -> str:
    found = find_option(item, answer)
    return f"gives {found}" if found else "gives no option"
