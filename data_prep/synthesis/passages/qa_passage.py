"""A written passage and what is asked about it: an item is one, or it is skipped with its reason.

    Passage(id="squad_Normans_0", language="en", held="train", text="The Normans were …",
            questions=(Question(id="56dd…", question="In what country …?", answer="France", references=("France",)),))

A reader is a function (path, language, held) ─► iterator of passages and rejections; a rejection is one question, or a
passage with none. `text` is free of markup; the answers are as the set has them.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_prep.engine.ledger import Rejection
from data_prep.synthesis.passages.strip_markup import is_prose, strip_markup
from sift_jax.corpora.bad_item import BadItem

# No passage of these sets is as long; what is has swallowed another.
_LONGEST = 20_000
_LONGEST_ANSWER = 1_500
_NO_ANSWERS = {"", "no answer present", "no answer", "unanswerable", "none", "n/a"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """`answer` is the one that is taught; `references` are all that count as right, it among
    them."""

    id: str
    question: str
    answer: str
    references: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passage:
    id: str
    language: str
    held: str | None
    text: str
    questions: tuple[Question, ...]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


Found = Passage | Rejection
PassageReader = Callable[[Path, str, str | None], Iterator[Found]]


def parse_passage(line: str) -> Passage:
    row: dict[str, Any] = json.loads(line)
    questions = tuple(
        Question(**{**question, "references": tuple(question["references"])})
        for question in row.pop("questions")
    )
    return Passage(**row, questions=questions)


def clean_passage(text: Any, identity: str) -> str:
    """Without its markup; BadItem where nothing is left that can be said."""
    if not isinstance(text, str):
        raise BadItem("broken passage", f"a {type(text).__name__} where text belongs", identity)
    if len(text) > _LONGEST:
        raise BadItem("passage too long", f"{len(text)} characters", identity)
    clean = strip_markup(text)
    if not any(letter.isalnum() for letter in clean):
        raise BadItem("empty passage", "", identity)
    if not is_prose(clean):
        raise BadItem("passage is no prose", clean[:80], identity)
    return clean


def clean_question(text: Any, identity: str) -> str:
    question = " ".join(text.split()) if isinstance(text, str) else ""
    if not any(letter.isalnum() for letter in question):
        raise BadItem("no question", "", identity)
    return question


def choose_answer(values: Any, identity: str) -> tuple[str, tuple[str, ...]]:
    """The first of the answers, and all: several are several ways to say it. A list within the list
    is one answer."""
    values = values if isinstance(values, list) else [values]
    texts: list[str] = []
    for value in values:
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        if not isinstance(text, str):
            raise BadItem("broken answer", f"a {type(text).__name__} where text belongs", identity)
        texts.append(" ".join(text.split()))
    answers = [
        answer for answer in dict.fromkeys(texts) if answer.strip(" .").lower() not in _NO_ANSWERS
    ]
    if not answers:
        raise BadItem("no answer", "", identity)
    if len(answers[0]) > _LONGEST_ANSWER:
        raise BadItem("answer too long", f"{len(answers[0])} characters", identity)
    return answers[0], tuple(answers)


def is_supported(answer: str, passage: str) -> bool:
    """Whether an answer has anything of the passage: a word of it, or no more than yes or no."""

    def words(text: str) -> set[str]:
        return set(re.findall(r"[^\W_]+", text.casefold()))

    said = words(answer)
    return bool(said & words(passage)) or said <= {"yes", "no", "true", "false"}
