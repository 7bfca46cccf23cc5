"""A run of DPO: it raises the share of pairs that come out right, and resumes bit for bit."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from pair_rows import make_rows, write_pairs
from tiny_model import MODEL
from tiny_run import make_run, write_gin

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.training.loop import train
from sift_jax.training.preference import DpoConfig
from sift_jax.weights.load import Sources

ROOT = Path(__file__).parent.parent.parent
DPO = DpoConfig(beta=1.0, is_length_normalized=True)


@pytest.fixture(scope="module")
def pairs(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, make_rows(corpus, "dev"), "dev")
    return write_pairs(folder, make_rows(corpus))


def make_arguments(corpus, pairs, out_dir, *, data=None, **changes):
    wanted = {"records": str(pairs), "rates": {"pairs": 1.0}, "questions_per_record": 1}
    arguments = make_run(
        corpus,
        out_dir,
        model=dataclasses.replace(MODEL, lora_rank=4),
        data={**wanted, **(data or {})},
        **{
            "steps": 40,
            "trainable": (".*/lora_.*",),
            "log_every": 1,
            "dev_every": 10,
            "checkpoint_every": 20,
            **changes,
        },
    )
    optimizer = dataclasses.replace(
        arguments["optimizer"], muon_learning_rate=None, weight_decay=0.0
    )
    return {**arguments, "optimizer": optimizer, "dpo": DPO}


def read_metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same(found, expected):
    for x, y in zip(
        jax.tree.leaves(load_params(found)[2]),
        jax.tree.leaves(load_params(expected)[2]),
        strict=True,
    ):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.fixture(scope="module")
def whole(corpus, pairs, tmp_path_factory):
    return train(**make_arguments(corpus, pairs, tmp_path_factory.mktemp("dpo") / "run"))


def test_a_run_begins_at_log_two_and_gets_pairs_right(whole):
    lines = read_metrics(whole)
    steps = [line for line in lines if "margin" in line]
    assert steps[0]["loss"] == pytest.approx(np.log(2), abs=1e-4)
    assert steps[0]["pair_accuracy"] == pytest.approx(0.5, abs=0.5)
    assert abs(steps[0]["margin"]) < 1e-4
    last = steps[-5:]
    assert np.mean([line["loss"] for line in last]) < 0.9 * np.log(2)
    assert np.mean([line["pair_accuracy"] for line in last]) > 0.75
    for line in steps:
        rewards = line["chosen_reward"] - line["rejected_reward"]
        assert line["margin"] == pytest.approx(rewards, abs=1e-4)
    held_out = [line for line in lines if "dev_pair_accuracy" in line]
    assert [line["step"] for line in held_out] == [10, 20, 30, 40]
    assert {"dev_loss", "dev_margin"} <= set(held_out[0])


def test_nothing_but_adapters_moves(whole):
    """What LoRA off says at step 40 is what it said at step 20."""
    moved = set()
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(load_params(whole, 20)[2]),
        jax.tree.leaves(load_params(whole, 40)[2]),
        strict=True,
    ):
        if not np.array_equal(np.asarray(x), np.asarray(y)):
            moved.add(path[-1].key)
    assert moved == {"lora_a", "lora_b"}


def test_a_run_that_was_stopped_goes_on_bit_for_bit(corpus, pairs, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    # as after a kill behind step 20
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "40")
    train(**make_arguments(corpus, pairs, tmp_path / "run"))
    assert_same(tmp_path / "run", whole)
    assert read_metrics(tmp_path / "run")[-1]["step"] == 40


def test_a_start_from_trained_adapters_is_refused(corpus, pairs, whole, tmp_path):
    arguments = make_arguments(corpus, pairs, tmp_path / "run")
    sources = Sources(run=str(whole), step=None, model=None, encoder=None, decoder=None)
    with pytest.raises(ValueError, match="merge them: python -m sift_jax.export"):
        train(**{**arguments, "sources": sources})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainable": (".*",)}, "the reference of DPO is the same model"),
        ({"data": {"rates": {"sift.*": 1.0}}}, "matches none of the tasks: pairs"),
    ],
)
def test_what_does_not_fit_is_refused(corpus, pairs, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        train(**make_arguments(corpus, pairs, tmp_path / "run", **changes))


def test_without_held_out_pairs_none_are_measured(corpus, tmp_path):
    folder = write_pairs(tmp_path / "pairs", make_rows(corpus))
    arguments = make_arguments(corpus, folder, tmp_path / "run")
    with pytest.raises(ValueError, match=r"has no dev.jsonl; .*dev_batches = 0"):
        train(**arguments)


def start(corpus, pairs, out_dir, log, *flags):
    arguments = make_arguments(corpus, pairs, out_dir, checkpoint_every=4)
    gin = write_gin(out_dir.with_suffix(".gin"), arguments)
    with gin.open("a") as file:
        file.write("sift_jax.training.loop.train.dpo = @DpoConfig()\n")
    return subprocess.Popen(
        [sys.executable, "-m", "sift_jax.train", f"--gin_file={gin}", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(corpus, pairs, tmp_path):
    with (tmp_path / "log").open("w") as log:
        whole = start(corpus, pairs, tmp_path / "whole", log)
        assert whole.wait(timeout=900) == 0, (tmp_path / "log").read_text()
        process = start(corpus, pairs, tmp_path / "killed", log)
        saved, deadline = tmp_path / "killed" / "checkpoints" / "12", time.monotonic() + 900
        while not saved.is_dir() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
        again = start(corpus, pairs, tmp_path / "killed", log)
        assert again.wait(timeout=900) == 0, (tmp_path / "log").read_text()
    assert "resuming" in (tmp_path / "log").read_text()
    assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(corpus, pairs, tmp_path):
    found = []
    for devices in (1, 2):
        with (tmp_path / f"log{devices}").open("w") as log:
            out = tmp_path / f"on{devices}"
            process = start(corpus, pairs, out, log, f"--virtual_devices={devices}")
            assert process.wait(timeout=900) == 0, (tmp_path / f"log{devices}").read_text()
        found.append(read_metrics(out))
    for one, two in zip(*found, strict=True):
        for name in ("loss", "margin", "dev_margin"):
            if name in one:
                assert one[name] == pytest.approx(two[name], rel=1e-2, abs=1e-3)
