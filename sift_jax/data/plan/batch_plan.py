"""From a step to its batch: which groups stand in which row, computed from the number of the step
alone.

    stream of groups  │ G groups of block 0 │ G of block 1 │ …      G and K are the same for all blocks of a run
    steps             │ K batches           │ K            │ …      step s is batch s mod K of block s ÷ K

A block is packed by sizes that an index knows: about BLOCK groups into the K · rows rows, section
after section; then the rows change places within their section, in an order that the seed gives,
and those of long clips make batches of long windows. A section is an eighth of the shortest epoch
of a task, but two batches at least. So small data, too, show each item once before any comes again,
to within a section: a block of 8192 groups of 5000 items has 13 of them, one of 300 items and
batches of 50 has 81. Of large data a block is one section. Every host computes the same block, and
reads and decodes no more than its own rows.

**Why the step is all the state.** A step is in block s ÷ K, and a block's groups are a fixed stretch of a stream that
can be entered anywhere (sample_stream.py). So neither what was read before nor how it was packed
has to be known, with one exception: blocks differ in length by chance. G is chosen so that a block
leaves MARGIN standard deviations of that free; a block that is longer still hands the groups that
fitted nowhere to the next one, which puts them into the rows that it has left over. What a block
hands on follows from its own groups alone, never from what was handed to it, so that it is enough
to look one block back. Only if a block is too long and the next has no room either are groups lost;
with a margin of 3.2 deviations hardly a block in ten thousand loses any, and they are counted.

**What is exact.** Of each task's items, one an epoch, in a new order each epoch; tasks by their rates to within one
group at each end of a block; else nothing is dropped but what fits no row, and that is counted. A
stream without repetition (one epoch, for evaluation) has blocks of as many batches as they need.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import threading
import zlib
from collections.abc import Iterator

import numpy as np

from sift_jax.data.plan.batch_order import order_batches
from sift_jax.data.plan.bin_packing import RowFiller, Sizes
from sift_jax.data.plan.permutation import make_key, mix_keys
from sift_jax.data.plan.sample_stream import Draws, Groups, join_groups
from sift_jax.data.row_layout import PackingCounts

# Groups that are packed together: more are packed better, with less room to spare, and take longer
# to begin with.
BLOCK = 8192
# The same for a stream that ends, whose rates should hold for its first batches.
SHORT_BLOCK = 256
MARGIN = 3.2
# changes with the order in which the same data are drawn; plans before the second say none
VERSION = 3
# Blocks that are kept, the latest that were made.
KNOWN_BLOCKS = 3
# Groups that are packed well by themselves, since what is left of them is packed with the next.
_LEAST_SECTION = 64
# Into how many sections an epoch is divided where they may be as short as that, and how many a
# batch spans at most.
_SECTIONS_OF_EPOCH = 8
_SPAN = 2
# what a section takes of the keys by which rows are ordered
_SECTION = 1 << 32
# Stretches of the stream from which the mean size of a group is taken.
_SAMPLES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedBatch:
    """The groups of a batch, row by row, and which of the run's shapes it has."""

    level: int
    rows: list[list[int]]
    groups: Groups

    @functools.cached_property
    def hash(self) -> str:
        """Of what is in the batch, and where: equal on all hosts and in every run of the same
        plan."""
        code = 0
        for row in self.rows:
            for g in row:
                groups, sizes = self.groups, self.groups.sizes
                fields = (groups.task, groups.epoch, groups.item, sizes.tokens, sizes.targets)
                line = [*(field[g] for field in fields), *groups.numbers[g]]
                code = zlib.crc32(np.asarray(line, "<i8").tobytes(), code)
            # Where a row ends counts, too: the same groups laid out otherwise are another batch.
            code = zlib.crc32(b"row", code)
        return f"{code:08x}"

    @property
    def tokens(self) -> int:
        return sum(int(self.groups.sizes.tokens[row].sum()) for row in self.rows if row)

    @property
    def questions(self) -> int:
        return sum(int(self.groups.chosen[row].sum()) for row in self.rows if row)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Batches that were packed together, and what became of the groups drawn for them."""

    batches: list[PlannedBatch]
    counts: PackingCounts


class Plan:
    """All batches of a run, by their numbers."""

    def __init__(self, draws: Draws, *, seed: int):
        self.draws, self.shape = draws, draws.shapes[-1]
        self._key = make_key(seed, "rows")
        self._left: dict[int, Groups] = {}
        self.sections = 1
        self.batches_of_block: int | None = None
        self.groups_of_block = SHORT_BLOCK
        if draws.is_endless:
            self.batches_of_block, self.groups_of_block = self._choose_sizes()
        # steps are drawn in one thread and described in another
        self._lock, self.known_blocks = threading.Lock(), dict[int, Block]()

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of all that decides which batch a step has."""
        tasks = [(task.name, task.questions, task.index.identity) for task in self.draws.tasks]
        shapes = [dataclasses.astuple(shape) for shape in self.draws.shapes]
        sizes = (
            self._key,
            self.batches_of_block,
            self.groups_of_block,
            self.sections,
            self.draws.rates_count,
        )
        return f"{VERSION}-{make_key(tasks, self.draws.rates.tolist(), shapes, sizes):016x}"

    @property
    def examples_per_batch(self) -> float:
        """Questions with their audio that a step has in the mean: what the paper's batch sizes
        count."""
        return self.groups_of_block * self.draws.examples_per_group / self._endless_batches

    def _choose_sizes(self) -> tuple[int, int]:
        """(K, G): batches of a block, and how many groups of this mixture they hold with some room
        to spare."""
        # A few blocks' worth is drawn once to learn how large groups are; one of them is packed to
        # see how well they pack.
        stretches = [self.draws.draw(i * BLOCK, (i + 1) * BLOCK) for i in range(_SAMPLES)]
        if not stretches[0].chosen.any():
            # of each task something fits, but next to nothing
            raise ValueError(
                f"none of {BLOCK} groups of the mixture fits a row; "
                f"{'; '.join(self.draws.describe_set_aside())}"
            )
        self.sections = self._count_sections(self._share(stretches[0]).mean())
        filler = RowFiller(stretches[0].sizes, self.shape)
        filler.fill_in_order(self._order(stretches[0], 0))
        used = len(filler.rows)
        share, task = (
            np.concatenate(x)
            for x in zip(*((self._share(s), s.task) for s in stretches), strict=True)
        )
        # Rows per unit of volume, as packed, times the mean volume of a group over all the samples.
        rows_of_group = used / self._share(stretches[0]).sum() * share.mean()
        members = np.bincount(task, minlength=len(self.draws.tasks))
        mean_of_task = np.bincount(task, share, len(members)) / np.maximum(members, 1)
        # of each task a block has the same number of groups: only within a task do they differ by
        # chance
        deviation = np.sqrt(np.mean((share - mean_of_task[task]) ** 2)) / share.mean()
        # K batches first, and then G, a little below what K batches hold on average.
        batches = max(1, round(BLOCK * rows_of_group / self.shape.rows))
        groups = batches * self.shape.rows / rows_of_group
        # the sample's mean is no more certain than a block's
        deviation *= np.sqrt(1.0 + 1.0 / _SAMPLES)
        return batches, max(1, int(groups * (1.0 - min(0.5, MARGIN * deviation / np.sqrt(groups)))))

    def _count_sections(self, rows_of_group: float) -> int:
        """Into how many a block is divided, so that each is a small part of the shortest epoch of a
        task.

        But a section holds two batches at least, and as many groups as are packed well.
        """
        least = max(_LEAST_SECTION, 2 * self.shape.rows / rows_of_group)
        return max(1, int(BLOCK // max(least, self.draws.shortest_epoch / _SECTIONS_OF_EPOCH)))

    def _share(self, groups: Groups) -> np.ndarray:
        """How much of a row each group takes."""
        sizes, shape = groups.sizes, self.shape
        parts = (
            sizes.tokens / shape.tokens,
            sizes.targets / shape.targets,
            sizes.clips / max(shape.clips, 1),
        )
        return np.max(parts, axis=0) * (groups.chosen > 0)

    def _draw(self, number: int) -> Groups:
        return self.draws.draw(number * self.groups_of_block, (number + 1) * self.groups_of_block)

    def _order(self, groups: Groups, number: int) -> list[list[int]]:
        """The groups that fit a row, section by section, in an order in which tasks are mixed."""
        by_task = np.bincount(groups.task, minlength=len(self.draws.tasks))
        # Groups come task by task. A group's place within its task decides its section, so that
        # each section has the same share of every task; within it the keys shuffle them.
        #     tasks a a a a b b, 2 sections  →  a a b | a a b
        place = np.arange(len(groups)) - (np.cumsum(by_task) - by_task)[groups.task]
        section = place * self.sections // by_task[groups.task]
        keys = mix_keys(make_key(self._key, "groups", number), np.arange(len(groups)))
        order = np.lexsort((keys, section))
        # What fits no row is counted elsewhere.
        order = order[groups.chosen[order] > 0]
        return [
            part.tolist()
            for part in np.split(order, np.searchsorted(section[order], range(1, self.sections)))
        ]

    def get_left(self, number: int) -> Groups | None:
        """What block `number` hands on."""
        if number < 0:
            return None
        if number not in self._left:
            groups = self._draw(number)
            self._fill(number, groups, groups.sizes)
        return self._left[number]

    def _fill(self, number: int, groups: Groups, sizes: Sizes) -> RowFiller:
        """Rows with the block's own groups; `sizes` may go on behind theirs."""
        most_rows = self.batches_of_block and self.batches_of_block * self.shape.rows
        filler = RowFiller(sizes, self.shape, most_rows)
        left = filler.fill_in_order(self._order(groups, number))
        # the last few are kept: steps are mostly asked for in order
        self._left = {n: self._left[n] for n in self._left if abs(n - number) < 4} | {
            number: groups.take(left)
        }
        return filler

    def get_block(self, number: int) -> Block:
        # who describes a step of a block that is known does not wait for the next one to be made
        block = self.known_blocks.get(number)
        if block is None:
            with self._lock:
                block = self.known_blocks.get(number) or self.make_block(number)
                self.known_blocks = dict(
                    [*self.known_blocks.items(), (number, block)][-KNOWN_BLOCKS:]
                )
        return block

    def make_block(self, number: int) -> Block:
        own = groups = self._draw(number)
        # What the block before could not place comes second: it takes only what room is left over,
        # so that this block's own rows do not depend on it.
        before = self.get_left(number - 1) if self.draws.is_endless else None
        if before is not None and len(before):
            groups = join_groups([own, before])
        filler = self._fill(number, own, groups.sizes)
        lost = filler.fill(range(len(own), len(groups)))
        size = self.shape.rows
        rows = (
            self.batches_of_block * size
            if self.batches_of_block
            else -(-len(filler.rows) // size) * size
        )
        # All blocks of a run have K batches, even where the last rows are empty.
        while len(filler.rows) < rows:
            filler.open(0)
        filler.share_rows()
        is_dropped = own.chosen == 0
        counts = PackingCounts(
            groups=len(own),
            questions=int(own.wanted.sum()),
            questions_dropped=int((own.wanted - own.chosen).sum() + groups.chosen[lost].sum()),
            groups_dropped=int(is_dropped.sum()) + len(lost),
        )
        return Block(
            batches=self._arrange(filler, groups, make_key(self._key, number)), counts=counts
        )

    def _arrange(self, filler: RowFiller, groups: Groups, key: int) -> list[PlannedBatch]:
        """Rows in an order by chance within their section, in batches: what is filled last is
        filled worst."""
        chance = mix_keys(key, np.arange(len(filler.rows))).tolist()
        keys = [
            # Rows that belong to no section (filled by what was left over) may stand anywhere in
            # the block.
            value % (self.sections * _SECTION)
            if section is None
            else section * _SECTION + value % _SECTION
            for section, value in zip(filler.sections, chance, strict=True)
        ]
        return [
            PlannedBatch(level=level, rows=[filler.rows[row] for row in rows], groups=groups)
            for level, rows in order_batches(filler.levels, keys, self.shape.rows, _SPAN * _SECTION)
        ]

    def get_batch(self, step: int) -> PlannedBatch:
        """Batch number `step`, from 0, of an endless plan."""
        # The step's number is all that is needed: nothing that came before is asked.
        block, place = divmod(step, self._endless_batches)
        return self.get_block(block).batches[place]

    @property
    def _endless_batches(self) -> int:
        """Batches of each block of an endless plan."""
        if self.batches_of_block is None:
            raise ValueError("the blocks of a plan that ends are not of one size; ask for blocks()")
        return self.batches_of_block

    def blocks(self, first_batch: int = 0) -> Iterator[tuple[Block, list[PlannedBatch]]]:
        """Blocks with those of their batches that come at or after number `first_batch`."""
        numbers: Iterator[int]
        if self.draws.is_endless:
            first, skip = divmod(first_batch, self._endless_batches)
            numbers = iter(itertools.count(first))
        else:
            skip, count = first_batch, -(-self.draws.size // self.groups_of_block)
            numbers = iter(range(count))
        for number in numbers:
            block = self.get_block(number)
            yield block, block.batches[skip:]
            skip = max(0, skip - len(block.batches))
