"""A run that is killed at any moment ends with the weights of one that was not, bit for bit."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_model import MODEL
from tiny_run import change_data, make_run, write_gin

from sift_jax.checkpoints.checkpoint import CheckpointError, load_params
from sift_jax.checkpoints.run_folder import check_plan
from sift_jax.data.batch_stream import BatchStream
from sift_jax.launch import Launch
from sift_jax.models.presets import make_model_config
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.training import loop
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train

ROOT = Path(__file__).parent.parent.parent
STEPS = 60


def make_arguments(corpus, out_dir, steps=STEPS):
    return make_run(corpus, out_dir, steps=steps, checkpoint_every=5, log_every=5, dev_batches=0)


def start(gin_file, log):
    command = [sys.executable, "-m", "sift_jax.train", f"--gin_file={gin_file}"]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ.copy(), stdout=log, stderr=subprocess.STDOUT
    )


def kill_after_a_checkpoint(process, checkpoints, delay):
    """Kills between the first finished checkpoint and the run's end; True if the run was still
    going."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if checkpoints.is_dir() and any(path.name.isdigit() for path in checkpoints.iterdir()):
            time.sleep(delay)
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def assert_same_runs(found, expected):
    (_, step, params), (_, other_step, others) = load_params(found), load_params(expected)
    assert step == other_step
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(others), strict=True
    ):
        np.testing.assert_array_equal(
            np.asarray(x), np.asarray(y), err_msg=jax.tree_util.keystr(path)
        )


@pytest.fixture(scope="module")
def unbroken(corpus, tmp_path_factory):
    """Started as the killed one is: bits are promised to the same program in a process of its
    own."""
    folder = tmp_path_factory.mktemp("unbroken")
    with (folder / "log").open("w") as log:
        process = start(write_gin(folder / "run.gin", make_arguments(corpus, folder / "run")), log)
        assert process.wait(timeout=240) == 0, (folder / "log").read_text()
    return folder / "run"


def test_a_killed_run_goes_on_bit_for_bit(corpus, unbroken, tmp_path):
    gin_file = write_gin(tmp_path / "run.gin", make_arguments(corpus, tmp_path / "run"))
    delay = random.uniform(0.0, 1.0)
    print(f"killed {delay:.3f} s after the first checkpoint")
    with (tmp_path / "log").open("w") as log:
        was_killed = kill_after_a_checkpoint(
            start(gin_file, log), tmp_path / "run" / "checkpoints", delay
        )
        assert was_killed, (tmp_path / "log").read_text()
        assert start(gin_file, log).wait(timeout=240) == 0, (tmp_path / "log").read_text()
    assert f"resuming {tmp_path / 'run'} at step" in (tmp_path / "log").read_text()
    assert_same_runs(tmp_path / "run", unbroken)
    lines = [
        [json.loads(x) for x in (r / "metrics.jsonl").read_text().splitlines()]
        for r in (tmp_path / "run", unbroken)
    ]
    found, expected = (
        [(line["step"], line["loss"]) for line in each if "loss" in line] for each in lines
    )
    assert (
        [step for step, _ in found]
        == [step for step, _ in expected]
        == list(range(5, STEPS + 1, 5))
    )
    assert dict(found)[STEPS] == dict(expected)[STEPS]
    # the same batches, and no step was said twice or left out
    said = [(r / "batches.jsonl").read_text() for r in (tmp_path / "run", unbroken)]
    assert said[0] == said[1] and len(said[0].splitlines()) == STEPS


def test_stopping_and_going_on_is_not_stopping(corpus, tmp_path, capsys):
    """n steps, then n more by the same schedule, with LoRA over a frozen base."""

    def make(name):
        arguments = make_arguments(corpus, tmp_path / name, steps=10)
        run = dataclasses.replace(arguments["run"], trainable=("projector/.*", ".*/lora_.*"))
        return {**arguments, "run": run, "model": dataclasses.replace(MODEL, lora_rank=2)}

    whole = train(**make("whole"))
    first = train(**make("parts"))
    # as after a kill: the last checkpoint never came to be
    (first / "checkpoints" / "10").rename(first / "checkpoints" / "10.orbax-checkpoint-tmp-0")
    assert train(**make("parts")) == first
    assert "at step 5, batch 5" in capsys.readouterr().out
    assert_same_runs(first, whole)
    train(**make("parts"))
    assert "is trained to step 10 of 10: nothing to do" in capsys.readouterr().out


