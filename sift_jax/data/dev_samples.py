"""A few questions of each task of some batches, to be read and heard.

planned batches ─► their groups, task by task ─► DevSample(task, 1, "…user How fast?…", "Slowly.", [samples])
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

import numpy as np

from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.plan.batch_plan import PlannedBatch
from sift_jax.data.records.index_records import split_clips, split_questions
from sift_jax.data.records.unreadable import UnreadableAudio
from sift_jax.text.spelling import spell, spell_tokens
from sift_jax.text.tokenizers import AUDIO


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevSample:
    """A question of a task; `number` counts those of the task from 1."""

    task: str
    number: int
    # as the model is given it, special tokens by name
    prompt: str
    reference: str
    # float32 at 16 kHz
    clips: list[np.ndarray]


def read_dev_samples(
    stream: BatchStream, batches: Iterable[PlannedBatch], most: int
) -> list[DevSample]:
    """At most so many questions of each task, each of another recording."""
    found: list[DevSample] = []
    seen: Counter[str] = Counter()
    for planned in batches:
        for group in (group for row in planned.rows for group in row):
            task = stream.plan.draws.tasks[planned.groups.task[group]].name
            if seen[task] == most:
                continue
            try:
                example = stream.read_example(planned.groups, group)
            except UnreadableAudio:
                # its batch tells it
                continue
            seen[task] += 1
            found.append(_make_sample(stream, task, seen[task], example))
    return sorted(found, key=lambda sample: (sample.task, sample.number))


def _make_sample(
    stream: BatchStream, task: str, number: int, example: dict[str, np.ndarray]
) -> DevSample:
    clips = split_clips(example)
    question = split_questions(example, stream.tokenizer.ids[AUDIO])[0]
    tokens, is_target = question.tokens.tolist(), question.is_target.tolist()
    first = is_target.index(True) if any(is_target) else len(tokens)
    learnt = [token for token, learn in zip(tokens, is_target, strict=True) if learn]
    return DevSample(
        task=task,
        number=number,
        prompt="".join(spell_tokens(tokens[:first], stream.tokenizer)),
        reference=spell(learnt, stream.tokenizer),
        clips=[clips[clip].astype(np.float32) / 32768.0 for clip in question.clips],
    )
