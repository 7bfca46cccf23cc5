"""The contract of what speaks a text: a voice is drawn for each passage, and says it sentence by
sentence.

Engine.speak(["It cost three dollars.", …], voice, "en", draw) ─►  float32 [n] at 16 kHz, one a sentence
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from data_prep.corpora.splits import DEV, EVALUATION, SPLITS, TRAIN
from data_prep.llm.chat_client import Endpoint

EMBEDDED, ENDPOINT, LOCAL = "embedded", "endpoint", "local"
ENGINES = (EMBEDDED, ENDPOINT, LOCAL)
RATE = 16_000
# Of so many voices one is held back for dev and one for EvalSIFT, and of ten times as many ten.
_LEAST_SHARED, _HELD_SHARE = 3, 10


class EngineError(ValueError):
    """An engine that cannot speak; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Voice:
    """Who speaks, as far as it is known."""

    name: str
    gender: str | None = None
    age_category: str | None = None
    accent: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speaking:
    """Which engine, and what it needs: voices for an endpoint, the folder of a model for a local
    one."""

    engine: str
    endpoint: Endpoint | None = None
    voices: tuple[str, ...] = ()
    audio_format: str = "flac"
    model: Path | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(
                f"--engine={self.engine}: no such engine; choose of {', '.join(ENGINES)}"
            )
        if self.engine == ENDPOINT and (self.endpoint is None or not self.voices):
            raise ValueError(
                "--engine=endpoint needs --endpoint=<address with /v1>, --model and "
                "--voices=<names>"
            )
        if self.engine == LOCAL and self.model is None:
            raise ValueError(
                "--engine=local needs --voice_model=<folder of a VITS of transformers>"
            )

    @property
    def identity(self) -> dict[str, object]:
        """What decides what is heard."""
        server = self.endpoint and [
            self.endpoint.url,
            self.endpoint.model,
            dict(self.endpoint.extra),
        ]
        return {
            "engine": self.engine,
            "server": server,
            "voices": list(self.voices),
            "format": self.audio_format,
            "model": str(self.model),
        }


class Engine(Protocol):
    """`calls` is how many passages may be spoken at once."""

    calls: int

    def list_voices(self, language: str, split: str) -> Sequence[Voice]: ...

    def speak(
        self, texts: Sequence[str], voice: Voice, language: str, draw: int
    ) -> Iterator[np.ndarray]: ...

    def stop(self) -> None: ...


def share_voices(voices: Sequence[str], split: str) -> list[Voice]:
    """Those of a split: nobody is heard in two, unless there are fewer than three."""
    names = list(dict.fromkeys(voices))
    if len(names) < _LEAST_SHARED:
        return [Voice(name=name) for name in names]
    held = max(1, len(names) // _HELD_SHARE)
    owned = {TRAIN: names[: -2 * held], DEV: names[-2 * held : -held], EVALUATION: names[-held:]}
    assert owned.keys() == set(SPLITS)
    return [Voice(name=name) for name in owned[split]]
