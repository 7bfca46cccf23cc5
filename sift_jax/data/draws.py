"""Which groups a stream is made of: for any stretch of it, the items of each task, their questions and their sizes.

    groups a … b of the stream ─► of task i, draws m from ⌊a·rᵢ + uᵢ⌋ to ⌊b·rᵢ + uᵢ⌋    rᵢ rate, uᵢ offset in [0, 1)
    draw m of a task of n items ─► epoch m ÷ n, item π(m mod n)                    π a seeded permutation of the epoch
    an item in epoch e ─► its questions number e·q … e·q + q − 1, round and round   in an order that the seed gives it

So a task's share differs from its rate by less than one draw at any place, each item comes once an epoch of its task,
and each of its questions equally often; all of it is computed from the numbers alone.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from sift_jax.batch import BatchShape
from sift_jax.data.permutation import make_key, mix, mix_keys, permute
from sift_jax.data.question_index import Lengths, QuestionIndex
from sift_jax.data.row_filling import Sizes

# rates are counted in units of 2⁻⁴⁸
_BITS = 48


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """A task of a plan. `questions` is how many of an item's are taken each time; 0 takes all."""

    name: str
    rate: float
    index: QuestionIndex
    questions: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
    """Drawn groups, a line each. A group without questions fits no row."""

    task: np.ndarray
    epoch: np.ndarray
    item: np.ndarray
    # questions that were drawn, and those that are left of them so that the group fits a row
    wanted: np.ndarray
    chosen: np.ndarray
    # the numbers of the chosen, one group's after the other
    numbers: np.ndarray
    sizes: Sizes

    def __len__(self) -> int:
        return len(self.task)

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.chosen)

    def read_numbers(self, group: int) -> np.ndarray:
        """Which of its item's questions a group has."""
        return self.numbers[self._ends[group] - self.chosen[group] : self._ends[group]]

    def take(self, groups: Sequence[int]) -> Groups:
        """Those alone."""
        lines = np.array(groups, np.int64)
        numbers = np.concatenate([*map(self.read_numbers, groups), np.zeros(0, np.int64)])
        sizes = Sizes(**{f.name: getattr(self.sizes, f.name)[lines] for f in dataclasses.fields(Sizes)})
        rest = {name: getattr(self, name)[lines] for name in ("task", "epoch", "item", "wanted", "chosen")}
        return Groups(**rest, numbers=numbers, sizes=sizes)


def join_groups(parts: Sequence[Groups]) -> Groups:
    """All groups of the parts, in order."""
    sizes = {
        f.name: np.concatenate([getattr(part.sizes, f.name) for part in parts]) for f in dataclasses.fields(Sizes)
    }
    names = [f.name for f in dataclasses.fields(Groups) if f.name != "sizes"]
    return Groups(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}, sizes=Sizes(**sizes)
    )


