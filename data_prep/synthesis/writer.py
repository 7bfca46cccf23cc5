"""Who writes questions and answers from a transcript, behind one interface.

    Writer.write("ls_en_1", "en", "rain falls softly")  ─►  Written(items=2, pairs=[{"question", "answer"}], drops=[…])

    llm     any OpenAI-compatible chat server                                  (llm_writer)
    rules   questions about words and their order, without a model             (rules_writer)
"""

import dataclasses
from pathlib import Path
from typing import Any, Protocol

from data_prep.instructions.llm.converse import Drop
from data_prep.llm.client import Endpoint

LLM, RULES = "llm", "rules"
WRITERS = (LLM, RULES)


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
    """Which writer, and how many pairs of each transcript at most."""

    writer: str
    endpoint: Endpoint | None
    pairs: int
    seed: int

    def __post_init__(self) -> None:
        if self.writer == LLM and self.endpoint is None:
            raise ValueError("--writer=llm needs --endpoint=<address with /v1> and --model; without a server there is "
                             "--writer=rules")
        if self.pairs < 1:
            raise ValueError(f"--pairs={self.pairs} is too small; give at least 1")

    @property
    def identity(self) -> dict[str, Any]:
        server = self.endpoint and [self.endpoint.url, self.endpoint.model, dict(self.endpoint.extra)]
        return {"writer": self.writer, "server": server, "pairs": self.pairs}


def make_writer(writing: Writing, calls: Path) -> Writer:
    """The writer, with the journal of its calls."""
    if writing.writer == RULES:
        from data_prep.synthesis.rules_writer import RulesWriter

        return RulesWriter(writing.pairs, writing.seed)
    from data_prep.synthesis.llm_writer import LlmWriter

    assert writing.endpoint is not None
    return LlmWriter(writing.endpoint, calls, pairs=writing.pairs, seed=writing.seed)
