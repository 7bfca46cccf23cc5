"""The plan: every batch from its number alone, tasks by their rates, each item once an epoch,
nothing lost."""

import dataclasses
import itertools
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sift_jax.batch import BatchShape
from sift_jax.data.plan import batch_plan as plan_module
from sift_jax.data.plan.batch_plan import Plan
from sift_jax.data.plan.sample_stream import Draws, PlannedTask
from sift_jax.data.records.question_index import ITEM, QUESTION

SHAPES = [
    BatchShape(rows=4, tokens=1024, targets=256, clips=4, mel_frames=frames, mel_bins=80)
    for frames in (300, 800)
]
WIDE = [dataclasses.replace(shape, rows=8, tokens=2048, targets=512, clips=16) for shape in SHAPES]


class MadeUpIndex:
    """Questions without tokens: the lengths of utterances and of what is asked about them, as an
    index has them."""

    def __init__(self, items, questions=5, seed=0, clip_seconds=(1.0, 8.0)):
        rng = np.random.default_rng(seed)
        self.counts, self.folder = {"items": items}, Path("questions-0123/train/made_up")
        self.identity = (items, questions, seed)
        number = np.arange(items + 1)
        self.items = np.zeros(items + 1, ITEM)
        self.items["record"] = self.items["clip"] = number
        self.items["question"] = self.items["marker"] = number * questions
        self.questions = np.zeros(items * questions, QUESTION)
        self.questions["tokens"] = rng.integers(20, 60, items * questions)
        self.questions["targets"] = rng.integers(3, 15, items * questions)
        self.questions["answer"] = self.questions["tokens"] - self.questions["targets"]
        # the audio comes first: six positions and the clip are shared
        self.questions["common"] = np.where(
            np.arange(items * questions) % questions, 6, np.iinfo(np.int32).max
        )
        self.questions["rank"], self.questions["markers"] = (
            np.arange(items * questions) % questions,
            1,
        )
        self.markers = np.zeros(items * questions, [("place", "<i4"), ("clip", "<i4")])
        self.markers["place"] = 4
        self.clips = (rng.uniform(*clip_seconds, items) * 16_000).astype(np.int32)

    def __len__(self):
        return self.counts["items"]


