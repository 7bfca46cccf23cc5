"""A writer without a language model: questions about words and their order, by rules.

    "Rain falls softly over seven hills."  ─►  {"question": "Which word comes after \\"softly\\"?", "answer": "over"}
        follows · precedes · first · last · gap · said (yes or no, evenly) · number

It asks what anybody can check and nothing that takes understanding: good for trying everything out
without a server, and no measure of what a model writes.
"""

import collections
import functools
import json
import random
from collections.abc import Callable
from pathlib import Path

from data_prep.instructions.filters.language_id import list_frequent_words
from data_prep.synthesis.passages.number_words import say_integer
from data_prep.synthesis.question_writers.writer import Written

_TABLES = Path(__file__).parent / "questions.json"
_MARKS = " ,;:.!?…\"'“”„«»()–—-¿¡"
# Shorter words are hardly heard, and stand everywhere.
_LEAST_LETTERS = 3
_GAP_WORDS = 3
_NUMBERS = range(2, 101)

Pair = tuple[str, str]


class RulesWriter:
    """The same pairs for the same utterance and seed."""

    calls = 1

    def __init__(self, pairs: int, seed: int):
        self.pairs, self.seed = pairs, seed

    def write(self, identity: str, language: str, transcript: str) -> Written:
        words = [stripped for word in transcript.split() if (stripped := word.strip(_MARKS))]
        rng = random.Random(f"{self.seed}/{identity}")
        made = [
            (form, pair)
            for form, make in _FORMS.items()
            if (pair := make(words, language, rng)) is not None
        ]
        rng.shuffle(made)
        templates = _load()[language]
        pairs = [
            {
                "question": rng.choice(templates[form]).format(anchor=anchor, gap=anchor),
                "answer": templates[answer[1:]] if answer in ("=yes", "=no") else answer,
            }
            for form, (anchor, answer) in made[: self.pairs]
        ]
        return Written.of(pairs) if pairs else Written.nothing("too few words", transcript)

    def stop(self) -> None:
        """It waits for nobody."""

    def report(self) -> dict:
        return {}

    def close(self) -> None:
        """It holds nothing."""


@functools.cache
def _load() -> dict[str, dict]:
    return json.loads(_TABLES.read_text(encoding="utf-8"))


def _find_anchors(words: list[str]) -> list[int]:
    """Places of words that are said once, and can be told from others."""
    counts = collections.Counter(word.casefold() for word in words)
    return [
        place
        for place, word in enumerate(words)
        if counts[word.casefold()] == 1 and len(word) >= _LEAST_LETTERS
    ]


def _ask_neighbour(step: int, words: list[str], language: str, rng: random.Random) -> Pair | None:
    places = [place for place in _find_anchors(words) if 0 <= place + step < len(words)]
    if not places:
        return None
    place = rng.choice(places)
    return words[place], words[place + step]


def _ask_end(place: int, words: list[str], language: str, rng: random.Random) -> Pair | None:
    return ("", words[place]) if len(words) > 1 else None


def _ask_gap(words: list[str], language: str, rng: random.Random) -> Pair | None:
    places = [place for place in _find_anchors(words) if len(words) >= _GAP_WORDS]
    if not places:
        return None
    place = rng.choice(places)
    start, end = max(0, place - _GAP_WORDS), place + _GAP_WORDS + 1
    shown = [*words[start:place], "___", *words[place + 1 : end]]
    return " ".join(shown), words[place]


def _ask_said(words: list[str], language: str, rng: random.Random) -> Pair | None:
    heard = {word.casefold() for word in words}
    if rng.random() < 0.5:
        places = _find_anchors(words)
        return (words[rng.choice(places)], "=yes") if places else None
    others = sorted(
        word for word in list_frequent_words(language) - heard if len(word) >= _LEAST_LETTERS
    )
    return rng.choice(others), "=no"


def _ask_number(words: list[str], language: str, rng: random.Random) -> Pair | None:
    """Where exactly one is said."""
    named = {say_integer(number, language) for number in _NUMBERS}
    found = [
        word for word in words if word.casefold() in named or word.replace(",", "").isdecimal()
    ]
    return ("", found[0]) if len(found) == 1 else None


_FORMS: dict[str, Callable[[list[str], str, random.Random], Pair | None]] = {
    "follows": functools.partial(_ask_neighbour, 1),
    "precedes": functools.partial(_ask_neighbour, -1),
    "first": functools.partial(_ask_end, 0),
    "last": functools.partial(_ask_end, -1),
    "gap": _ask_gap,
    "said": _ask_said,
    "number": _ask_number,
}
