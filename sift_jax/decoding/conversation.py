"""Talking with a model about recordings, turn by turn, by the chat template of training.

hear(a.wav) ask("How fast?") ─► user [a.wav, "How fast?"]  assistant "Slowly."     the history of the next question
hear(b.wav) ask("And this?") ─► user [b.wav, "And this?"]  assistant "Fast."       …
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sift_jax.audio.recordings import Recording, is_path, read_recording
from sift_jax.audio.whisper_mel import RATE
from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.pretrained import Model
from sift_jax.text.chat import Message, make_question


def read_clip(
    recording: Recording, longest_seconds: float, *, name: str = "the recording"
) -> np.ndarray:
    """The samples of a file, or of what else is a recording; an error if the model does not take
    it whole."""
    samples = read_recording(recording, name=name)
    if len(samples) > longest_seconds * RATE:
        name = str(recording) if is_path(recording) else name
        raise ValueError(
            f"{name}: {len(samples) / RATE:.1f} s is longer than the {longest_seconds:g} s that "
            "this model's encoder takes; cut the file into pieces"
        )
    return samples


class Conversation:
    """Questions, recordings and answers so far; a question that fails leaves no trace.

    talk = model.chat()
    talk.hear("x.wav")
    talk.ask("How fast does she speak?")
    talk.ask("And how loud?")
    """

    def __init__(
        self,
        model: Model,
        decoding: DecodingConfig,
        *,
        seed: int = 0,
        generator: TextGenerator | None = None,
    ):
        self.model, self.decoding, self.seed = model, decoding, seed
        self.messages: list[Message] = []
        self._generator = generator or TextGenerator(model, rows=1)
        self._clips: dict[str, np.ndarray] = {}
        self._waiting: list[str] = []

    def hear(self, recording: Recording) -> None:
        """A recording that the next question will carry."""
        name = str(recording) if is_path(recording) else f"recording {len(self._clips) + 1}"
        longest = self.model.config.longest_seconds
        self._clips[name] = read_clip(recording, longest, name=name)
        self._waiting.append(name)

    def ask(self, text: str) -> str:
        """The answer, in view of all that was said before."""
        messages, prompt, seed = self._prepare(text)
        (answer,) = self._generator.answer([prompt], self.decoding, seed=seed)
        self._remember(messages, answer)
        return answer

    def stream(self, text: str) -> Iterator[str]:
        """The answer in pieces, as it is written; a stream that is left before its end leaves no
        trace either."""
        messages, prompt, seed = self._prepare(text)

        def write() -> Iterator[str]:
            answer = ""
            for piece in self._generator.stream(prompt, self.decoding, seed=seed):
                answer += piece
                yield piece
            self._remember(messages, answer)

        return write()

    def _prepare(self, text: str) -> tuple[list[Message], Prompt, int]:
        messages = self.messages + make_question(text, self._waiting)
        prompt = make_prompt(self.model, messages, self._clips.__getitem__)
        # another seed a turn, or the same question would draw the same words again
        return messages, prompt, self.seed + len(self.messages) // 2

    def _remember(self, messages: list[Message], answer: str) -> None:
        self.messages = [*messages, {"role": "assistant", "content": [{"text": answer}]}]
        self._waiting = []

    def reset(self) -> None:
        """Forgets what was said and heard."""
        self.messages, self._clips, self._waiting = [], {}, []
