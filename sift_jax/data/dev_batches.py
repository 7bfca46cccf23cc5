"""The batches that a run measures itself on: of every task something, as far as so many batches
can.

one epoch of the dev split ─► the first few blocks ─► batches, first those with tasks not shown yet
    ─► read ─► batch + task_bm, the task of each target
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from sift_jax.batch import Batch
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.dev_samples import DevSample, read_dev_samples
from sift_jax.data.plan.batch_plan import Plan, PlannedBatch

# so many times the batches that are wanted are looked through; planning them is cheap, reading is
# not
LOOK_AHEAD = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevSet:
    """Batches with task_bm, and whose numbers those are. All processes of a run say the same of
    `seen`."""

    batches: list[Batch]
    # first those of the dev split, by their numbers; behind them what the run trains and the split
    # has not got
    tasks: list[str]
    in_split: int
    seen: frozenset[str]
    # of which nothing fits a row
    unfit: frozenset[str]
    # a few questions of each task of the batches
    samples: list[DevSample]

    def describe_unseen(self) -> str | None:
        """Which tasks the figures say nothing of, and what there is to do."""
        missed = [
            name for name in self.tasks[: self.in_split] if name not in self.seen | self.unfit
        ]
        unfit = [name for name in self.tasks[: self.in_split] if name in self.unfit]
        absent = self.tasks[self.in_split :]
        parts = [
            f"{', '.join(missed)}: none in the dev batches, raise RunConfig.dev_batches"
        ] * bool(missed)
        parts += [f"{', '.join(unfit)}: nothing in the dev split fits a row"] * bool(unfit)
        parts += [f"{', '.join(absent)}: none in the dev split"] * bool(absent)
        return f"no dev loss for {'; '.join(parts)}" if parts else None


def list_tasks(batch: PlannedBatch) -> set[int]:
    """The tasks that a batch has questions of."""
    return set(np.unique(batch.groups.task[list(itertools.chain(*batch.rows))]).tolist())


def choose_batches(plan: Plan, count: int) -> list[PlannedBatch]:
    """`count` batches of a plan that ends, fewer if it has no more."""
    found: list[PlannedBatch] = []
    for _, batches in plan.blocks():
        found += batches
        if len(found) >= LOOK_AHEAD * count:
            break
    tasks = [list_tasks(batch) for batch in found]
    shown: set[int] = set()
    chosen: list[PlannedBatch] = []
    waiting = list(range(len(found)))
    while waiting and len(chosen) < count:
        # the first of those which show most
        best = max(waiting, key=lambda number: len(tasks[number] - shown))
        waiting.remove(best)
        shown |= tasks[best]
        chosen.append(found[best])
    return chosen


def read_dev_set(
    stream: BatchStream, count: int, trained: Sequence[str], *, samples: int = 0
) -> DevSet:
    """The first batches to look at of the dev split, and of each task so many samples; `trained`
    are the tasks of the run."""
    chosen = choose_batches(stream.plan, count)
    batches = [batch for _, batch in stream.read(chosen)]
    own, surveys = [task.name for task in stream.plan.draws.tasks], stream.plan.draws.surveys
    return DevSet(
        batches=[
            {**batch, "task_bm": stream.tell_tasks(planned, batch)}
            for planned, batch in zip(chosen, batches, strict=True)
        ],
        tasks=own + sorted(set(trained) - set(own)),
        in_split=len(own),
        unfit=frozenset(
            own[number] for number, survey in enumerate(surveys) if not survey.questions
        ),
        samples=read_dev_samples(stream, chosen, samples) if samples else [],
        seen=frozenset(own[task] for planned in chosen for task in list_tasks(planned)),
    )
