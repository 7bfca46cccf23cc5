"""Speech from any OpenAI-compatible server.

POST {url}/audio/speech  {"model": …, "input": "It cost three dollars.", "voice": "ash", "response_format": "flac"}
    ─►  the bytes of an audio file ─►  float32 [n] at 16 kHz
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.llm.chat_client import ChatClient
from data_prep.llm.circuit_breaker import Patience
from data_prep.synthesis.tts.engine import RATE, Speaking, Voice, share_voices
from sift_jax.audio.files import AudioError, read_audio
from sift_jax.endpoints.client import Passing
from sift_jax.endpoints.secret import read_secret

FORMATS = ("flac", "wav", "mp3", "opus")
_LONGEST_SECONDS = 600.0


class SpeechEndpoint:
    """The client's retries and limits are those of the writer's."""

    def __init__(self, speaking: Speaking, folder: Path, seed: int):
        endpoint = speaking.endpoint
        assert endpoint is not None
        self.speaking, self.endpoint, self.folder = speaking, endpoint, folder
        self.client = ChatClient(endpoint, read_secret(endpoint.key_variable), seed=seed)
        self.calls, self.patience = endpoint.concurrency, Patience(endpoint.concurrency)

    def list_voices(self, language: str, split: str) -> Sequence[Voice]:
        return share_voices(self.speaking.voices, split)

    def speak(
        self, texts: Sequence[str], voice: Voice, language: str, draw: int
    ) -> Iterator[np.ndarray]:
        return (self._ask(text, voice) for text in texts)

    def _ask(self, text: str, voice: Voice) -> np.ndarray:
        body = self.endpoint.make_body(
            {
                "input": text,
                "voice": voice.name,
                "response_format": self.speaking.audio_format,
            }
        )
        payload = json.dumps(body, ensure_ascii=False).encode()
        return self.patience.call(
            self.client, "/audio/speech", payload, "application/json", self._decode
        )

    def stop(self) -> None:
        self.client.stop()

    def _decode(self, payload: bytes) -> np.ndarray:
        """The wave in an answer; one without is worth another attempt."""
        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = (
            ".ogg" if self.speaking.audio_format == "opus" else f".{self.speaking.audio_format}"
        )
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=suffix) as file:
            file.write(payload)
            file.flush()
            try:
                wave = read_audio(file.name, rate=RATE, max_seconds=_LONGEST_SECONDS)
            except AudioError as error:
                raise Passing(
                    "no audio in the answer",
                    (
                        f"{error.reason}, {len(payload)} bytes beginning with "
                        f"{payload.decode(errors='replace')}"
                    ),
                ) from None
        if not len(wave):
            raise Passing("no audio in the answer", "no samples")
        return wave
