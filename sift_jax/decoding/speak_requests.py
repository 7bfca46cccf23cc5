"""What the command does with its flags: one text or recording, or a file of instructions.

text + style ─► the instruction of training's rows ─┐
recording ──────────────────────────────────────────┴─► SpeechGenerator ─► units ─► codec ─► x.wav, x-1.wav, …
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sift_jax.audio.files import read_audio, write_audio
from sift_jax.codecs.codec import Codec
from sift_jax.decoding.conversation import read_clip
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.speak_items import SpeakingRun, read_items, speak_items
from sift_jax.decoding.speech_answers import (
    SPEAKING,
    Request,
    SpeechGenerator,
    limit_units,
    open_codec,
    say,
)
from sift_jax.pretrained import Model
from sift_jax.sift.speaking_styles import KEYS, write_instruction
from sift_jax.text.chat import make_question

Say = Callable[[str], None]


def check_learnt(model: Model, language: str) -> None:
    """A language that no instruction of training was in would come out as noise."""
    learnt = model.codec.languages if model.codec else ()
    if learnt and language not in learnt:
        raise ValueError(
            f"this checkpoint has learnt to speak {', '.join(learnt)}, not {language!r}; choose "
            "one of them with --language"
        )


def say_one(model: Model, flags: argparse.Namespace, warn: Say) -> list[str]:
    """Speaks one text, or answers one recording; returns a line for each sample."""
    codec = open_codec(model, flags.codec)
    if flags.audio is None:
        check_learnt(model, flags.language)
        for wish in flags.wishes:
            if wish.key is None:
                warn(
                    f"{wish.phrase!r} is none of the phrases of training's instructions; it is "
                    "said as it stands, and may change nothing"
                )
            elif wish.key not in KEYS:
                warn(
                    f"{wish.phrase!r} asks for {wish.key}, which a model knows whose training "
                    "data told it"
                )
        instruction = write_instruction(
            flags.text, [wish.phrase for wish in flags.wishes], flags.language
        )
        warn(f"asked: {instruction}")
        messages = make_question(instruction, [])
        limit = limit_units(flags.text, codec, max_seconds=flags.max_seconds)
    else:
        messages = make_question(flags.text or "", [flags.audio])
        limit = int(np.ceil(flags.max_seconds * codec.config.frame_rate))
    reference, decoding = _read_reference(flags, codec), _make_decoding(flags)
    requests = [
        Request(messages=messages, limit=limit, draw=sample) for sample in range(flags.samples)
    ]
    generator = SpeechGenerator(model, rows=min(flags.samples, flags.rows))
    clips: dict[str, np.ndarray] = {}

    def read(path: str) -> np.ndarray:
        # the same array for every sample, so that it is encoded once
        if path not in clips:
            clips[path] = read_clip(path, model.config.encoder.window_seconds)
        return clips[path]

    lines, out = [], Path(flags.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for place, spoken in generator.talk(requests, decoding, seed=flags.seed, read_clip=read):
        path = out if flags.samples == 1 else out.with_stem(f"{out.stem}-{place + 1}")
        wave, is_silent = say(spoken.units, codec, reference, seed=flags.seed)
        write_audio(path, wave, rate=codec.config.sample_rate)
        cut = (
            ""
            if spoken.has_ended
            else f"; cut at the limit of {limit} units, it had not come to an end"
        )
        silent = "; silence, since its units have no sound among them" if is_silent else ""
        lines.append(
            f"{path}: {len(wave) / codec.config.sample_rate:.2f} s, {len(spoken.units)} "
            f"units{cut}{silent}"
        )
    return sorted(lines)


def say_items(model: Model, flags: argparse.Namespace, warn: Say) -> list[str]:
    """Speaks a file of instructions; returns what there is to say of it."""
    codec, items = open_codec(model, flags.codec), read_items(flags.items)
    for language in sorted({item["language"] for item in items}):
        check_learnt(model, language)
    run = SpeakingRun(
        out=Path(flags.out),
        samples=flags.samples,
        seed=flags.seed,
        decoding=_make_decoding(flags),
        max_seconds=flags.max_seconds,
        about={
            "checkpoint": flags.checkpoint,
            "step": model.step,
            "codec": codec.fingerprint,
            "reference": flags.reference,
        },
    )
    generator = SpeechGenerator(model, rows=flags.rows)
    lines = speak_items(items, generator, codec, run, reference=_read_reference(flags, codec))
    cut = sum(not line["ended"] for line in lines)
    said = f"; {cut} were cut at their limit, which follows from the text" if cut else ""
    silent = sum(line.get("silent", False) for line in lines)
    said += f"; {silent} are silence, since their units have no sound among them" if silent else ""
    return [f"{run.out}/spoken.jsonl: {len(lines)} recordings of {len(items)} instructions{said}"]


def _make_decoding(flags: argparse.Namespace) -> DecodingConfig:
    return dataclasses.replace(SPEAKING, temperature=flags.temperature, top_p=flags.top_p)


def _read_reference(flags: argparse.Namespace, codec: Codec) -> np.ndarray | None:
    if flags.reference is None:
        return None
    if not codec.has_reference:
        raise ValueError(
            f"a {codec.config.kind} codec has the voice in its units; leave --reference out"
        )
    return read_audio(flags.reference)
