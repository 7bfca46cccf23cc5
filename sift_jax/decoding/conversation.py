"""Talking with a model about recordings, turn by turn, by the chat template of training.

hear(a.wav) ask("How fast?") ─► user [a.wav, "How fast?"]  assistant "Slowly."     the history of the next question
hear(b.wav) ask("And this?") ─► user [b.wav, "And this?"]  assistant "Fast."       …
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from sift_jax.audio.files import read_audio
from sift_jax.audio.whisper_mel import RATE
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.pretrained import Model
from sift_jax.text.chat import Message, make_question

AUDIO_COMMAND = "/audio"


def read_clip(path: str | Path, window_seconds: float) -> np.ndarray:
    """The samples of a file, or an error if the encoder does not take it whole."""
    samples = read_audio(path)
    if len(samples) > window_seconds * RATE:
        raise ValueError(
            f"{path}: {len(samples) / RATE:.1f} s is longer than the {window_seconds:g} s that "
            "this model's encoder takes; cut the file into pieces"
        )
    return samples


class Conversation:
    """Questions, recordings and answers so far; a question that fails leaves no trace."""

    def __init__(self, model: Model, decoding: DecodingConfig, *, seed: int = 0):
        self.model, self.decoding, self.seed = model, decoding, seed
        self.messages: list[Message] = []
        self._generator = TextGenerator(model, rows=1)
        self._clips: dict[str, np.ndarray] = {}
        self._waiting: list[str] = []

    def hear(self, path: str) -> None:
        """A recording that the next question will carry."""
        self._clips[path] = read_clip(path, self.model.config.encoder.window_seconds)
        self._waiting.append(path)

    def ask(self, text: str) -> str:
        messages = self.messages + make_question(text, self._waiting)
        prompt = make_prompt(self.model, messages, self._clips.__getitem__)
        # another seed a turn, or the same question would draw the same words again
        seed = self.seed + len(self.messages) // 2
        (answer,) = self._generator.answer([prompt], self.decoding, seed=seed)
        self.messages = [*messages, {"role": "assistant", "content": [{"text": answer}]}]
        self._waiting = []
        return answer


def run_chat(conversation: Conversation, lines: Iterable[str], say: Callable[[str], None]) -> None:
    """A question a line, or /audio PATH; what is wrong with one of them is said, and the next is
    read."""
    for line in lines:
        text = line.strip()
        if not text:
            continue
        try:
            if text.split()[0] == AUDIO_COMMAND:
                path = text[len(AUDIO_COMMAND) :].strip()
                if not path:
                    raise ValueError(f"{AUDIO_COMMAND} names no file; write {AUDIO_COMMAND} PATH")
                conversation.hear(path)
            else:
                say(conversation.ask(text))
        except (ValueError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
