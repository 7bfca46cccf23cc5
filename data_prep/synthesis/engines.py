"""What speaks a text, behind one interface: a voice is drawn for each passage, and says it sentence by sentence.

    Engine.speak(["It cost three dollars.", …], voice, "en", draw) ─►  float32 [n] at 16 kHz, one a sentence

    embedded    espeak-ng in twenty voices a language, each at its own pace and pitch        (embedded_engine)
    endpoint    any OpenAI-compatible server, POST /audio/speech, with the voices listed     (speech_endpoint)
    local       a VITS of `transformers` in a folder, in all voices it has                   (vits)

What costs money or minutes is kept as it comes, so that a run that is stopped asks for no sentence twice.
"""

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from data_prep.llm.client import Endpoint
from data_prep.llm.journal import make_key
from data_prep.splits import DEV, EVALUATION, SPLITS, TRAIN
from sift_jax.audio.files import read_audio

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
    """Which engine, and what it needs: voices for an endpoint, the folder of a model for a local one."""

    engine: str
    endpoint: Endpoint | None = None
    voices: tuple[str, ...] = ()
    audio_format: str = "flac"
    model: Path | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"--engine={self.engine}: no such engine; choose of {', '.join(ENGINES)}")
        if self.engine == ENDPOINT and (self.endpoint is None or not self.voices):
            raise ValueError("--engine=endpoint needs --endpoint=<address with /v1>, --model and --voices=<names>")
        if self.engine == LOCAL and self.model is None:
            raise ValueError("--engine=local needs --voice_model=<folder of a VITS of transformers>")

    @property
    def identity(self) -> dict[str, object]:
        """What decides what is heard."""
        server = self.endpoint and [self.endpoint.url, self.endpoint.model, dict(self.endpoint.extra)]
        return {"engine": self.engine, "server": server, "voices": list(self.voices), "format": self.audio_format,
                "model": str(self.model)}


class Engine(Protocol):
    """`calls` is how many passages may be spoken at once."""

    calls: int

    def list_voices(self, language: str, split: str) -> Sequence[Voice]: ...

    def speak(self, texts: Sequence[str], voice: Voice, language: str, draw: int) -> Iterator[np.ndarray]: ...

    def stop(self) -> None: ...


def make_voice_engine(speaking: Speaking, kept: Path, seed: int) -> Engine:
    """The engine, with a folder for what it has said already."""
    if speaking.engine == EMBEDDED:
        from data_prep.synthesis.embedded_engine import EmbeddedEngine

        return EmbeddedEngine()
    if speaking.engine == ENDPOINT:
        from data_prep.synthesis.speech_endpoint import SpeechEndpoint

        return KeptEngine(SpeechEndpoint(speaking, kept, seed), kept, speaking.identity)
    from data_prep.synthesis.vits import Vits

    return KeptEngine(Vits(speaking.model), kept, speaking.identity)


def share_voices(voices: Sequence[str], split: str) -> list[Voice]:
    """Those of a split: nobody is heard in two, unless there are fewer than three."""
    names = list(dict.fromkeys(voices))
    if len(names) < _LEAST_SHARED:
        return [Voice(name=name) for name in names]
    held = max(1, len(names) // _HELD_SHARE)
    owned = {TRAIN: names[:-2 * held], DEV: names[-2 * held:-held], EVALUATION: names[-held:]}
    assert owned.keys() == set(SPLITS)
    return [Voice(name=name) for name in owned[split]]


class KeptEngine:
    """An engine whose sentences lie in a folder from the moment they were said."""

    def __init__(self, engine: Engine, folder: Path, identity: dict[str, object]):
        self.engine, self.folder, self.identity = engine, folder, identity
        self.calls = engine.calls
        self.list_voices: Callable[[str, str], Sequence[Voice]] = engine.list_voices
        self.stop = engine.stop

    def speak(self, texts: Sequence[str], voice: Voice, language: str, draw: int) -> Iterator[np.ndarray]:
        return (self._find(text, voice, language, draw) for text in texts)

    def _find(self, text: str, voice: Voice, language: str, draw: int) -> np.ndarray:
        path = self.folder / f"{make_key([self.identity, text, voice.name, language, draw])[:40]}.flac"
        if not path.is_file():
            wave = next(iter(self.engine.speak([text], voice, language, draw)))
            data = io.BytesIO()
            soundfile.write(data, np.clip(wave, -1, 1), RATE, format="FLAC", subtype="PCM_16")
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".part")
            draft.write_bytes(data.getvalue())
            draft.replace(path)
        return read_audio(path)
