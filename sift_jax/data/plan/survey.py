"""What an epoch of a task holds, counted once over its whole index: how often its items stand in
it, and what fits.

    an item of q questions, k at a time ─► stands ⌈q / k⌉ times in an epoch, each time with the next of its questions
    items of 1, 5 and 2 questions, k 2  ─► places: a | b b b | c       b shows 2, 2 and 1 of its 5

So an epoch shows each question once, as if the questions had been trained on one by one. What does
not fit a row is counted by its cause. The count costs about a minute for 50 million questions, and
is kept beside the index.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sift_jax.audio.whisper_mel import HOP
from sift_jax.data.plan.fitting import CAUSES, Asked, RowLimits, count_parts
from sift_jax.data.plan.permutation import mix_keys
from sift_jax.data.records.question_index import NEVER, QuestionIndex
from sift_jax.progress import track

# what a rate is a share of: questions with their audio, as the paper counts, or recordings with
# some of theirs
RATES_COUNT = ("examples", "records")
# changes with the meaning of what is kept
_FORMAT = 1
# items between two for which it is kept how many places stand before them
_STRIDE = 64
# questions that are looked at together
_CHUNK = 1 << 18
_LATE_BAR = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turns:
    """How an epoch takes an item's questions: `questions` at a time (0: all), and as often as there
    are more, or once.

    `key` gives each item the order of its questions.
    """

    questions: int
    counts: str
    key: int

    def count_places(self, questions: np.ndarray) -> np.ndarray:
        """How often items of so many questions stand in an epoch."""
        if self.counts == "records" or not self.questions:
            return np.minimum(questions, 1)
        return -(-questions // self.questions)

    def ask(
        self, index: QuestionIndex, item: np.ndarray, part: np.ndarray, epoch: np.ndarray
    ) -> Asked:
        """The questions of an item the `part`-th time that it stands in an epoch."""
        there = count_questions(index, item)
        if not self.questions:
            # All questions at once; the first of them moves on by one each epoch, which matters
            # only where not all fit a row.
            first, count = epoch, there
        elif self.counts == "records":
            first, count = epoch * self.questions, np.minimum(self.questions, there)
        else:
            # with each epoch by one further, so that other questions come together
            first, count = (
                epoch + part * self.questions,
                np.minimum(self.questions, there - part * self.questions),
            )
        return Asked(item=item, first=first, count=count, key=mix_keys(self.key, item))


def count_questions(index: QuestionIndex, item: np.ndarray) -> np.ndarray:
    return index.items["question"][item + 1] - index.items["question"][item]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What the first epoch of a task holds; the others hold the same but for what fits no row
    together."""

    items: int
    # items as often as they stand in it, and those of which some question fits
    places: int
    groups: int
    questions: int
    # questions that are skipped, by cause
    left_out: tuple[int, ...]
    # places before every _STRIDE-th item
    starts: np.ndarray

    @property
    def asked(self) -> int:
        """Questions, with those that are skipped."""
        return self.questions + sum(self.left_out)

    @property
    def examples_per_place(self) -> float:
        return self.questions / max(self.places, 1)

    @property
    def groups_per_place(self) -> float:
        return self.groups / max(self.places, 1)

    def find(
        self, index: QuestionIndex, turns: Turns, place: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(item, which of its places) of places of an epoch."""
        if self.places == self.items:
            return place, np.zeros_like(place)
        # Places before every 64th item are kept; within a stretch of 64 they are counted again.
        #     items of 1, 3, 1 places: place 3 is the third of item 1  →  (1, 2)
        stretch = np.searchsorted(self.starts, place, side="right") - 1
        items = np.minimum(stretch[:, None] * _STRIDE + np.arange(_STRIDE + 1), self.items)
        # Places up to and with each item of the stretch.
        ends = np.cumsum(
            turns.count_places(np.diff(index.items["question"][items], axis=1)), axis=1
        )
        within = place - self.starts[stretch]
        # How many items of the stretch end before this place.
        number = (ends <= within[:, None]).sum(axis=1)
        before = np.where(
            number > 0,
            np.take_along_axis(ends, np.maximum(number - 1, 0)[:, None], axis=1)[:, 0],
            0,
        )
        return items[np.arange(len(place)), number], within - before

    def describe_set_aside(self, name: str) -> str | None:
        """What of a task fits no row, why, and what there is to do; None where all fits."""
        parts = [
            f"{count} as {cause} ({remedy})"
            for count, (cause, remedy) in zip(self.left_out, CAUSES.items(), strict=True)
            if count
        ]
        return (
            f"{name}: {sum(self.left_out)} of {self.asked} questions, {'; '.join(parts)}"
            if parts
            else None
        )


def _list_chunks(index: QuestionIndex, turns: Turns) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(items, places of each), so many that they are looked at quickly and held easily."""
    for first in range(0, len(index), _CHUNK):
        items = np.arange(first, min(first + _CHUNK, len(index)))
        questions = count_questions(index, items)
        times = turns.count_places(questions)
        cuts = np.searchsorted(np.cumsum(questions), np.arange(_CHUNK, questions.sum(), _CHUNK))
        cuts = np.unique([0, *cuts.tolist(), len(items)])
        for start, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            yield items[start:stop], times[start:stop]


def make_survey(index: QuestionIndex, turns: Turns, limits: RowLimits, name: str) -> Survey:
    """Counts all of it."""

    def ask(item: np.ndarray, part: np.ndarray) -> Asked:
        return turns.ask(index, item, part, np.zeros_like(item))

    groups, questions, left_out, starts, places = 0, 0, np.zeros(len(CAUSES), np.int64), [], 0
    with track(total=len(index), name=f"counting {name}", unit="record", delay=_LATE_BAR) as bar:
        for items, times in _list_chunks(index, turns):
            before = places + np.cumsum(times) - times
            starts.append(before[-items[0] % _STRIDE :: _STRIDE])
            whole = Asked(
                item=items,
                first=np.zeros_like(items),
                count=count_questions(index, items),
                key=mix_keys(turns.key, items),
            )
            parts = count_parts(index, whole, turns.questions or NEVER, times, limits, ask)
            groups, questions, left_out = (
                groups + parts.groups,
                questions + parts.questions,
                left_out + parts.left_out,
            )
            places += int(times.sum())
            bar.update(len(items))
    return Survey(
        items=len(index),
        places=places,
        groups=groups,
        questions=questions,
        left_out=tuple(left_out.tolist()),
        starts=np.concatenate([*starts, np.zeros(0, np.int64)]),
    )


def read_survey(index: QuestionIndex, turns: Turns, limits: RowLimits, name: str) -> Survey:
    """The survey that is kept beside the index, made where there is none yet."""
    path = Path(index.folder) / f"survey-{_digest(index, turns, limits)}.npz"
    with (
        contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(path, allow_pickle=False) as kept,
    ):
        items, places, groups, questions, *left_out = kept["counts"].tolist()
        return Survey(
            items=items,
            places=places,
            groups=groups,
            questions=questions,
            left_out=tuple(left_out),
            starts=kept["starts"],
        )
    found = make_survey(index, turns, limits, name)
    draft = path.with_name(f"survey-{uuid.uuid4().hex}.part")
    # a folder that cannot be written to is no reason not to train: the next start counts again
    with contextlib.suppress(OSError):
        with draft.open("wb") as file:
            counts = [found.items, found.places, found.groups, found.questions, *found.left_out]
            np.savez(file, counts=np.array(counts), starts=found.starts)
        draft.replace(path)
    return found


def _digest(index: QuestionIndex, turns: Turns, limits: RowLimits) -> str:
    """Of all that decides what a survey says."""
    samples = np.arange(1, 2 * limits.levels[-1] + 1) * (HOP // 2)
    sizes = (limits.tokens, limits.targets, limits.clips, limits.levels)
    frames = np.asarray(limits.count_frames(samples), "<i8").tobytes()
    parts: tuple[object, ...] = (
        _FORMAT,
        _STRIDE,
        index.identity,
        dataclasses.astuple(turns),
        sizes,
        frames,
    )
    parts += () if limits.window is None else (limits.window,)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
