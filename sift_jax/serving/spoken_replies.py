"""/v1/audio/speech: a text said by a model that speaks, in the slots in which others are answered.

{"model": …, "input": "Rain falls.", "instructions": "very slowly", "voice": "default"}
    ─► the instruction of training's rows + begin ─► slot ─► units ─► codec ─► mp3, wav, flac, opus or pcm
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import soundfile

from sift_jax.codecs.codec import Codec
from sift_jax.decoding.slots import Choice
from sift_jax.decoding.speech import plan_text
from sift_jax.decoding.speech_answers import SPEAKING, open_codec, open_speech, say
from sift_jax.decoding.text_answers import make_prompt
from sift_jax.pretrained import Model
from sift_jax.serving.chat_requests import (
    check_object,
    read_number,
    read_seed,
    read_temperature,
    read_text,
    refuse_unknown,
)
from sift_jax.serving.errors import RequestError
from sift_jax.serving.service import Answering, Prepared, Service
from sift_jax.text.unit_tokens import UnitIds, place_units

VOICE = "default"
MOST_LETTERS = 4096
# container, coding and media type of each format that OpenAI names and libsndfile writes
_FORMATS: dict[str, tuple[str, str, str]] = {
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    "wav": ("WAV", "PCM_16", "audio/wav"),
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "opus": ("OGG", "OPUS", "audio/ogg"),
    "pcm": ("RAW", "PCM_16", "audio/pcm"),
}
_FIELDS = (
    "model",
    "input",
    "voice",
    "instructions",
    "response_format",
    "speed",
    "stream_format",
    "temperature",
    "top_p",
    "seed",
    "language",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechRequest:
    model: str
    text: str
    style: str
    language: str
    format: str
    temperature: float
    top_p: float
    seed: int | None

    @property
    def media_type(self) -> str:
        return _FORMATS[self.format][2]


def read_speech_request(body: Any) -> SpeechRequest:
    """Raises a RequestError that names the field."""
    body = check_object(body)
    refuse_unknown(body, _FIELDS)
    text, found = read_text(body, "input"), body.get("response_format") or "mp3"
    if not text.strip() or len(text) > MOST_LETTERS:
        raise RequestError(400, f"input must have 1 to {MOST_LETTERS} letters", param="input")
    if not isinstance(found, str) or found not in _FORMATS:
        raise RequestError(
            400,
            f"response_format must be one of {', '.join(_FORMATS)}",
            param="response_format",
        )
    # what sounds otherwise is asked for in words
    for name, taken in (("voice", VOICE), ("speed", 1), ("stream_format", "audio")):
        if body.get(name) not in (None, taken):
            raise RequestError(
                400,
                f"{name} must be {taken!r}; say in instructions how it should sound",
                param=name,
            )
    return SpeechRequest(
        model=read_text(body, "model"),
        text=text,
        style=read_text(body, "instructions") if body.get("instructions") else "",
        language=read_text(body, "language") if body.get("language") else "en",
        format=found,
        temperature=read_temperature(body, SPEAKING.temperature),
        top_p=read_number(body, "top_p", SPEAKING.top_p, least=0.0, most=1.0),
        seed=read_seed(body),
    )


def write_samples(samples: np.ndarray, rate: int, name: str) -> bytes:
    """A file of the format, in memory."""
    container, coding, _ = _FORMATS[name]
    if name == "pcm":
        return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1.0, 1.0), rate, format=container, subtype=coding)
    return file.getvalue()


class Voice:
    """The codec of a model that speaks."""

    def __init__(self, model: Model, codec: Codec, *, max_seconds: float):
        self._codec, self._max_seconds = codec, max_seconds
        self._ids: UnitIds = place_units(model.tokenizer)

    @classmethod
    def open(cls, model: Model, folder: str | None, *, max_seconds: float = 30.0) -> Voice:
        """From `folder`, or from where the codec was in training."""
        return cls(model, open_codec(model, folder), max_seconds=max_seconds)

    def prepare(self, service: Service, asked: SpeechRequest) -> Prepared:
        """The prompt, and how many units its text may take with the end behind them."""
        try:
            task = plan_text(
                service.model,
                self._codec,
                asked.text,
                style=asked.style,
                language=asked.language,
                max_seconds=self._max_seconds,
                warn=lambda _: None,
            )
            prompt = make_prompt(service.model, task.messages, _refuse_audio)
        except ValueError as error:
            raise RequestError(400, " ".join(str(error).split()), param="input") from None
        return service.fit(open_speech(prompt, self._ids.begin), task.limit + 1)

    def begin(self, service: Service, prepared: Prepared, asked: SpeechRequest) -> Answering:
        choice = Choice(
            temperature=asked.temperature,
            top_p=asked.top_p,
            seed=service.choose_seed(asked.seed),
            limit=prepared.new - 1,
        )
        return service.begin(prepared, choice, (self._ids.end,))

    def write(self, ids: Sequence[int], asked: SpeechRequest) -> bytes:
        units = self._ids.read(np.asarray([*ids, self._ids.end]))
        samples, _ = say(units, self._codec, None, seed=asked.seed or 0)
        return write_samples(samples, self._codec.config.sample_rate, asked.format)


def _refuse_audio(name: str) -> np.ndarray:
    raise ValueError(f"{name}: a text to be said has no recording")
