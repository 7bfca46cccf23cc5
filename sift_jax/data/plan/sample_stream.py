"""Which groups a stream is made of: for any stretch of it, the items of each task, their questions
and their sizes.

    groups a … b of the stream ─► of task i, draws m from ⌊a·rᵢ + uᵢ⌋ to ⌊b·rᵢ + uᵢ⌋    rᵢ share, uᵢ offset in [0, 1)
    draw m of a task of n places ─► epoch m ÷ n, place π(m mod n)                  π a seeded permutation of the epoch
    a place ─► an item and some of its questions, as many as fit a row             survey.py, fitting.py

**What a rate is a share of.** The paper's rates and batch sizes count *examples*: one question with its audio. A group
is an utterance with up to k of its questions, so that a task's share of the groups is its rate over
its mean number of questions a group, as its survey has it. Within a task each question then comes
once an epoch, as if they were trained on one by one: an utterance of q questions stands ⌈q / k⌉
times in the epoch, each time with the next of them.

    k = 3: utterances of 1, 3 and 5 questions stand 1, 1 and 2 times, with 1 | 3 | 3 + 2 questions:
           in 4 groups are 9 examples, 2.25 a group. Beside a task of one question each, both at
           the rate .5, it gets 4 of 13 groups: with 9 of the 18 examples

With `rates_count = 'records'` rates are shares of the groups, each utterance stands once in an
epoch, and shows the next k of its questions: one of 1 question shows it every epoch, one of 9 shows
each every third.

So a task's share differs from its rate by less than one draw at any place, and all of it is
computed from the numbers alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from sift_jax.batch import BatchShape
from sift_jax.data.plan.bin_packing import Sizes
from sift_jax.data.plan.fitting import fit_groups, make_limits
from sift_jax.data.plan.permutation import make_key, mix_keys, permute
from sift_jax.data.plan.survey import Turns, read_survey
from sift_jax.data.records.question_index import QuestionIndex

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
    # of each group, the numbers of the chosen among its item's questions
    numbers: list[np.ndarray]
    sizes: Sizes

    def __len__(self) -> int:
        return len(self.task)

    def take(self, groups: Sequence[int]) -> Groups:
        """Those alone."""
        lines = np.array(groups, np.int64)
        numbers = [self.numbers[group] for group in groups]
        sizes = Sizes(
            **{f.name: getattr(self.sizes, f.name)[lines] for f in dataclasses.fields(Sizes)}
        )
        rest = {
            name: getattr(self, name)[lines]
            for name in ("task", "epoch", "item", "wanted", "chosen")
        }
        return Groups(**rest, numbers=numbers, sizes=sizes)


def join_groups(parts: Sequence[Groups]) -> Groups:
    """All groups of the parts, in order."""
    sizes = {
        f.name: np.concatenate([getattr(part.sizes, f.name) for part in parts])
        for f in dataclasses.fields(Sizes)
    }
    names = ("task", "epoch", "item", "wanted", "chosen")
    return Groups(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
        numbers=[numbers for part in parts for numbers in part.numbers],
        sizes=Sizes(**sizes),
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
        rates_count: str,
        window: int | None = None,
    ):
        self.tasks = sorted(tasks, key=lambda task: task.name)
        self.shapes, self.is_endless, self.rates_count = shapes, is_endless, rates_count
        self._limits = make_limits(shapes, count_frames, window)
        self._turns = [
            Turns(
                questions=task.questions,
                counts=rates_count,
                key=make_key(seed, task.name, "questions"),
            )
            for task in self.tasks
        ]
        pairs = list(zip(self.tasks, self._turns, strict=True))
        self.surveys = [
            read_survey(task.index, turns, self._limits, task.name) for task, turns in pairs
        ]
        if is_endless:
            self._check_tasks()
        self.rates = self._weigh_groups()
        self._places = np.array([survey.places for survey in self.surveys])
        # In whole numbers: a float's share, times a stream of 10¹² groups, would be off by whole
        # groups, and two hosts could round it to different ones.
        self._shares = [round(rate * 2**_BITS) for rate in self.rates.tolist()]
        # A fraction of a group for each task, so that tasks of one rate are not all drawn at the
        # same places.
        self._offsets = [make_key(seed, task.name, "offset") >> 64 - _BITS for task in self.tasks]
        self._keys = [make_key(seed, task.name, "items") for task in self.tasks]
        # without an end tasks of larger rate than size end first; the others then share what is
        # left by their rates
        ends = np.sort(self._places / self.rates)
        self._ends = np.concatenate([[0.0], ends])
        self._groups_at_ends = np.array(
            [np.minimum(self._places, t * self.rates).sum() for t in self._ends]
        )

    def _check_tasks(self) -> None:
        """A task is not trained at the rate that it was given if there is nothing to draw."""
        # Said once, at the start: a task that cannot be drawn would otherwise show as a curve that
        # is missing.
        for task, survey in zip(self.tasks, self.surveys, strict=True):
            if not survey.items:
                raise ValueError(
                    f"task {task.name} has no examples, so none can be drawn at its rate; leave "
                    "it out of the mixture, or look at what its source and its filters keep"
                )
            if not survey.questions:
                raise ValueError(
                    f"nothing of a task fits a row: {survey.describe_set_aside(task.name)}; or "
                    "give the task the rate 0"
                )

    def _weigh_groups(self) -> np.ndarray:
        """Each task's share of the groups that are drawn, so that of what is trained on it has the
        share of its rate.

        Rates of .5 and .5, groups of 2 questions and of 1: of three groups two are the second
        task's.
        """
        names = {"examples": "examples_per_place", "records": "groups_per_place"}
        kept = [getattr(survey, names[self.rates_count]) or 1.0 for survey in self.surveys]
        rates = np.array([task.rate / each for task, each in zip(self.tasks, kept, strict=True)])
        return rates / rates.sum()

    @property
    def shortest_epoch(self) -> float:
        """Groups of the stream in which the task that comes round most often has come round."""
        return float(np.min(self._places / self.rates))

    @property
    def examples_per_group(self) -> float:
        """Questions that a group has in the mean over the mixture, with the groups that fit no
        row."""
        means = [survey.examples_per_place for survey in self.surveys]
        return float(np.dot(self.rates, means))

    def describe_set_aside(self) -> list[str]:
        """A line for each task of which something fits no row."""
        pairs = zip(self.tasks, self.surveys, strict=True)
        return [said for task, survey in pairs if (said := survey.describe_set_aside(task.name))]

    @property
    def size(self) -> int:
        """Groups of one epoch of every task: its items, as often as they stand in it."""
        return int(self._places.sum())

    def count(self, groups: int) -> np.ndarray:
        """How many of the first `groups` groups are each task's, to within one."""
        if self.is_endless:
            # Python's whole numbers have no limit: groups · 2⁴⁸ does not overflow.
            pairs = zip(self._shares, self._offsets, strict=True)
            return np.array([groups * share + offset >> _BITS for share, offset in pairs])
        if groups >= self.size:
            return self._places
        # One pass over everything: tasks A (10 groups, rate .5) and B (90, .5) both run at half
        # speed until A ends after 20 groups; from then on B has the stream for itself. `time` is
        # the moment in that race.
        time = np.interp(groups, self._groups_at_ends, self._ends)
        offsets = np.array(self._offsets) / 2.0**_BITS
        return np.minimum(self._places, np.floor(time * self.rates + offsets).astype(np.int64))

    def draw(self, first: int, stop: int) -> Groups:
        """The groups of a stretch of the stream, task by task; what is not chosen or too long is
        counted in them."""
        before, after = self.count(first), self.count(stop)
        return join_groups(
            [self._draw_task(i, before[i], after[i]) for i in range(len(self.tasks))]
        )

    def _draw_task(self, i: int, first: int, stop: int) -> Groups:
        task, survey, number = self.tasks[i], self.surveys[i], np.arange(first, stop)
        if not len(number):
            empty = np.zeros(0, np.int64)
            sizes = Sizes(tokens=empty, targets=empty, clips=empty, level=empty)
            return Groups(
                task=empty,
                epoch=empty,
                item=empty,
                wanted=empty,
                chosen=empty,
                numbers=[],
                sizes=sizes,
            )
        # Draw 23 of a task of 10 places is place 3 of epoch 2; each epoch has a key, and so an
        # order, of its own.
        epoch, place = number // survey.places, number % survey.places
        item, part = survey.find(
            task.index,
            self._turns[i],
            permute(place, survey.places, mix_keys(self._keys[i], epoch)),
        )
        asked = self._turns[i].ask(task.index, item, part, epoch)
        # Too many questions for one row: the last are left out here, and counted.
        fitted = fit_groups(task.index, asked, self._limits)
        # chosen 2 1, numbers 0 3 5: the first group has questions 0 and 3, the second 5
        ends = np.cumsum(fitted.chosen)
        spans = zip((ends - fitted.chosen).tolist(), ends.tolist(), strict=True)
        return Groups(
            task=np.full(len(item), i),
            epoch=epoch,
            item=item,
            wanted=asked.count,
            chosen=fitted.chosen,
            numbers=[fitted.numbers[start:end] for start, end in spans],
            sizes=fitted.sizes,
        )
