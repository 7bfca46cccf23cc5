"""What the command does with a file of instructions: recordings in a folder, and a line on them."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from sift_jax.decoding.speak_items import SpeakingRun, read_items, speak_items
from sift_jax.decoding.speech import check_learnt, read_reference
from sift_jax.decoding.speech_answers import SPEAKING, SpeechGenerator, open_codec
from sift_jax.pretrained import Model


def say_items(model: Model, flags: argparse.Namespace) -> str:
    """Speaks a file of instructions; returns what there is to say of it."""
    codec, items = open_codec(model, flags.codec), read_items(flags.items)
    decoding = dataclasses.replace(SPEAKING, temperature=flags.temperature, top_p=flags.top_p)
    for language in sorted({item["language"] for item in items}):
        check_learnt(model, language)
    run = SpeakingRun(
        out=Path(flags.out),
        samples=flags.samples,
        seed=flags.seed,
        decoding=decoding,
        max_seconds=flags.max_seconds,
        about={
            "checkpoint": flags.checkpoint,
            "step": model.step,
            "codec": codec.fingerprint,
            "reference": flags.reference,
        },
    )
    generator = SpeechGenerator(model, rows=flags.rows)
    lines = speak_items(
        items, generator, codec, run, reference=read_reference(flags.reference, codec)
    )
    cut = sum(not line["ended"] for line in lines)
    said = f"; {cut} were cut at their limit, which follows from the text" if cut else ""
    silent = sum(line.get("silent", False) for line in lines)
    said += f"; {silent} are silence, since their units have no sound among them" if silent else ""
    return f"{run.out}/spoken.jsonl: {len(lines)} recordings of {len(items)} instructions{said}"