def count_frames(samples):
    return -(-samples // 160) // 4


def make_plan(
    sizes=(700, 90),
    rates=(0.75, 0.25),
    *,
    seed=0,
    is_endless=True,
    questions=3,
    shapes=SHAPES,
    rates_count="examples",
    **changes,
):
    tasks = [
        PlannedTask(
            name=f"task{i}",
            rate=rate,
            index=MadeUpIndex(size, seed=i, **changes),
            questions=questions,
        )
        for i, (size, rate) in enumerate(zip(sizes, rates, strict=True))
    ]
    draws = Draws(
        tasks, shapes, count_frames, seed=seed, is_endless=is_endless, rates_count=rates_count
    )
    return Plan(draws, seed=seed)


def list_groups(batches):
    """(task, epoch, item, questions) of every group, in order."""
    for batch in batches:
        for g in itertools.chain(*batch.rows):
            groups = batch.groups
            yield (
                int(groups.task[g]),
                int(groups.epoch[g]),
                int(groups.item[g]),
                tuple(groups.numbers[g].tolist()),
            )


def describe(batch):
    return batch.level, [
        list(list_groups([dataclasses.replace(batch, rows=[row])])) for row in batch.rows
    ]


def test_a_batch_follows_from_its_number():
    steps = [5000, 3, 0, 5001, 77_777]
    asked = [describe(make_plan().get_batch(step)) for step in steps]
    plan = make_plan()
    assert [describe(plan.get_batch(step)) for step in reversed(steps)] == asked[::-1]
    assert make_plan().get_batch(3).hash == plan.get_batch(3).hash != plan.get_batch(4).hash
    assert make_plan(seed=1).get_batch(3).hash != plan.get_batch(3).hash
    walked = list(
        itertools.islice(
            itertools.chain.from_iterable(batches for _, batches in plan.blocks(5000)), 2
        )
    )
    assert [batch.hash for batch in walked] == [plan.get_batch(step).hash for step in (5000, 5001)]
    assert plan.fingerprint == make_plan().fingerprint != make_plan(rates=(0.7, 0.3)).fingerprint


def test_rows_hold_their_groups():
    plan = make_plan()
    for batch in plan.get_block(2).batches:
        assert len(batch.rows) == 4
        for row in batch.rows:
            sizes = batch.groups.sizes
            assert sizes.tokens[row].sum() <= 1024 and sizes.targets[row].sum() <= 256
            assert sizes.clips[row].sum() <= 4 and (sizes.level[row] <= batch.level).all()


def test_each_item_comes_once_an_epoch_and_tasks_by_their_rates(monkeypatch):
    """Over blocks that hand groups on to each other, which they hardly ever do with the usual room
    to spare."""
    monkeypatch.setattr(plan_module, "MARGIN", 0.4)
    plan = make_plan(
        sizes=(20_000, 3000), shapes=WIDE, clip_seconds=(2.0, 8.0), rates_count="records"
    )
    blocks = [plan.get_block(n) for n in range(6)]
    assert sum(len(plan.get_left(n)) for n in range(5)) > 0 == len(plan.get_left(5))
    assert sum(block.counts.groups_dropped for block in blocks) == 0
    seen = list(list_groups(itertools.chain.from_iterable(block.batches for block in blocks)))
    drawn = 6 * plan.groups_of_block
    assert len(seen) == sum(block.counts.groups for block in blocks) and abs(len(seen) - drawn) <= 2
    assert set(Counter(group[:3] for group in seen).values()) == {1}
    of_task = Counter(task for task, *_ in seen)
    assert abs(of_task[0] - 0.75 * drawn) <= 1 and abs(of_task[1] - 0.25 * drawn) <= 1
    whole = Counter((task, epoch) for task, epoch, *_ in seen)
    assert [whole[0, 0], whole[1, 0], whole[1, 1], whole[1, 2], whole[1, 3]] == [
        20_000,
        3000,
        3000,
        3000,
        3000,
    ]


def test_what_finds_no_room_twice_is_counted(monkeypatch):
    monkeypatch.setattr(plan_module, "MARGIN", -3.0)
    plan = make_plan()
    block = plan.get_block(1)
    placed = len(list(list_groups(block.batches)))
    assert block.counts.groups_dropped > 0
    assert placed + len(
        plan.get_left(1)
    ) + block.counts.groups_dropped == block.counts.groups + len(plan.get_left(0))


def test_every_question_comes_equally_often():
    plan = make_plan(sizes=(40,), rates=(1.0,), rates_count="records")
    per_item = [Counter() for _ in range(40)]
    groups = [plan.draws.draw(0, 40 * 5)]
    for group in range(len(groups[0])):
        per_item[int(groups[0].item[group])].update(groups[0].numbers[group].tolist())
    # five epochs of three of five questions
    assert all(set(counts.values()) == {3} and len(counts) == 5 for counts in per_item)


def test_an_epoch_shows_each_question_once():
    """Of five questions three and then two, in other pairs and threes the next time."""
    plan = make_plan(sizes=(40,), rates=(1.0,))
    assert plan.draws.size == 80
    together = []
    for epoch in range(3):
        groups = plan.draws.draw(80 * epoch, 80 * (epoch + 1))
        seen = Counter((int(groups.item[g]), int(n)) for g in range(80) for n in groups.numbers[g])
        assert seen == Counter({(item, number): 1 for item in range(40) for number in range(5)})
        assert set(groups.chosen.tolist()) == {2, 3} and set(groups.epoch.tolist()) == {epoch}
        together.append(
            {(int(groups.item[g]), *sorted(groups.numbers[g].tolist())) for g in range(80)}
        )
    assert not together[0] & together[1] and not together[1] & together[2]


@pytest.mark.parametrize("items", [300, 1000, 5000])
def test_small_data_show_each_item_once_an_epoch(items):
    """Fifty steps of 64 or so: a batch is a fifth of the epoch of 300 items, and straddles two of
    them."""
    shape = dataclasses.replace(WIDE[0], tokens=2048, clips=8, mel_frames=1200)
    plan = make_plan(
        sizes=(items,),
        rates=(1.0,),
        questions=1,
        shapes=[shape],
        clip_seconds=(4.0, 12.0),
        rates_count="records",
    )
    seen, per_step, worst = Counter(), [], 0
    for step in range(50):
        new = Counter(item for _, _, item, _ in list_groups([plan.get_batch(step)]))
        seen.update(new)
        per_step.append(sum(new.values()))
        counts = [seen[item] for item in range(items)]
        worst = max(worst, max(counts) - min(counts))
        if abs(sum(counts) % items) < per_step[-1] and sum(counts) >= items:
            epochs = sum(counts) // items
            # an epoch has just ended: what is missing is in the section that is being shown
            late = sum(count < epochs for count in counts)
            assert late < max(items / 16, 1.5 * per_step[-1])
    assert worst <= 2 and len(set(per_step)) > 1


def test_a_mixture_with_small_data_is_entered_anywhere_alike():
    plans = [make_plan(sizes=(300, 2000), clip_seconds=(2.0, 8.0)) for _ in range(2)]
    assert plans[0].sections > 4
    steps = [
        plans[0].batches_of_block * block + place for block, place in ((23, 5), (3, 0), (11, 7))
    ]
    there = [plans[0].get_batch(step).hash for step in steps]
    back = [plans[1].get_batch(step).hash for step in reversed(steps)]
    assert there == back[::-1]
    blocks = [plans[0].get_block(number) for number in range(4)]
    seen = Counter(list_groups(itertools.chain.from_iterable(block.batches for block in blocks)))
    drawn = sum(block.counts.groups for block in blocks) - len(plans[0].get_left(3))
    assert set(seen.values()) == {1} and sum(seen.values()) == drawn
    assert all(any(batch.rows) and all(batch.rows) for block in blocks for batch in block.batches)


class MixedIndex(MadeUpIndex):
    """As many questions of each item as `counts` says, of nine."""

    def __init__(self, counts, seed=0, **changes):
        super().__init__(len(counts), 9, seed, **changes)
        kept = (np.arange(9) < np.asarray(counts)[:, None]).ravel()
        self.questions, self.markers = self.questions[kept], self.markers[kept]
        self.items["question"] = self.items["marker"] = np.concatenate([[0], np.cumsum(counts)])
        self.identity = (self.identity, tuple(counts))


def test_rates_are_shares_of_examples():
    """A task whose utterances have one to nine questions, and one whose utterances have one."""
    counts = np.random.default_rng(1).integers(1, 10, 3000)
    tasks = [
        PlannedTask(name="many", rate=0.4, index=MixedIndex(counts), questions=3),
        PlannedTask(name="one", rate=0.6, index=MadeUpIndex(2000, 1), questions=3),
    ]
    for rates_count in ("examples", "records"):
        draws = Draws(tasks, WIDE, count_frames, seed=0, is_endless=True, rates_count=rates_count)
        groups = draws.draw(0, 40_000)
        examples = np.bincount(groups.task, groups.chosen) / groups.chosen.sum()
        records = np.bincount(groups.task) / len(groups)
        if rates_count == "examples":
            assert examples[0] == pytest.approx(0.4, abs=2e-3) and records[0] < 0.35
            assert draws.examples_per_group == pytest.approx(groups.chosen.mean(), rel=2e-3)
            plan = Plan(draws, seed=0)
            planned = [batch.questions for n in range(3) for batch in plan.get_block(n).batches]
            assert plan.examples_per_batch == pytest.approx(np.mean(planned), rel=0.01)
        else:
            assert records[0] == pytest.approx(0.4, abs=2e-4) and examples[0] > 0.45
    # within a task each question as often as any other, whether its item has one or nine
    whole = Draws(tasks[:1], WIDE, count_frames, seed=0, is_endless=True, rates_count="examples")
    groups = whole.draw(0, 2 * whole.size)
    numbers = np.repeat(groups.item, groups.chosen) * 9 + np.concatenate(groups.numbers)
    assert (
        set(Counter(numbers.tolist()).values()) == {2}
        and len(set(numbers.tolist())) == counts.sum()
    )


def test_shares_hold_where_much_is_set_aside():
    """Half of a task's clips are longer than the window: it is still half of what is trained on."""
    for rates_count in ("examples", "records"):
        tasks = [
            PlannedTask(
                name="long",
                rate=0.5,
                index=MadeUpIndex(900, 3, clip_seconds=(6.0, 10.0)),
                questions=3,
            ),
            PlannedTask(name="short", rate=0.5, index=MadeUpIndex(900, 3), questions=3),
        ]
        draws = Draws(tasks, WIDE, count_frames, seed=0, is_endless=True, rates_count=rates_count)
        groups = draws.draw(0, 30_000)
        kept = groups.task[groups.chosen > 0]
        assert np.bincount(kept)[0] / len(kept) == pytest.approx(0.5, abs=0.01)


def test_an_order_is_not_repeated_and_rows_are_mixed():
    plan = make_plan()
    first, second = ([describe(batch) for batch in plan.get_block(n).batches] for n in (0, 1))
    assert first != second
    sizes = [batch.tokens for batch in plan.get_block(0).batches if batch.level == 0]
    half = len(sizes) // 2
    assert (
        abs(np.mean(sizes[:half]) - np.mean(sizes[half:])) < 3 * np.std(sizes) / np.sqrt(half) * 2
    )


@pytest.mark.parametrize("rates", [(0.75, 0.25), (0.1, 0.9)])
def test_one_epoch_has_every_item_once_and_begins_by_rates(rates):
    plan = make_plan(is_endless=False, rates=rates, questions=0)
    blocks = list(plan.blocks())
    seen = list(list_groups(itertools.chain.from_iterable(batches for _, batches in blocks)))
    assert Counter((task, item) for task, _, item, _ in seen) == Counter(
        {(task, item): 1 for task, size in enumerate((700, 90)) for item in range(size)}
    )
    assert all(questions == (0, 1, 2, 3, 4) for *_, questions in seen)
    assert sum(block.counts.questions for block, _ in blocks) == 790 * 5
    first = Counter(task for task, *_ in list_groups(blocks[0][1]))
    expected = min(rates[1] * 256, 90)
    assert abs(first[1] - expected) <= 1


def test_what_is_too_long_loses_questions_and_then_itself():
    small = [dataclasses.replace(shape, tokens=250, targets=5) for shape in SHAPES]
    plan = make_plan(shapes=small, questions=0)
    counts = plan.get_block(0).counts
    assert counts.questions_dropped > counts.groups_dropped > 0
    placed = list(list_groups(plan.get_block(0).batches))
    assert len(placed) + len(plan.get_left(0)) == counts.groups - counts.groups_dropped
    message = (
        r"nothing of a task fits a row: task0: 3500 of 3500 questions, .* as its answer takes "
        r"more targets than a row "
        r"\(raise DataConfig.targets\); or give the task the rate 0"
    )
    with pytest.raises(ValueError, match=message):
        make_plan(shapes=[dataclasses.replace(shape, targets=2) for shape in small])


def test_rows_are_full():
    """Four utterances a row, as in the configs of the paper's sizes."""
    plan = make_plan(shapes=WIDE, sizes=(20_000, 3000), clip_seconds=(2.0, 8.0))
    tokens = sum(batch.tokens for n in range(3) for batch in plan.get_block(n).batches)
    assert tokens / (3 * plan.batches_of_block * 8 * 2048) > 0.98


def test_the_millionth_batch_of_a_large_index_comes_at_once():
    started = time.process_time()
    batch = make_plan(sizes=(100_000,), rates=(1.0,)).get_batch(1_000_000)
    assert time.process_time() - started < 3.0
    assert batch.groups.epoch.max() > 20


def test_a_known_block_is_there_while_the_next_is_made(monkeypatch):
    """Steps are described while later ones are drawn: a run must not stand still for a block that
    it is far from."""
    plan, make = make_plan(), Plan.make_block
    known, is_making, may_end = plan.get_block(0), threading.Event(), threading.Event()

    def wait(self, number):
        is_making.set()
        assert may_end.wait(10)
        return make(self, number)

    monkeypatch.setattr(Plan, "make_block", wait)
    thread = threading.Thread(target=plan.get_block, args=(1,))
    thread.start()
    assert is_making.wait(10) and plan.get_block(0) is known
    may_end.set()
    thread.join()
    for number in range(1, 5):
        plan.get_block(number)
    assert sorted(plan.known_blocks) == [2, 3, 4]
