"""A text said aloud, or a recording answered aloud, in one voice after another.

text + style ─► the instruction of training's rows ─┐
recording ──────────────────────────────────────────┴─► SpeechGenerator ─► units ─► codec ─► Speech
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sift_jax.audio.files import write_audio
from sift_jax.audio.recordings import Recording, read_recording
from sift_jax.codecs.codec import Codec
from sift_jax.decoding.conversation import read_clip
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.speech_answers import (
    Request,
    SpeechGenerator,
    limit_units,
    say,
)
from sift_jax.pretrained import Model
from sift_jax.sift.speaking_styles import KEYS, check_text, read_style, write_instruction
from sift_jax.text.chat import Message, make_question

Warn = Callable[[str], object]
_RECORDING = "the recording"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speech:
    """What a model said: `samples, rate = speech`."""

    # float32 in −1 … 1, one channel
    samples: np.ndarray
    rate: int
    units: int
    # what was asked, as training words it; None of a recording
    instruction: str | None
    # the units that it might have had; one that was cut there has not ended by itself
    limit: int
    has_ended: bool
    # no unit of it has a sound
    is_silent: bool

    def __iter__(self) -> Iterator[np.ndarray | int]:
        return iter((self.samples, self.rate))

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def save(self, path: str | Path) -> None:
        """Writes a .wav or .flac file."""
        write_audio(path, self.samples, rate=self.rate)

    def describe(self) -> str:
        """How long it is, and what went wrong with it."""
        cut = (
            ""
            if self.has_ended
            else f"; cut at the limit of {self.limit} units, it had not come to an end"
        )
        silent = "; silence, since its units have no sound among them" if self.is_silent else ""
        return f"{self.seconds:.2f} s, {self.units} units{cut}{silent}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be said, in how many units at most."""

    messages: list[Message]
    limit: int
    instruction: str | None


def plan_text(
    model: Model,
    codec: Codec,
    text: str,
    *,
    style: str,
    language: str,
    max_seconds: float,
    warn: Warn,
) -> Task:
    """A text to be said; `warn` is told of phrases that the model may not know."""
    text, wishes = check_text(text), read_style(style, language)
    check_learnt(model, language)
    for wish in wishes:
        if wish.key is None:
            warn(
                f"{wish.phrase!r} is none of the phrases of training's instructions; it is said "
                "as it stands, and may change nothing"
            )
        elif wish.key not in KEYS:
            warn(
                f"{wish.phrase!r} asks for {wish.key}, which a model knows whose training data "
                "told it"
            )
    instruction = write_instruction(text, [wish.phrase for wish in wishes], language)
    return Task(
        messages=make_question(instruction, []),
        limit=limit_units(text, codec, max_seconds=max_seconds),
        instruction=instruction,
    )


def plan_reply(codec: Codec, text: str, *, max_seconds: float) -> Task:
    """A recording to be answered by voice, with what is asked beside it."""
    return Task(
        messages=make_question(text, [_RECORDING]),
        limit=math.ceil(max_seconds * codec.config.frame_rate),
        instruction=None,
    )


def speak_samples(
    generator: SpeechGenerator,
    codec: Codec,
    task: Task,
    *,
    audio: Recording | None,
    samples: int,
    reference: Recording | None,
    decoding: DecodingConfig,
    seed: int,
) -> Iterator[Speech]:
    """The task done `samples` times, each with other draws; made as they are taken, so that only the
    units of a batch are held."""
    voice = read_reference(reference, codec)
    longest = generator.model.config.longest_seconds
    # one array for all samples, so that it is encoded once
    clip = None if audio is None else read_clip(audio, longest)
    requests = [
        Request(messages=task.messages, limit=task.limit, draw=sample) for sample in range(samples)
    ]
    read = None if clip is None else lambda _: clip
    # of one limit all, so that they come in order
    for _, spoken in generator.talk(requests, decoding, seed=seed, read_clip=read):
        wave, is_silent = say(spoken.units, codec, voice, seed=seed)
        yield Speech(
            samples=wave,
            rate=codec.config.sample_rate,
            units=len(spoken.units),
            instruction=task.instruction,
            limit=task.limit,
            has_ended=spoken.has_ended,
            is_silent=is_silent,
        )


def check_learnt(model: Model, language: str) -> None:
    """A language that no instruction of training was in would come out as noise."""
    learnt = model.codec.languages if model.codec else ()
    if learnt and language not in learnt:
        raise ValueError(
            f"this checkpoint has learnt to speak {', '.join(learnt)}, not {language!r}; choose "
            "one of them as the language"
        )


def read_reference(reference: Recording | None, codec: Codec) -> np.ndarray | None:
    """The voice to speak with, of codecs whose units have none."""
    if reference is None:
        return None
    if not codec.has_reference:
        raise ValueError(
            f"a {codec.config.kind} codec has the voice in its units; leave the reference out"
        )
    return read_recording(reference, name="the reference")
