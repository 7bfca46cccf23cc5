"""The Python interface to a trained model: questions about recordings in, text or speech out.

    model = sift_jax.load("runs/stage2")
    model.ask("x.wav", "How fast does she speak?")                       "Speed 5: slightly fast"
    model.ask(["x.wav", "y.wav"], "Which recording is louder?")
    model.ask_many([("x.wav", "How fast?"), ("y.wav", "How loud?")])     a batch at a time
    for piece in model.stream("x.wav", "Describe the voice."): …         as it is written
    talk = model.chat()                                                  turn by turn
    samples, rate = model.speak("Rain falls.", style="very slowly")      a run of stage 3

Recordings are whatever `sift_jax.audio.recordings` reads. The commands `ask` and `speak` use the
same class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Unpack
from warnings import warn as warn_user

import numpy as np

from sift_jax.audio.recordings import Recording, is_path, list_recordings
from sift_jax.codecs.codec import Codec
from sift_jax.decoding.conversation import Conversation, read_clip
from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.sampling import ANSWERING, DecodingConfig, DecodingOptions
from sift_jax.decoding.speech import Speech, Warn, plan_reply, plan_text, speak_samples
from sift_jax.decoding.speech_answers import SPEAKING, SpeechGenerator, move_codec, open_codec
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.pretrained import Model
from sift_jax.shipped.places import SMALL
from sift_jax.text.chat import make_question

Audio = Recording | Sequence[Recording] | None
# batches whose recordings are read and encoded together
_WINDOW_BATCHES = 8


def load(
    folder: str | Path = SMALL, *, step: int | None = None, codec: str | None = None, rows: int = 8
) -> SpeechModel:
    """The model of a run's folder (its latest checkpoint, or that of `step`), of an export, or of
    Qwen2-Audio, here or under hf://; without a folder the small one that comes with the package.

    `rows` questions are answered at once by `ask_many`; `codec` is the folder of the codec whose
    units a model speaks or hears, if it is no longer where it was in training.

        model = sift_jax.load()
        model = sift_jax.load("runs/quickstart/stage2")
    """
    if rows < 1:
        raise ValueError(f"rows={rows} is too few; give 1 or more")
    return SpeechModel(Model.load(folder, step), rows=rows, codec_folder=codec)


class SpeechModel:
    """A model that can be asked; `parts` holds its parameters, config and tokenizer."""

    def __init__(self, parts: Model, *, rows: int, codec_folder: str | None = None):
        self.parts, self.rows = move_codec(parts, codec_folder), rows
        self._codec: Codec | None = None
        self._generator: TextGenerator | None = None

    def __repr__(self) -> str:
        step = "" if self.parts.step is None else f", step {self.parts.step}"
        return f"<SpeechModel: recordings of up to {self.window_seconds:g} s{step}>"

    @property
    def window_seconds(self) -> float:
        """The longest recording that it takes."""
        return self.parts.config.longest_seconds

    @property
    def can_speak(self) -> bool:
        """Whether it was trained with a codec, and so answers by speech."""
        return self.parts.codec is not None

    def ask(
        self, audio: Audio, question: str, *, seed: int = 0, **decoding: Unpack[DecodingOptions]
    ) -> str:
        """The answer to a question about a recording, about several in a list, or about none.

        The likeliest words, unless a temperature is given; `max_new_tokens` is 64.

            model.ask("x.wav", "How fast does she speak?")
            model.ask((samples, 16_000), "How loud is it?", temperature=0.7, seed=1)
        """
        prompt, generator = self._make_prompt(audio, question), self._prepare(1)
        (answer,) = generator.answer([prompt], make_decoding(decoding), seed=seed)
        return answer

    def ask_many(
        self,
        questions: Iterable[tuple[Audio, str]],
        *,
        seed: int = 0,
        **decoding: Unpack[DecodingOptions],
    ) -> list[str]:
        """The answers to many questions, each with its audio as `ask` takes it; a batch at a time.

        A recording that comes again is read and encoded once.

            model.ask_many([("x.wav", "How fast?"), (["x.wav", "y.wav"], "Which is louder?")])
            model.ask_many(zip(rows["audio"], rows["question"]))
        """
        answers: list[str] = []
        options = make_decoding(decoding)
        waiting = iter(questions)
        while window := list(islice(waiting, _WINDOW_BATCHES * self.rows)):
            clips: dict[Any, np.ndarray] = {}
            prompts = [
                self._make_numbered_prompt(number, question, clips)
                for number, question in enumerate(window, len(answers))
            ]
            generator = self._prepare(len(prompts))
            answers += generator.answer(prompts, options, seed=seed, first_draw=len(answers))
        return answers

    def stream(
        self, audio: Audio, question: str, *, seed: int = 0, **decoding: Unpack[DecodingOptions]
    ) -> Iterator[str]:
        """The answer of `ask` in pieces, each as soon as it is written.

        for piece in model.stream("x.wav", "Describe the voice."):
            print(piece, end="", flush=True)
        """
        prompt, generator = self._make_prompt(audio, question), self._prepare(1)
        return generator.stream(prompt, make_decoding(decoding), seed=seed)

    def chat(self, *, seed: int = 0, **decoding: Unpack[DecodingOptions]) -> Conversation:
        """A conversation, in which each question is answered in view of those before it.

        talk = model.chat()
        talk.hear("x.wav")
        talk.ask("How fast does she speak?")
        talk.ask("And how loud?")
        """
        generator = self._prepare(1)
        return Conversation(self.parts, make_decoding(decoding), seed=seed, generator=generator)

    def speak(self, text: str = "", **options: Any) -> Speech:
        """One of `speak_many`: samples and their rate.

        samples, rate = model.speak("Rain falls.", style="very slowly, softly")
        model.speak("Rain falls.").save("x.wav")
        """
        return self.speak_many(text, samples=1, **options)[0]

    def speak_many(
        self,
        text: str = "",
        *,
        samples: int,
        style: str = "",
        language: str = "en",
        audio: Recording | None = None,
        reference: Recording | None = None,
        temperature: float = SPEAKING.temperature,
        top_p: float = SPEAKING.top_p,
        max_seconds: float = 30.0,
        seed: int = 0,
        warn: Warn = warn_user,
    ) -> list[Speech]:
        """A text spoken in a style, `samples` times; or a recording answered by voice, with `text`
        as the question. `iterate_speech` gives one sample at a time.

        `reference` is a recording of the voice to speak with, for codecs whose units have none;
        `warn` is called with phrases of the style that no training text had.

            model.speak_many("Rain falls.", samples=3, style="with a quite low pitch")
            model.speak_many("Translate this.", samples=1, audio="question.wav")
        """
        return list(
            self.iterate_speech(
                text,
                samples=samples,
                style=style,
                language=language,
                audio=audio,
                reference=reference,
                temperature=temperature,
                top_p=top_p,
                max_seconds=max_seconds,
                seed=seed,
                warn=warn,
            )
        )

    def iterate_speech(
        self,
        text: str = "",
        *,
        samples: int,
        style: str = "",
        language: str = "en",
        audio: Recording | None = None,
        reference: Recording | None = None,
        temperature: float = SPEAKING.temperature,
        top_p: float = SPEAKING.top_p,
        max_seconds: float = 30.0,
        seed: int = 0,
        warn: Warn = warn_user,
    ) -> Iterator[Speech]:
        """The samples of `speak_many`, each as soon as it is spoken, so that any number of them takes
        the memory of one.

            for number, speech in enumerate(model.iterate_speech("Rain falls.", samples=1000)):
                speech.save(f"{number}.wav")
        """
        if samples < 1:
            raise ValueError(f"samples={samples} is too few; give 1 or more")
        if audio is not None and style:
            raise ValueError("a style is for a text to be said; leave it out with a recording")
        codec = self._open_codec()
        task = (
            plan_reply(codec, text, max_seconds=max_seconds)
            if audio is not None
            else plan_text(
                self.parts,
                codec,
                text,
                style=style,
                language=language,
                max_seconds=max_seconds,
                warn=warn,
            )
        )
        text_generator = self._prepare(samples)
        return speak_samples(
            SpeechGenerator(self.parts, rows=text_generator.rows, generator=text_generator),
            codec,
            task,
            audio=audio,
            samples=samples,
            reference=reference,
            decoding=dataclasses.replace(SPEAKING, temperature=temperature, top_p=top_p),
            seed=seed,
        )

    def _open_codec(self) -> Codec:
        if self._codec is None:
            self._codec = open_codec(self.parts, None)
        return self._codec

    def _prepare(self, count: int) -> TextGenerator:
        """A generator for a batch of `count`, or of `rows` if that is less; one is kept."""
        # of few sizes, since each is compiled by itself
        rows = min(1 << (count - 1).bit_length(), self.rows)
        if self._generator is None or self._generator.rows != rows:
            # the one before it goes first: two copies of the parameters are not needed
            self._generator = None
            self._generator = TextGenerator(self.parts, rows=rows)
        return self._generator

    def _make_prompt(
        self,
        audio: Audio,
        question: str,
        clips: dict[Any, np.ndarray] | None = None,
    ) -> Prompt:
        """`clips` are those that were read before, by path or by identity."""
        if not isinstance(question, str) or not question.strip():
            raise ValueError(f"no question to answer: {question!r}; give the audio, then a text")
        recordings, known = list_recordings(audio), {} if clips is None else clips
        names = [
            str(recording) if is_path(recording) else f"recording {number}"
            for number, recording in enumerate(recordings, 1)
        ]
        heard = []
        for name, recording in zip(names, recordings, strict=True):
            key = name if is_path(recording) else id(recording)
            if key not in known:
                known[key] = read_clip(recording, self.window_seconds, name=name)
            heard.append(known[key])
        waiting = iter(heard)
        return make_prompt(self.parts, make_question(question, names), lambda _: next(waiting))

    def _make_numbered_prompt(
        self, number: int, question: tuple[Audio, str], clips: dict[Any, np.ndarray]
    ) -> Prompt:
        if not isinstance(question, tuple | list) or len(question) != 2:
            raise ValueError(f"question {number + 1} of many is not a pair (audio, question)")
        try:
            return self._make_prompt(*question, clips)
        except ValueError as error:
            raise ValueError(f"question {number + 1} of many: {error}") from error


def make_decoding(options: DecodingOptions) -> DecodingConfig:
    """What is not given is as `ask` has it."""
    return dataclasses.replace(ANSWERING, **options)
