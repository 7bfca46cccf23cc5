"""The contract of who writes questions and answers from a transcript; question_writers.py makes
them.

Writer.write("ls_en_1", "en", "rain falls softly")  ─►  Written(items=2, pairs=[{"question", "answer"}], drops=[…])

llm        any OpenAI-compatible chat server, told what a good question is    (llm_writer)
few_shot   the same, shown a few transcripts with their questions             (few_shot)
rules      questions about words and their order, without a model             (rules_writer)
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, Protocol

from data_prep.instructions.llm.ask_llm import Drop
from data_prep.llm.chat_client import Endpoint

LLM, FEW_SHOT, RULES = "llm", "few_shot", "rules"
WRITERS = (LLM, FEW_SHOT, RULES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """All items of one transcript: each is in `pairs` or in `drops`."""

    pairs: list[dict[str, str]]
    drops: list[Drop]

    @staticmethod
    def of(pairs: list[dict[str, str]]) -> "Written":
        return Written(pairs=pairs, drops=[])

    @staticmethod
    def nothing(reason: str, detail: str) -> "Written":
        return Written(pairs=[], drops=[Drop(reason=reason, detail=detail[:200], item={})])


class Writer(Protocol):
    """`calls` is how many transcripts may be written about at once."""

    calls: int

    def write(self, identity: str, language: str, transcript: str) -> Written: ...

    def stop(self) -> None: ...

    def report(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writing:
    """Which writer, how many pairs of each transcript at most, and of a few-shot writer the
    examples."""

    writer: str
    endpoint: Endpoint | None
    pairs: int
    seed: int
    examples: Path | None
    shots: int

    def __post_init__(self) -> None:
        if self.writer != RULES and self.endpoint is None:
            raise ValueError(
                f"--writer={self.writer} needs --endpoint=<address with /v1> and --model; without "
                "a server there is --writer=rules"
            )
        if self.pairs < 1:
            raise ValueError(f"--pairs={self.pairs} is too small; give at least 1")
        if self.shots < 1:
            raise ValueError(f"--shots={self.shots} is too small; give at least 1")
        if self.examples is not None and self.writer != FEW_SHOT:
            raise ValueError(
                f"--examples are for --writer={FEW_SHOT}, not {self.writer}; leave them out"
            )

    @property
    def identity(self) -> dict[str, Any]:
        server = self.endpoint and [
            self.endpoint.url,
            self.endpoint.model,
            dict(self.endpoint.extra),
        ]
        identity: dict[str, Any] = {"writer": self.writer, "server": server, "pairs": self.pairs}
        if self.writer == FEW_SHOT:
            digest = self.examples and hashlib.sha256(self.examples.read_bytes()).hexdigest()
            identity |= {"examples": digest, "shots": self.shots}
        return identity
