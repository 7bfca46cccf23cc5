"""Who grades a question and its answer against what is said in the recording, behind one interface.

Grader.grade([triples of one recording]) ─►  [Grade(answerable=5, correct=4, worded=5, fault="", detail=""), …]

llm     any OpenAI-compatible chat server: of three grades from 1 to 5 each
rules   words that question, answer and transcript share, without a model: these see what is foreign, no lies
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from data_prep.instructions.filters.language_id import is_in_language, list_frequent_words
from data_prep.llm.cached_client import CachedClient, Prices
from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.llm.framed_data import wrap_data
from data_prep.llm.journal import Journal
from data_prep.llm.json_repair import find_objects
from data_prep.synthesis.triples import Triple
from sift_jax.endpoints.client import CallError, Message
from sift_jax.endpoints.secret import read_secret

LLM, RULES = "llm", "rules"
GRADERS = (LLM, RULES)
# What a low grade is called.
CRITERIA = {
    "answerable": "not answered by its recording",
    "correct": "wrong answer",
    "worded": "badly worded",
}
BEST = 5
NO_GRADE = "no grade"
SAMPLING = {"temperature": 0.0, "max_tokens": 1024}
# in any of the languages
_VERDICTS = frozenset("yes no ja nein oui non sì sí si".split())
_TRIES = 3
_LONGEST_FAULT = 200
_SYSTEM = """You check exercises for people who learn to listen. You get the words of a recording, and numbered \
questions about it with the answers that are taught.
Give each three grades, whole numbers from 1 (useless) to 5 (without fault):
answerable: can whoever has heard the recording, and nothing else, answer the question? 1 if the recording says \
nothing of it.
correct: is the answer right by what the recording says, and whole? 1 if it is wrong, or made up.
worded: are question and answer clear, natural and in the same language as the recording, and can the question be \
understood alone? 1 if it is garbled, gives its answer away, or speaks of a text or a transcript.
Some words of the recording may have been misheard; a question that hangs on words that make no sense is not \
answerable.
Write one JSON object for each on a line of its own, no more: {"number": 1, "answerable": 5, "correct": 5, \
"worded": 5, "fault": "what is wrong, in a few words, or nothing"}"""
_AGAIN = (
    "That holds no grades for number {missing}. Write these, each as one JSON object with "
    '"number", '
    '"answerable", "correct", "worded" and "fault" on a line of its own, and nothing else.'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grade:
    """1 to 5 each; all 0 with the fault NO_GRADE where there is none."""

    answerable: int
    correct: int
    worded: int
    fault: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grading:
    """Who grades."""

    grader: str
    endpoint: Endpoint | None

    def __post_init__(self) -> None:
        if self.grader == LLM and self.endpoint is None:
            raise ValueError(
                "--grader=llm needs --endpoint=<address with /v1> and --model; without a server "
                "there is --grader=rules"
            )

    @property
    def identity(self) -> dict[str, Any]:
        server = self.endpoint and [
            self.endpoint.url,
            self.endpoint.model,
            dict(self.endpoint.extra),
        ]
        return {"grader": self.grader, "server": server}


class Grader(Protocol):
    """`calls` is how many recordings may be graded at once."""

    calls: int

    def grade(self, triples: Sequence[Triple]) -> list[Grade]: ...

    def stop(self) -> None: ...

    def report(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


def make_grader(grading: Grading, calls: Path, seed: int) -> Grader:
    """The grader, with the journal of its calls."""
    if grading.grader == RULES:
        return RulesGrader()
    assert grading.endpoint is not None
    return LlmGrader(grading.endpoint, calls, seed)


class LlmGrader:
    """One journal, one server; a recording's triples in one call."""

    def __init__(self, endpoint: Endpoint, calls: Path, seed: int):
        self.journal = Journal(calls)
        client = ChatClient(endpoint, read_secret(endpoint.key_variable), seed=seed)
        self.client = CachedClient(client, self.journal, version="synthesis filter 1")
        self.calls, self.seed = endpoint.concurrency, seed

    def grade(self, triples: Sequence[Triple]) -> list[Grade]:
        shown = {
            "words": triples[0].transcript,
            "exercises": [
                {"number": number, "question": triple.question, "answer": triple.answer}
                for number, triple in enumerate(triples, 1)
            ],
        }
        salt = f"{self.seed}/{triples[0].id}"
        messages: list[Message] = [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": wrap_data(shown, salt=salt, clip="recording")},
        ]
        found: dict[int, Grade] = {}
        detail = "the reply has none"
        for _ in range(_TRIES):
            try:
                text = self.client.ask(messages, SAMPLING).text
            except CallError as error:
                detail = str(error)
                break
            found = {**read_grades(text), **found}
            missing = [number for number in range(1, len(triples) + 1) if number not in found]
            if not missing:
                break
            # of the same messages the journal would give the same reply
            again = _AGAIN.format(missing=", ".join(map(str, missing)))
            messages = [
                *messages,
                {"role": "assistant", "content": text[:2000]},
                {"role": "user", "content": again},
            ]
        none = Grade(answerable=0, correct=0, worded=0, fault=NO_GRADE, detail=detail)
        return [found.get(number, none) for number in range(1, len(triples) + 1)]

    def stop(self) -> None:
        self.client.client.stop()

    def report(self) -> dict[str, Any]:
        return self.client.report(Prices())

    def close(self) -> None:
        self.journal.__exit__()


def read_grades(text: str) -> dict[int, Grade]:
    """The grades in a reply by number; what lacks one, or has one that is none, is no grade."""
    grades: dict[int, Grade] = {}
    for value in find_objects(text).objects:
        number = value.get("number")
        # a mark that is none is left out
        marks: dict[str, int] = {
            name: mark
            for name in CRITERIA
            if type(mark := value.get(name)) is int and 1 <= mark <= BEST
        }
        if type(number) is int and len(marks) == len(CRITERIA):
            detail = " ".join(str(value.get("fault") or "").split())[:_LONGEST_FAULT]
            grade = Grade(
                answerable=marks["answerable"],
                correct=marks["correct"],
                worded=marks["worded"],
                detail=detail,
            )
            grades.setdefault(number, grade)
    return grades


class RulesGrader:
    """Grades by shares of words; five where all of the telling ones are heard."""

    calls = 1

    def grade(self, triples: Sequence[Triple]) -> list[Grade]:
        return [self._grade(triple) for triple in triples]

    def _grade(self, triple: Triple) -> Grade:
        heard = set(_list_words(triple.transcript))
        common = list_frequent_words(triple.language) | _VERDICTS
        asked, said = (
            [word for word in _list_words(text) if word not in common]
            for text in (triple.question, triple.answer)
        )
        answered = _list_words(triple.answer)
        # an answer of common words alone, such as yes, tells nothing that could be foreign
        correct = _mark(said, heard) if said else BEST
        worded = (
            BEST
            if answered and is_in_language(f"{triple.question} {triple.answer}", triple.language)
            else 1
        )
        # questions have words of their own: one that is heard is enough
        answerable = BEST if not asked or set(asked) & heard or set(answered) & heard else 2
        return Grade(answerable=answerable, correct=correct, worded=worded)

    def stop(self) -> None:
        """It waits for nobody."""

    def report(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """It holds nothing."""


def _list_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)?", text.casefold())


def _mark(words: Sequence[str], heard: set[str]) -> int:
    return 1 + round((BEST - 1) * sum(word in heard for word in words) / len(words))
