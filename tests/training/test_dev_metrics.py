"""Figures by task: those of each task measured by itself, from the batches that all have in
common."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from tiny_examples import make_mixed_batch
from tiny_model import make_config, make_params, measure_loss
from tiny_run import change_data, make_data, make_run

from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.dev_batches import choose_batches, list_tasks, read_dev_set
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.dev_metrics import format_dev, measure_dev
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train
from sift_jax.training.step import make_dev_step

CONFIG = make_config()
RATES = {"sift.closed_ended.*.en": 0.75, "sift.open_ended.*": 0.25}


def open_stream(corpus, **changes):
    data = make_data(corpus, rates=RATES, **changes)
    return BatchStream(data, make_geometry(CONFIG), split="dev", is_endless=False)


def measure(dev, params):
    step = make_dev_step(
        CONFIG, make_mesh(MeshConfig(data=1, fsdp=1, tensor=1)), tasks=dev.in_split
    )
    return measure_dev(
        step, {"trainable": params, "frozen": {}}, dev.batches, lambda batch: batch, dev.tasks
    )


def test_each_task_as_if_it_were_alone(corpus):
    stream, params = open_stream(corpus), make_params(CONFIG)
    names = [task.name for task in stream.plan.draws.tasks]
    values = measure(read_dev_set(stream, 4, names), params)
    chosen = choose_batches(stream.plan, 4)
    whole = 0.0
    for number, name in enumerate(names):
        rows = [[[g for g in row if b.groups.task[g] == number] for row in b.rows] for b in chosen]
        alone = [dataclasses.replace(b, rows=kept) for b, kept in zip(chosen, rows, strict=True)]
        sums = np.array(
            [measure_loss(CONFIG, params, batch) for _, batch in stream.read(alone)]
        ).sum(axis=0)
        whole += sums[0]
        assert values[f"dev_tokens/{name}"] == sums[1] > 0
        assert values[f"dev_loss/{name}"] == pytest.approx(sums[0] / sums[1], rel=1e-5)
    tokens = np.array([values[f"dev_tokens/{name}"] for name in names])
    assert values["dev_loss"] == pytest.approx(whole / tokens.sum(), rel=1e-5)
    gains = np.array([values[f"audio_gain/{name}"] for name in names])
    # a mean of theirs, weighted by the targets that have another item's audio beside them in their
    # batch
    assert gains.min() < values["audio_gain"] < gains.max()
    assert len(set(gains.tolist())) == len(names)


def test_the_sums_are_those_of_the_whole_batch(corpus):
    """One figure for all, as the evaluation asks for it, and the parts."""
    dev, params = read_dev_set(open_stream(corpus), 1, []), make_params(CONFIG)
    mesh, state = (
        make_mesh(MeshConfig(data=1, fsdp=1, tensor=1)),
        {"trainable": params, "frozen": {}},
    )
    parts = make_dev_step(CONFIG, mesh, tasks=dev.in_split)(state, dev.batches[0])
    whole = make_dev_step(CONFIG, mesh)(state, dev.batches[0])
    for key, value in jax.device_get(whole).items():
        assert value.shape == () and value == pytest.approx(np.asarray(parts[key]).sum(), rel=1e-5)


def test_rare_tasks_come_first(corpus):
    """Of a task that comes once in a hundred groups the first batches would have nothing."""
    rates = {
        "sift.closed_ended.acoustic_level.*": 0.97,
        "sift.open_ended.*": 0.02,
        "sift.*.word_align.*": 0.01,
    }
    stream = open_stream(corpus, rows=1, tokens=96, targets=32, clips=1)
    plan = BatchStream(
        change_data(stream.config, rates=rates), stream.geometry, split="dev", is_endless=False
    ).plan
    count, all_of_it = len(plan.draws.tasks), [b for _, batches in plan.blocks() for b in batches]
    in_order = set().union(*map(list_tasks, all_of_it[:count]))
    chosen = choose_batches(plan, count)
    assert len(in_order) < count == len(set().union(*map(list_tasks, chosen)))
    assert len(chosen) == count and len({b.hash for b in chosen}) == count
    assert len(choose_batches(plan, 10**6)) == len(all_of_it)


def test_a_task_that_has_nothing_says_so(corpus):
    stream = open_stream(corpus, rows=1, tokens=96, targets=32, clips=1)
    dev = read_dev_set(stream, 1, ["sift.closed_ended.acoustic_level.en", "my.poems"])
    values, own = measure(dev, make_params(CONFIG)), dev.tasks[: dev.in_split]
    (seen,) = dev.seen
    assert dev.tasks == [*own, "my.poems"] and seen in own
    assert {name for name in values if name.startswith("dev_loss/")} == {f"dev_loss/{seen}"}
    assert [name for name in dev.tasks if values[f"dev_tokens/{name}"]] == [seen]
    assert all(np.isfinite(value) for value in values.values())
    said = dev.describe_unseen()
    # of two clips, where a row has room for one
    (unfit,) = dev.unfit
    missed = ", ".join(name for name in own if name not in (seen, unfit))
    assert unfit == "sift.closed_ended.comparison.en" and said == (
        f"no dev loss for {missed}: none in the dev batches, raise RunConfig.dev_batches; "
        f"{unfit}: nothing in the dev split fits a row; my.poems: none in the dev split"
    )
    assert read_dev_set(open_stream(corpus), 9, own).describe_unseen() is None


def test_the_terminal_names_the_worst():
    losses = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 0.5}
    values = {f"dev_loss/{k}": v for k, v in losses.items()} | {
        f"audio_gain/{k}": v / 10 for k, v in losses.items()
    }
    line = format_dev({"dev_loss": 1.5, "audio_gain": 0.25, **values})
    assert line == (
        "dev loss 1.500, audio gain +0.250; worst: b 3.000 (+0.300), c 2.000 (+0.200), a 1.000 "
        "(+0.100)"
    )
    alone = {"dev_loss": 1.5, "audio_gain": 0.25, "dev_loss/a": 1.5, "audio_gain/a": 0.25}
    assert format_dev(alone) == "dev loss 1.500, audio gain +0.250"


def test_a_run_that_measures_nothing_needs_no_dev_split(corpus, tmp_path):
    records = tmp_path / "records"
    shutil.copytree(corpus.records, records)
    for path in records.glob("sift_*/index.json"):
        index = json.loads(path.read_text())
        path.write_text(json.dumps({"train": index["train"]}))
    data = {"records": str(records), "rates": {"sift.open_ended.en": 1.0}}
    run = train(**make_run(corpus, tmp_path / "run", steps=3, dev_batches=0, data=data))
    assert "dev_loss" not in (run / "metrics.jsonl").read_text()
    with pytest.raises(ValueError, match="no task of the mixture has a split 'dev'"):
        train(**make_run(corpus, tmp_path / "other", steps=3, dev_batches=1, data=data))


def test_a_run_writes_them(trained_run):
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    (last,) = [line for line in lines if "dev_loss" in line]
    names = [name.removeprefix("dev_tokens/") for name in last if name.startswith("dev_tokens/")]
    # two languages of four kinds of closed-ended questions, and of open-ended ones
    assert len(names) == 10 == len({name.rsplit(".", 1)[0] for name in names}) * 2
    with_loss = [name for name in names if last[f"dev_tokens/{name}"]]
    assert with_loss == [
        name for name in names if f"dev_loss/{name}" in last and f"audio_gain/{name}" in last
    ]
    tokens = [last[f"dev_tokens/{name}"] for name in with_loss]
    sums = [last[f"dev_loss/{name}"] * n for name, n in zip(with_loss, tokens, strict=True)]
    assert sum(sums) / sum(tokens) == pytest.approx(last["dev_loss"], rel=1e-4)


def test_the_dev_step_comes_in_the_pieces_of_the_train_step():
    """The same sums in a fraction of the memory: what is enough for a step is enough to measure
    it."""
    batch = make_mixed_batch(CONFIG, rows=4)
    batch["task_bm"] = (
        np.arange(batch["target_bm"].size).reshape(batch["target_bm"].shape) % 3
    ).astype(np.int32)
    state = {"trainable": make_params(CONFIG), "frozen": {}}
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    whole, pieces = (
        make_dev_step(CONFIG, mesh, microbatches=n, tasks=3).lower(state, batch).compile()
        for n in (1, 4)
    )
    expected = whole(state, batch)
    for key, value in pieces(state, batch).items():
        assert value.shape == (3,)
        np.testing.assert_allclose(value, expected[key], rtol=1e-5)
    memory, less = (each.memory_analysis().temp_size_in_bytes for each in (whole, pieces))
    assert less < 0.6 * memory
