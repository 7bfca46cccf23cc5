"""The questions of a mixture as prompts, in the order of the plan that training would read.

    plan ─► batch 0: group 0, 1, 2 … │ batch 1: …       a prompt is a group's first question, up to its answer
             └───────── step 1 ─────────┘└── step 2 ──          the place behind it is what a checkpoint keeps

A question that cannot be read, has no answer in text or leaves no room for its rollouts is passed
over, and counted.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np

from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.plan.batch_plan import PlannedBatch
from sift_jax.data.records.index_records import split_clips
from sift_jax.data.records.unreadable import UnreadableAudio
from sift_jax.data.row_layout import Piece, expand_question
from sift_jax.data.tasks.mixture_table import TASKS
from sift_jax.decoding.generate import Prompt
from sift_jax.text.tokenizers import AUDIO

UNREADABLE, TOO_LONG = "unreadable", "too long"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A question before its answer, with the samples of its clips (int16)."""

    item: str
    task: str
    language: str
    piece: Piece
    clips: list[np.ndarray]
    text: str
    reference: str
    # of the questions of its item
    number: int = 0

    @property
    def prompt(self) -> Prompt:
        """As generation takes it."""
        heard = [clip.astype(np.float32) / 32768.0 for clip in self.clips]
        return Prompt(
            tokens=self.piece.tokens, clip=self.piece.clip, frame=self.piece.frame, clips=heard
        )


class PromptStream:
    """Prompts without end; `place` is where the next one comes from: batches, and groups of the
    next."""

    def __init__(self, stream: BatchStream, *, longest: int):
        self._stream, self._longest = stream, longest
        self.passed_over: collections.Counter[str] = collections.Counter()

    def read(self, batches: int, groups: int) -> Iterator[tuple[Asked, tuple[int, int]]]:
        """Each prompt with the place behind it."""
        place, skipped = batches, groups
        for _, found in self._stream.plan.blocks(batches):
            for planned in found:
                order = [group for row in planned.rows for group in row]
                for number in range(skipped, len(order)):
                    asked = self._read_one(planned, order[number])
                    if asked is not None:
                        yield asked, (place, number + 1)
                place, skipped = place + 1, 0

    def _read_one(self, planned: PlannedBatch, group: int) -> Asked | None:
        stream, groups = self._stream, planned.groups
        task = stream.plan.draws.tasks[groups.task[group]]
        try:
            example = stream.read_example(groups, group)
        except UnreadableAudio:
            self.passed_over[UNREADABLE] += 1
            return None
        is_first = example["question"] == example["question"][0]
        tokens, is_target = example["tokens"][is_first], example["is_target"][is_first] > 0
        audio_id = stream.tokenizer.ids[AUDIO]
        clips = split_clips(example)
        piece = expand_question(
            tokens,
            is_target,
            example["clips"][: int((tokens == audio_id).sum())],
            audio_id,
            [stream.count_clip(len(clip)) for clip in clips],
        )
        answer = np.flatnonzero(piece.is_target)
        prompt = piece.cut(0, int(answer[0]) if len(answer) else None)
        if not len(answer) or len(prompt) > self._longest or len(clips) > stream.config.clips:
            self.passed_over[TOO_LONG] += 1
            return None
        return Asked(
            item=f"{task.name}#{int(groups.item[group])}",
            task=task.name,
            language=TASKS[task.name][1] if task.name in TASKS else task.name.rpartition(".")[2],
            piece=prompt,
            clips=clips,
            # the frames of a clip are one mark
            text=stream.tokenizer.decode(prompt.tokens[prompt.frame <= 0]).strip(),
            reference=stream.tokenizer.decode(piece.tokens[answer]).strip(),
            number=int(groups.numbers[group][0]),
        )
