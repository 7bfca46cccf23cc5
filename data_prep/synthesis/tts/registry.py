"""The engines that speak, and what they have said, which is kept: the contract is in engine.py.

    embedded    espeak-ng in twenty voices a language, each at its own pace and pitch        (embedded_engine)
    endpoint    any OpenAI-compatible server, POST /audio/speech, with the voices listed     (speech_endpoint)
    local       a VITS of `transformers` in a folder, in all voices it has                   (vits)

What costs money or minutes is kept as it comes, so that a run that is stopped asks for no sentence
twice.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from data_prep.llm.journal import make_key
from data_prep.synthesis.tts.engine import EMBEDDED, ENDPOINT, RATE, Engine, Speaking, Voice
from sift_jax.audio.files import read_audio


def make_voice_engine(speaking: Speaking, kept: Path, seed: int) -> Engine:
    """The engine, with a folder for what it has said already."""
    if speaking.engine == EMBEDDED:
        from data_prep.synthesis.tts.embedded_engine import EmbeddedEngine

        return EmbeddedEngine()
    if speaking.engine == ENDPOINT:
        from data_prep.synthesis.tts.speech_endpoint import SpeechEndpoint

        return KeptEngine(SpeechEndpoint(speaking, kept, seed), kept, speaking.identity)
    from data_prep.synthesis.tts.vits import Vits

    return KeptEngine(Vits(speaking.model), kept, speaking.identity)


class KeptEngine:
    """An engine whose sentences lie in a folder from the moment they were said."""

    def __init__(self, engine: Engine, folder: Path, identity: dict[str, object]):
        self.engine, self.folder, self.identity = engine, folder, identity
        self.calls = engine.calls
        self.list_voices: Callable[[str, str], Sequence[Voice]] = engine.list_voices
        self.stop = engine.stop

    def speak(
        self, texts: Sequence[str], voice: Voice, language: str, draw: int
    ) -> Iterator[np.ndarray]:
        return (self._find(text, voice, language, draw) for text in texts)

    def _find(self, text: str, voice: Voice, language: str, draw: int) -> np.ndarray:
        path = (
            self.folder / f"{make_key([self.identity, text, voice.name, language, draw])[:40]}.flac"
        )
        if not path.is_file():
            wave = next(iter(self.engine.speak([text], voice, language, draw)))
            data = io.BytesIO()
            soundfile.write(data, np.clip(wave, -1, 1), RATE, format="FLAC", subtype="PCM_16")
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".part")
            draft.write_bytes(data.getvalue())
            draft.replace(path)
        return read_audio(path)