class Draws:
    """The stream of groups of a mixture, endless or of one epoch of each task."""

    def __init__(
        self,
        tasks: Sequence[PlannedTask],
        shapes: Sequence[BatchShape],
        count_frames: Callable[[np.ndarray], np.ndarray],
        *,
        seed: int,
        is_endless: bool,
    ):
        self.tasks = sorted(tasks, key=lambda task: task.name)
        self.shapes, self.count_frames, self.is_endless = shapes, count_frames, is_endless
        if is_endless and (empty := [task.name for task in self.tasks if not len(task.index)]):
            raise ValueError(
                f"task {empty[0]} has no examples, so none can be drawn at its rate; leave it out of the mixture, or "
                "look at what its source and its filters keep"
            )
        total = sum(task.rate for task in self.tasks)
        self.rates = np.array([task.rate / total for task in self.tasks])
        self._items = np.array([len(task.index) for task in self.tasks])
        self._shares = [round(rate * 2**_BITS) for rate in self.rates.tolist()]
        self._offsets = [make_key(seed, task.name, "offset") >> 64 - _BITS for task in self.tasks]
        self._keys = [make_key(seed, task.name, "items") for task in self.tasks]
        self._question_keys = [make_key(seed, task.name, "questions") for task in self.tasks]
        # without an end tasks of larger rate than size end first; the others then share what is left by their rates
        ends = np.sort(self._items / self.rates)
        self._ends = np.concatenate([[0.0], ends])
        self._groups_at_ends = np.array([np.minimum(self._items, t * self.rates).sum() for t in self._ends])

    @property
    def size(self) -> int:
        """Groups of one epoch of every task."""
        return int(self._items.sum())

    def count(self, groups: int) -> np.ndarray:
        """How many of the first `groups` groups are each task's, to within one."""
        if self.is_endless:
            pairs = zip(self._shares, self._offsets, strict=True)
            return np.array([groups * share + offset >> _BITS for share, offset in pairs])
        if groups >= self.size:
            return self._items
        time = np.interp(groups, self._groups_at_ends, self._ends)
        offsets = np.array(self._offsets) / 2.0**_BITS
        return np.minimum(self._items, np.floor(time * self.rates + offsets).astype(np.int64))

    def draw(self, first: int, stop: int) -> Groups:
        """The groups of a stretch of the stream, task by task; what is not chosen or too long is counted in them."""
        before, after = self.count(first), self.count(stop)
        return join_groups([self._draw_task(i, before[i], after[i]) for i in range(len(self.tasks))])

    def _draw_task(self, i: int, first: int, stop: int) -> Groups:
        task, number = self.tasks[i], np.arange(first, stop)
        epoch, place = number // len(task.index), number % len(task.index)
        item = permute(place, len(task.index), mix_keys(self._keys[i], epoch))
        if not len(item):
            empty = np.zeros(0, np.int64)
            sizes = Sizes(tokens=empty, targets=empty, clips=empty, level=empty)
            return Groups(task=empty, epoch=empty, item=empty, wanted=empty, chosen=empty, numbers=empty, sizes=sizes)
        lengths = Lengths(task.index, item, self.count_frames)
        is_chosen = choose_questions(lengths, epoch, task.questions, mix_keys(self._question_keys[i], item))
        wanted = lengths.count_chosen(is_chosen)
        tokens, targets = self._fit(task, item, lengths, is_chosen)
        levels = np.array([shape.mel_frames for shape in self.shapes])
        level = np.searchsorted(levels, lengths.longest)
        room = self.shapes[0]
        is_good = (tokens <= room.tokens) & (targets <= room.targets) & (targets > 0)
        is_good &= (lengths.clips <= room.clips) & (level < len(levels))
        is_chosen &= is_good[lengths.owner]
        return Groups(
            task=np.full(len(item), i),
            epoch=epoch,
            item=item,
            wanted=wanted,
            chosen=lengths.count_chosen(is_chosen),
            numbers=lengths.number[is_chosen],
            sizes=Sizes(tokens=tokens, targets=targets, clips=lengths.clips, level=level),
        )

    def _fit(
        self, task: PlannedTask, item: np.ndarray, lengths: Lengths, is_chosen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Leaves out questions from the end until a group fits an empty row; changes `is_chosen`, returns the sizes."""
        tokens, targets = lengths.measure(is_chosen)
        room = self.shapes[0]
        is_long = (tokens > room.tokens) | (targets > room.targets)
        long = np.flatnonzero(is_long & (lengths.count_chosen(is_chosen) > 1))
        if len(long):
            some = Lengths(task.index, item[long], self.count_frames)
            lines = np.flatnonzero(np.isin(lengths.owner, long))
            chosen = is_chosen[lines]
            last = np.maximum.reduceat(np.where(chosen, np.arange(len(lines)), -1), some.start)
            chosen[last] = False
            tokens[long], targets[long] = self._fit(task, item[long], some, chosen)
            is_chosen[lines] = chosen
        return tokens, targets


def choose_questions(lengths: Lengths, epoch: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """Which questions are taken: `count` of each item's, the next ones in each epoch; 0 takes all."""
    if not count:
        return np.ones(len(lengths.owner), bool)
    order = np.lexsort((mix(keys[lengths.owner] ^ mix(lengths.number)), lengths.owner))
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order)) - lengths.start[lengths.owner]
    return (turn - (epoch * count)[lengths.owner]) % lengths.count[lengths.owner] < count