def test_a_begun_run_goes_on_by_its_own_plan_only(corpus, tmp_path):
    arguments = make_arguments(corpus, tmp_path / "run", steps=3)
    train(**arguments)
    longer = {**arguments, "run": dataclasses.replace(arguments["run"], steps=4)}
    other = change_data(arguments["data"], rates={"sift.open_ended.*": 1.0})
    with pytest.raises(
        CheckpointError, match="was trained by the plan 3-[0-9a-f]{16}, and this config plans"
    ):
        train(**{**longer, "data": other})
    # nor is a run that has all its steps said to be trained by another plan
    with pytest.raises(
        CheckpointError, match="was trained by the plan 3-[0-9a-f]{16}, and this config plans"
    ):
        train(**{**arguments, "data": dataclasses.replace(arguments["data"], seed=8)})
    # how many threads read is not part of it
    train(**{**longer, "data": dataclasses.replace(arguments["data"], readers=2)})


def test_a_run_of_an_older_plan_says_how_its_weights_go_on(tmp_path):
    """Whose batches are drawn no more."""
    for saved in ("df9e4a78e2a1eac0", None, "1-df9e4a78e2a1eac0"):
        with pytest.raises(CheckpointError) as error:
            check_plan(Path("runs/a"), saved, "2-f78a5334ac7f3357")
        said = str(error.value)
        assert "of an older version" in said and "\n" not in said
        assert said.endswith(
            "--gin.RunConfig.out_dir=runs/a_2 --gin.Sources.run=runs/a --gin.Sources.step=None"
        )
    check_plan(Path("runs/a"), "2-f78a5334ac7f3357", "2-f78a5334ac7f3357")


def test_a_run_keeps_the_config_that_it_was_trained_by(corpus, tmp_path, capsys):
    arguments = make_arguments(corpus, tmp_path / "run", steps=3)
    train(**arguments, launch=Launch(config_text="A = 1"))
    train(**arguments, launch=Launch(config_text="A = 1"))
    assert capsys.readouterr().out.endswith(
        f"\n{tmp_path}/run is trained to step 3 of 3: nothing to do\n"
    )
    train(**arguments, launch=Launch(config_text="A = 2"))
    said = capsys.readouterr().out
    assert (
        f"not the one that it was trained by ({tmp_path}/run/config.gin): A 1 → 2; delete it"
        in said
    )
    other = dataclasses.replace(arguments["data"], seed=8)
    with pytest.raises(CheckpointError):
        run = dataclasses.replace(arguments["run"], steps=4)
        train(**{**arguments, "data": other, "run": run}, launch=Launch(config_text="A = 3"))
    assert (tmp_path / "run" / "config.gin").read_text() == "A = 1"


def test_a_begun_run_goes_on_with_its_own_records_only(corpus, tmp_path):
    records = tmp_path / "records"
    shutil.copytree(corpus.records, records)
    arguments = make_run(
        corpus, tmp_path / "run", steps=3, dev_batches=0, data={"records": str(records)}
    )
    train(**arguments)
    train(
        **{**arguments, "data": dataclasses.replace(arguments["data"], records=str(corpus.records))}
    )
    (records / "sift_en" / "digest").write_text("of records that were made again")
    message = (
        r"trained on other records than .*records now holds \(their digest is \w{12} there and "
        r"\w{12} here"
    )
    with pytest.raises(CheckpointError, match=message):
        train(**arguments)


def test_a_begun_run_goes_on_with_its_own_tokenizer_only(corpus, trained_run, tmp_path):
    run, folder = shutil.copytree(trained_run, tmp_path / "run"), tmp_path / "tokenizer"
    SpeechTokenizer(corpus.tokenizer).save(folder)
    arguments = make_run(corpus, run, steps=7, dev_batches=0, data={"tokenizer": str(folder)})
    kept = (run / "tokenizer" / "tokenizer.json").read_text()
    # the same vocabulary, two words of it exchanged
    tokens = json.loads((folder / "tokenizer.json").read_text())
    vocab = tokens["model"]["vocab"]
    one, two = [word for word in vocab if len(word) == 1][:2]
    vocab[one], vocab[two] = vocab[two], vocab[one]
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    message = (
        r"a run whose tokenizer/tokenizer.json has the SHA-256 \w{12}, that of .*tokenizer has "
        r"\w{12}; choose"
    )
    with pytest.raises(CheckpointError, match=message):
        train(**arguments)
    assert (run / "tokenizer" / "tokenizer.json").read_text() == kept and not (
        run / "tokenizer.part"
    ).exists()


def test_all_processes_must_have_one_plan(corpus, tmp_path, monkeypatch):
    """Each plans for itself: with another tokenizer or module on one machine the rows would be of
    different batches."""
    seen = {}
    monkeypatch.setattr(loop, "check_same", lambda what, value, remedy: seen.update({what: value}))
    arguments = make_run(corpus, tmp_path / "run", steps=3, dev_batches=0)
    train(**arguments)
    geometry = make_geometry(make_model_config(MODEL))
    stream = BatchStream(arguments["data"], geometry, split="train", is_endless=True)
    assert seen["the plan"] == stream.plan.fingerprint
