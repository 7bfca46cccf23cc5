"""From requests to speech: what is asked for, answered in units, and the units made a voice.

    Request(messages, limit, draw) ─► prompt + begin ─► units, batched by like limits ─► codec ─► samples
                                                           └ no end within the limit: said in Spoken.has_ended

A request's limit follows from its text (limit_units), so that a model that loops comes to an end.
What is drawn for a request depends on the seed and its own number alone, not on those beside it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sift_jax.codecs.codec import Codec
from sift_jax.codecs.codec_folder import read_folder
from sift_jax.codecs.registry import load_codec
from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt, plan_batches
from sift_jax.pretrained import Model
from sift_jax.text.chat import Message
from sift_jax.text.unit_tokens import CodecIdentity, check_identity, place_units

# A text takes as many units as a middling speaker has in this time at most: some five characters a
# second, half of what the slowest speakers of corpora say, and pauses.
SECONDS_A_CHARACTER, MORE_SECONDS = 0.2, 1.5
# and this long as a rule, by which an hour-long text is told before it is begun
USUAL_CHARACTERS_A_SECOND = 15.0
# the paper's temperature of generation; the rest is ours
SPEAKING = DecodingConfig(
    max_new_tokens=1,
    temperature=0.8,
    top_p=0.95,
    repetition_penalty=1.0,
    no_repeat_ngram=0,
    beams=1,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be answered by speech, in so many units at most; `draw` tells samples of one
    request apart."""

    messages: Sequence[Message]
    limit: int
    draw: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spoken:
    """An answer; one that was cut at its limit has not ended by itself."""

    units: np.ndarray
    has_ended: bool


def limit_units(text: str, codec: Codec, *, max_seconds: float) -> int:
    """Units that a text may take; an error where a middling speaker could not say it within
    max_seconds."""
    usual = len(text) / USUAL_CHARACTERS_A_SECOND
    if usual > max_seconds:
        raise ValueError(
            f"a text of {len(text)} characters takes about {usual:.0f} s to say, more than "
            f"{max_seconds:g}; cut it into sentences, or raise max_seconds"
        )
    seconds = min(MORE_SECONDS + SECONDS_A_CHARACTER * len(text), max_seconds)
    return math.ceil(seconds * codec.config.frame_rate)


def say(
    units: np.ndarray, codec: Codec, reference: np.ndarray | None, *, seed: int
) -> tuple[np.ndarray, bool]:
    """The samples of an answer, and whether they are silence, as of units without a sound."""
    if not codec.can_speak(units):
        return np.zeros(codec.config.sample_rate // 2, np.float32), True
    return codec.decode(units, reference=reference, seed=seed), False


def check_codec(identity: CodecIdentity | None, codec: Codec) -> None:
    """Raises where a codec's units are not those that a model speaks."""
    if identity is None:
        raise ValueError(
            "this checkpoint answers in text alone: it has no units.json; give one of a run that "
            "had a DataConfig.codec"
        )
    check_identity(identity, codec.fingerprint, codec.path)


def move_codec(model: Model, folder: str | None) -> Model:
    """The model, whose codec lies in `folder` now; None: where it was in training."""
    if folder is None or model.codec is None:
        return model
    check_identity(model.codec, read_folder(folder).fingerprint, folder)
    return dataclasses.replace(model, codec=dataclasses.replace(model.codec, folder=folder))


def open_codec(model: Model, folder: str | None) -> Codec:
    """The codec whose units a model speaks, from `folder` or from where it was in training."""
    if model.codec is None:
        raise ValueError(
            "this checkpoint answers in text alone: it has no units.json; give one of a run that "
            "had a DataConfig.codec"
        )
    codec = load_codec(folder or model.codec.folder)
    check_codec(model.codec, codec)
    return codec


def open_speech(prompt: Prompt, begin: int) -> Prompt:
    """A prompt behind which nothing but units comes: the delimiter that opens them at its end."""
    return dataclasses.replace(
        prompt,
        tokens=np.append(prompt.tokens, np.asarray(begin, prompt.tokens.dtype)),
        clip=np.append(prompt.clip, -1),
        frame=np.append(prompt.frame, -1),
    )


class SpeechGenerator:
    """A model that speaks, in batches of `rows`."""

    def __init__(self, model: Model, *, rows: int, generator: TextGenerator | None = None):
        self.model, self.rows = model, rows
        self._begin = place_units(model.tokenizer).begin
        self._generator = generator or TextGenerator(model, rows=rows)

    def talk(
        self,
        requests: Sequence[Request],
        decoding: DecodingConfig,
        *,
        seed: int,
        read_clip: Callable[[str], np.ndarray] | None = None,
    ) -> Iterator[tuple[int, Spoken]]:
        """(place, answer) of each request, batch by batch, those of like limits together."""
        for places in plan_batches([request.limit for request in requests], self.rows):
            chosen = [requests[place] for place in places]
            prompts = [self._make_prompt(request, read_clip) for request in chosen]
            limits = [request.limit for request in chosen]
            found = self._generator.speak_batch(
                prompts,
                dataclasses.replace(decoding, max_new_tokens=_round_up(max(limits) + 1)),
                seed=seed,
                draws=[request.draw for request in chosen],
                limits=limits,
            )
            for place, limit, units in zip(places, limits, found, strict=True):
                yield place, Spoken(units=units[:limit], has_ended=len(units) < limit)

    def _make_prompt(
        self, request: Request, read_clip: Callable[[str], np.ndarray] | None
    ) -> Prompt:
        prompt = make_prompt(self.model, list(request.messages), read_clip or _refuse)
        return open_speech(prompt, self._begin)


def _refuse(path: str) -> np.ndarray:
    raise ValueError(f"{path}: a recording in a request, and nobody to read it")


def _round_up(tokens: int) -> int:
    """The next of few sizes: each is a loop to compile."""
    size = 64
    while size < tokens:
        size *= 2
    return size
