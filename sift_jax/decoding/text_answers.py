"""From questions to answers: messages and audio in, text out, in batches of static shape.

A TextGenerator buckets prompts by length and keeps their order. One question can be answered piece
by piece, as its tokens come (text_pieces.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import jax
import numpy as np
from jax.sharding import Mesh

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.audio.whisper_mel import RATE
from sift_jax.audio.windows import cut_windows
from sift_jax.data.row_layout import expand_question, repeat_markers
from sift_jax.decoding.beams import check_beams, search_beams
from sift_jax.decoding.clip_encoder import ClipEncoder
from sift_jax.decoding.decoder_sharding import place_params
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak_in_steps
from sift_jax.decoding.heard_units import write_units
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.speech_constraints import SpeechRules, check_speaking
from sift_jax.decoding.text_pieces import TextPieces, write_answer
from sift_jax.parallel.mesh import (
    MeshConfig,
    check_rows,
    count_batch_shards,
    make_mesh,
    replicate,
    shard_rows,
)
from sift_jax.pretrained import Model
from sift_jax.text.chat import Message, render_chat
from sift_jax.text.tokenizers import AUDIO
from sift_jax.text.unit_tokens import place_units

LENGTH_STEP = 64


def make_prompt(
    model: Model, messages: list[Message], read_clip: Callable[[str], np.ndarray]
) -> Prompt:
    """`read_clip` gives float samples at 16 kHz of what an audio part names."""
    if model.config.hears_units:
        messages = write_units(model, messages, read_clip)
    rendered = render_chat(messages, model.tokenizer, has_reply=False)
    window = round(model.config.encoder.window_seconds * RATE)
    recordings = [cut_windows(read_clip(path), window) for path in rendered.audio]
    clips = [clip for windows in recordings for clip in windows]
    count_mel_frames = FRONT_ENDS[model.config.encoder.front_end].count_frames
    audio_id = model.tokenizer.ids[AUDIO]
    told = repeat_markers(
        np.asarray(rendered.tokens, np.int32),
        np.asarray(rendered.is_target),
        np.arange(len(recordings)),
        audio_id,
        [len(windows) for windows in recordings],
    )
    piece = expand_question(
        *told,
        audio_id,
        [model.config.count_frames(count_mel_frames(len(clip))) for clip in clips],
    )
    return Prompt(tokens=piece.tokens, clip=piece.clip, frame=piece.frame, clips=clips)


def make_speech_rules(model: Model) -> SpeechRules | None:
    """What may follow what in the answers of a model that speaks; None of one in text alone."""
    if model.codec is None:
        return None
    return SpeechRules(
        begin=place_units(model.tokenizer).begin,
        codes=model.codec.codes,
        turn_end=model.tokenizer.turn_end_id,
        is_only=False,
        end_weight=model.codec.end_weight,
        unit_weights=model.codec.unit_weights,
    )


def plan_batches(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Places of prompts, `rows` a batch, those of like length together, so that padding is
    little."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[start : start + rows] for start in range(0, len(order), rows)]


class TextGenerator:
    """A model made ready to answer in batches of `rows`, over the devices of a mesh: what is
    prepared once serves every call, and a clip that several prompts share is encoded once."""

    def __init__(self, model: Model, *, rows: int, mesh: Mesh | None = None):
        # a process answers by itself: its own devices
        mesh = mesh or make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.local_devices()[:1])
        check_rows(rows, mesh)
        self.config, self.tokenizer, self.rows, self._mesh = (
            model.config,
            model.tokenizer,
            rows,
            mesh,
        )
        params, shards = place_params(model.params, mesh), count_batch_shards(mesh)
        self._speech = make_speech_rules(model)
        self._prepared = prepare(model.config, params, rows=rows, mesh=mesh, speech=self._speech)
        self._listener = ClipEncoder(
            model.config, params, mesh, rows=-(-max(1, rows // 4) // shards) * shards
        )
        self._stop_ids = model.tokenizer.stop_ids

    def answer(
        self,
        prompts: Sequence[Prompt],
        decoding: DecodingConfig,
        *,
        seed: int = 0,
        first_draw: int = 0,
    ) -> list[str]:
        """Answers in the order of the prompts, which are numbered from first_draw on."""
        answers = [""] * len(prompts)
        self.hear(prompts)
        for places in plan_batches([len(prompt.tokens) for prompt in prompts], self.rows):
            texts = self.answer_batch(
                [prompts[i] for i in places],
                decoding,
                seed=seed,
                draws=[first_draw + i for i in places],
            )
            for i, text in zip(places, texts, strict=True):
                answers[i] = text
        return answers

    def hear(self, prompts: Sequence[Prompt]) -> None:
        """Encodes the clips of many prompts together, ahead of their batches."""
        self._listener.hear([clip for prompt in prompts for clip in prompt.clips])

    def answer_batch(
        self,
        prompts: Sequence[Prompt],
        decoding: DecodingConfig,
        *,
        seed: int,
        draws: Sequence[int],
    ) -> list[str]:
        """At most `rows` answers; what is drawn for a prompt depends on the seed and its number in
        `draws` alone.

        A model that speaks may answer in units: of them the text says how many there are.
        """
        ids = self._generate(prompts, decoding, seed=seed, draws=draws)
        return [
            write_answer(self.tokenizer, self._speech, row[: _find_end(row, self._stop_ids)])
            for row in ids
        ]

    def stream(self, prompt: Prompt, decoding: DecodingConfig, *, seed: int = 0) -> Iterator[str]:
        """The answer in pieces, token by token; joined they are what `answer` gives. Of beams nothing
        is known before the end, and it comes whole."""
        if decoding.beams > 1:
            yield self.answer([prompt], decoding, seed=seed)[0]
            return
        pieces = TextPieces(self.tokenizer, self._speech)
        for ids in self._generate_in_steps([prompt], decoding, seed=seed, draws=[0], every=1):
            row = ids[0][: _find_end(ids[0], self._stop_ids)]
            if piece := pieces.add(row):
                yield piece
        if rest := pieces.end(row):
            yield rest

    def speak_batch(
        self,
        prompts: Sequence[Prompt],
        decoding: DecodingConfig,
        *,
        seed: int,
        draws: Sequence[int],
        limits: Sequence[int],
    ) -> list[np.ndarray]:
        """The same in units: at most `limits` of each prompt, which end in the delimiter that opens
        speech."""
        if self._speech is None:
            raise ValueError(
                "this model answers in text alone; take one that was trained with a "
                "DataConfig.codec"
            )
        check_speaking(decoding)
        if any(prompt.tokens[-1] != self._speech.begin for prompt in prompts):
            raise ValueError(
                "a prompt to be answered by speech must end in the delimiter that opens it"
            )
        ids = self._generate(prompts, decoding, seed=seed, draws=draws, limits=limits)
        return [self._speech.ids.read(row) for row in ids]

    def _generate(
        self,
        prompts: Sequence[Prompt],
        decoding: DecodingConfig,
        *,
        seed: int,
        draws: Sequence[int],
        limits: Sequence[int] = (),
    ) -> np.ndarray:
        """New ids; with limits nothing but speech."""
        every = decoding.max_new_tokens
        return next(
            self._generate_in_steps(
                prompts, decoding, seed=seed, draws=draws, limits=limits, every=every
            )
        )

    def _generate_in_steps(
        self,
        prompts: Sequence[Prompt],
        decoding: DecodingConfig,
        *,
        seed: int,
        draws: Sequence[int],
        limits: Sequence[int] = (),
        every: int,
    ) -> Iterator[np.ndarray]:
        """The new ids so far, after every so many of them; at last all."""
        count, more = len(prompts), self.rows - len(prompts)
        prompts, draws = [*prompts, *[prompts[-1]] * more], [*draws, *[draws[-1]] * more]
        limits = [*limits, *[1] * more] if limits else []
        longest, most = max(len(p.tokens) for p in prompts), self.config.decoder.max_positions
        if longest + decoding.max_new_tokens > most:
            raise ValueError(
                f"{longest} positions of question and audio with an answer of up to "
                f"{decoding.max_new_tokens} are more than the decoder's {most}; ask less at once "
                "or lower max_new_tokens"
            )
        heard = iter(self._listener.hear([clip for p in prompts for clip in p.clips]))
        batch = lay_out_prompts(
            prompts,
            self.config,
            [list(islice(heard, len(p.clips))) for p in prompts],
            tokens=-(-longest // LENGTH_STEP) * LENGTH_STEP,
            draws=draws,
            limits=limits,
        )
        batch = jax.device_put(batch, shard_rows(self._mesh))
        # as numbers: keys themselves cannot be put onto other processes' devices
        words = np.asarray(jax.random.key_data(jax.random.key(seed)))
        key = jax.random.wrap_key_data(jax.device_put(words, replicate(self._mesh)))
        speech, stop_ids = self._speech, self._stop_ids
        if limits and speech:
            speech, stop_ids = dataclasses.replace(speech, is_only=True), (speech.ids.end,)
        if decoding.beams > 1:
            check_beams(self.config, self._speech, decoding)
            yield search_beams(
                self.config, self._prepared, batch, key, decoding=decoding, stop_ids=self._stop_ids
            )[:count]
            return
        steps = speak_in_steps(
            self.config,
            self._prepared,
            batch,
            key,
            decoding=decoding,
            stop_ids=stop_ids,
            speech=speech,
            every=every,
        )
        for ids in steps:
            yield ids[:count]


def _find_end(ids: np.ndarray, stop_ids: tuple[int, ...]) -> int:
    ended = np.flatnonzero(np.isin(ids, stop_ids))
    return int(ended[0]) if len(ended) else len(ids)
