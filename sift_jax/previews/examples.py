"""Examples of a mixture in plain form: what is heard, what is asked, and what is to be learnt.

{"task": "sift.closed_ended.acoustic_level.en", "rate": 0.08,
 "audio": [{"array": float32 [n], "sampling_rate": 16000}],      as an audio column of `datasets` has it
 "question": "How fast does she speak?", "answer": "Speed 5: slightly fast",
 "prompt": "<|im_start|>user⏎<|audio_bos|><|AUDIO|><|audio_eos|>How fast …",      as the model is given it
 "tokens": [1, 872, 198, …], "is_target": [False, …]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import warn

import numpy as np

from sift_jax.audio.whisper_mel import RATE
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.plan.batch_plan import PlannedBatch
from sift_jax.data.records.index_records import split_clips, split_questions
from sift_jax.data.records.record_reader import RecordAudio
from sift_jax.data.records.record_units import list_spoken
from sift_jax.data.records.unreadable import UnreadableAudio
from sift_jax.previews.open_mixture import (
    Mixture,
    check_known,
    is_gin_file,
    open_gin_mixture,
    open_named_mixture,
)
from sift_jax.text.spelling import spell, spell_tokens
from sift_jax.text.tokenizers import AUDIO

Example = dict[str, Any]


def read_mixture(
    mixture: Mixture,
    *,
    records: str | Path | None = None,
    tokenizer: str | Path | None = None,
    codec: str | Path | None = None,
    languages: Sequence[str] = (),
    split: str = "train",
    seed: int = 0,
    bindings: Sequence[str] = (),
    modules: Sequence[ModuleType] = (),
) -> Iterator[Example]:
    """Examples in the order in which a run would draw them; of the split "train" without end.

    `mixture` is a run's gin file, with `bindings` as behind --gin. on a command line; or a
    mixture's name, a pattern over tasks or a table of rates, with the `records` and the
    `tokenizer`. Answers that are speech need the
    `codec` that made their units. `modules` are yours that define tasks.

        examples = sift_jax.read_mixture("configs/quickstart/stage2.gin")
        next(examples)["question"]
        sift_jax.read_mixture(
            "sift.open_ended.*", records="data/records", tokenizer="data/tokenizer", split="dev"
        )
    """
    if is_gin_file(mixture):
        if records or tokenizer or codec or languages or seed:
            raise ValueError(
                f"{mixture} says which records, tokenizer, codec, languages and seed are read; "
                'change them by bindings, as in bindings=["DATA_DIR=data"]'
            )
        stream = open_gin_mixture([str(mixture)], bindings, split=split, modules=modules)
    else:
        if records is None or tokenizer is None:
            raise ValueError(
                "a mixture's name does not say where its data are; give records= and tokenizer=, "
                "or a run's gin file in its place"
            )
        if bindings:
            raise ValueError("bindings change a gin file; leave them out with a mixture's name")
        check_known(mixture, modules)
        stream = open_named_mixture(
            mixture,
            records=records,
            tokenizer=tokenizer,
            codec=codec,
            languages=languages,
            split=split,
            seed=seed,
            modules=modules,
        )
    return list_examples(stream)


def list_examples(stream: BatchStream) -> Iterator[Example]:
    """Each question of each group of a stream's batches; a recording that cannot be read is told and
    left out."""
    for _, batches in stream.plan.blocks():
        for planned in batches:
            for group in (group for row in planned.rows for group in row):
                try:
                    found = stream.read_example(planned.groups, group)
                except UnreadableAudio as error:
                    warn(f"left out: {error}", stacklevel=2)
                    continue
                yield from _split(stream, planned, group, found)


def _split(
    stream: BatchStream, planned: PlannedBatch, group: int, found: dict[str, np.ndarray]
) -> Iterator[Example]:
    task = stream.plan.draws.tasks[planned.groups.task[group]]
    clips = [clip.astype(np.float32) / 32768.0 for clip in split_clips(found)]
    asked = read_questions(stream, planned, group)
    for number, question in enumerate(split_questions(found, stream.tokenizer.ids[AUDIO])):
        tokens, is_target = question.tokens.tolist(), question.is_target.tolist()
        pieces = spell_tokens(tokens, stream.tokenizer)
        first = is_target.index(True) if any(is_target) else len(tokens)
        yield {
            "task": task.name,
            "rate": task.rate,
            "audio": [{"array": clips[clip], "sampling_rate": RATE} for clip in question.clips],
            "question": asked[number] if asked else spell(tokens[:first], stream.tokenizer),
            "answer": spell(
                [token for token, learn in zip(tokens, is_target, strict=True) if learn],
                stream.tokenizer,
            ),
            "prompt": "".join(pieces[:first]),
            "tokens": tokens,
            "is_target": is_target,
        }


def read_questions(stream: BatchStream, planned: PlannedBatch, group: int) -> list[str] | None:
    """What the user says last in each question of a group, by the records; None where a task has a
    source of its own."""
    task = stream.plan.draws.tasks[planned.groups.task[group]]
    reader = stream.readers[task.name]
    if not isinstance(reader, RecordAudio):
        return None
    item = int(planned.groups.item[group])
    record = reader.reader.read(reader.split, int(task.index.items[item]["record"]))
    turns = [
        turn
        for turn in json.loads(record["turns"])
        # the index has one folder a category, named by it
        if turn["category"].replace("/", ".") == task.index.folder.name
        and (stream.config.codec is not None or not list_spoken(turn["messages"]))
    ]
    return [
        " ".join(
            part["text"]
            for part in [
                message for message in turns[number]["messages"] if message["role"] == "user"
            ][-1]["content"]
            if part.get("text")
        )
        for number in planned.groups.numbers[group].tolist()
    ]
