"""A run of rewards, whole: rollouts, updates, log, page; stopped, it goes on bit for bit."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_model import MODEL
from tiny_run import make_run

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.launch import Launch
from sift_jax.rewarding.config import GrpoConfig, RewardConfig
from sift_jax.rewarding.loop import reinforce
from sift_jax.rewarding.rewards import RewardError

ROOT = Path(__file__).parent.parent.parent
GRPO = GrpoConfig(
    rollouts=3, max_new_tokens=6, temperature=1.0, updates=2, clip=0.2, kl_weight=0.05
)
REWARDS = RewardConfig(
    parts={"length:2": 1.0, "label": 0.5},
    seconds=20.0,
    most_failed=0.5,
    page_every=2,
    page_groups=2,
)
CONFIGS = {"grpo": GRPO, "rewards": REWARDS}


def make_arguments(corpus, out_dir, *, steps=4, data=None, **changes):
    wanted = {"questions_per_record": 1, **(data or {})}
    arguments = make_run(
        corpus,
        out_dir,
        model=dataclasses.replace(MODEL, lora_rank=2),
        data=wanted,
        steps=steps,
        trainable=(".*/lora_.*",),
        log_every=1,
        checkpoint_every=2,
        dev_batches=0,
    )
    return {**arguments, **CONFIGS, **changes}


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_same(found, expected):
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(load_params(found)[2]),
        jax.tree.leaves(load_params(expected)[2]),
        strict=True,
    ):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y), jax.tree_util.keystr(path))
    texts = [(run / "rollouts.jsonl").read_text() for run in (found, expected)]
    assert texts[0] == texts[1] and texts[0]


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    return reinforce(**make_arguments(corpus, tmp_path_factory.mktemp("grpo") / "run"))


def test_a_step_is_prompts_with_their_rollouts(whole):
    lines = read_lines(whole / "rollouts.jsonl")
    assert len(lines) == 4 * 2 * 3
    for start in range(0, len(lines), 3):
        group = lines[start : start + 3]
        assert len({(line["step"], line["item"], line["prompt"]) for line in group}) == 1
        used = [line["advantage"] for line in group if line["is_used"]]
        assert abs(sum(used)) < 1e-4
        for line in group:
            parts = line["parts"]
            expected = parts["length:2"] + 0.5 * parts["label"]
            assert line["reward"] == pytest.approx(expected)
            assert line["tokens"] <= 6 and (line["end"] == "limit") == (
                line["tokens"] == 6 and line["end"] != "stop"
            )
    told = read_lines(whole / "metrics.jsonl")
    assert [line["step"] for line in told] == [1, 2, 3, 4]
    wanted = {"reward", "reward/label", "kl", "policy", "clipped", "at_limit_share", "flat_groups"}
    assert all(wanted <= set(line) for line in told)


def test_its_pages_show_rollouts(whole):
    assert sorted(path.name for path in (whole / "rollouts").iterdir()) == [
        "step2.html",
        "step4.html",
    ]
    page = (whole / "rollouts" / "step4.html").read_text(encoding="utf-8")
    assert "length:2" in page and "<audio" in page and "Advantage" in page


def test_two_steps_and_two_more_are_four(corpus, whole, tmp_path):
    reinforce(**make_arguments(corpus, tmp_path / "run"))
    # as after a kill: the last checkpoint never came to be, and a line is torn
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "4")
    log = tmp_path / "run" / "rollouts.jsonl"
    log.write_text(log.read_text()[:-20])
    reinforce(**make_arguments(corpus, tmp_path / "run"))
    assert_same(tmp_path / "run", whole)
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 4


def make_module(function):
    module = types.ModuleType("my_rewards")
    function.__module__, function.__name__ = "my_rewards", "mine"
    module.mine = function
    return Launch(modules=(module,))


def test_a_run_goes_on_past_rewards_that_fail_now_and_then(corpus, tmp_path):
    calls = []

    def mine(rollout):
        calls.append(rollout)
        return float("nan") if len(calls) % 5 == 0 else len(calls) % 3

    rewards = dataclasses.replace(REWARDS, parts={"my_rewards.mine": 1.0})
    arguments = make_arguments(corpus, tmp_path / "run", steps=2, rewards=rewards)
    reinforce(**arguments, launch=make_module(mine))
    lines = read_lines(tmp_path / "run" / "rollouts.jsonl")
    failed = [line for line in lines if line["failures"]]
    assert len(failed) == len(lines) // 5 and all(line["reward"] is None for line in failed)
    assert not any(line["is_used"] for line in failed)
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[0]["failed_share"] == pytest.approx(
        1 / 6, abs=1e-5
    )


def test_a_run_whose_rewards_fail_ends_with_a_status(corpus, tmp_path):
    def mine(rollout):
        raise OSError("no model")

    rewards = dataclasses.replace(REWARDS, parts={"my_rewards.mine": 1.0})
    arguments = make_arguments(corpus, tmp_path / "run", rewards=rewards)
    with pytest.raises(RewardError, match=r"of 6 of the last 6 rollouts failed.*no model") as found:
        reinforce(**arguments, launch=make_module(mine))
    assert found.value.exit_code == 2
    assert len(read_lines(tmp_path / "run" / "rollouts.jsonl")) == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"questions_per_record": 2}}, "set QUESTIONS = 1"),
        ({"data": {"targets": 17}}, "are 18 targets of a row"),
        ({"data": {"tokens": 20}}, "leave no room for a prompt"),
        (
            {"rewards": dataclasses.replace(REWARDS, parts={"lable": 1.0})},
            "no reward 'lable'; ours are label",
        ),
    ],
)
def test_what_does_not_fit_is_refused(corpus, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        reinforce(**make_arguments(corpus, tmp_path / "run", **changes))


def start(corpus, folder, name, log, *flags, steps=12):
    """The command, with a reward of a module that it imports."""
    (folder / "my_rewards.py").write_text(
        "def mine(rollout):\n    return len(rollout.answer) % 3\n"
    )
    rewards = dataclasses.replace(REWARDS, parts={"my_rewards.mine": 1.0})
    arguments = make_arguments(corpus, folder / name, steps=steps, rewards=rewards)
    gin = ["include 'configs/grpo/run.gin'", "DataConfig.mixture = @MixtureConfig()"]
    for config in [*arguments.values(), arguments["data"].mixture]:
        for field in dataclasses.fields(config):
            if field.name != "mixture":
                value = getattr(config, field.name)
                gin.append(f"{type(config).__name__}.{field.name} = {value!r}")
    (folder / f"{name}.gin").write_text("\n".join(gin) + "\n")
    command = [sys.executable, "-m", "sift_jax.reward", "--module_import=my_rewards", *flags]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
    return subprocess.Popen(
        [*command, f"--gin_file={folder / name}.gin"],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(corpus, tmp_path):
    with (tmp_path / "log").open("w") as log:
        whole = start(corpus, tmp_path, "whole", log)
        assert whole.wait(timeout=900) == 0, (tmp_path / "log").read_text()
        process, deadline = start(corpus, tmp_path, "killed", log), time.monotonic() + 900
        saved = tmp_path / "killed" / "checkpoints" / "4"
        while not saved.is_dir() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
        again = start(corpus, tmp_path, "killed", log)
        assert again.wait(timeout=900) == 0, (tmp_path / "log").read_text()
    assert "resuming" in (tmp_path / "log").read_text()
    assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
def test_two_devices_draw_what_one_draws(corpus, tmp_path):
    """Rows of prompts, their rollouts and their updates lie on both."""
    for name, devices in (("one", 1), ("two", 2)):
        with (tmp_path / f"log{devices}").open("w") as log:
            process = start(corpus, tmp_path, name, log, f"--virtual_devices={devices}", steps=2)
            assert process.wait(timeout=900) == 0, (tmp_path / f"log{devices}").read_text()
    found = [read_lines(tmp_path / name / "rollouts.jsonl") for name in ("one", "two")]
    drawn = [
        [(line["item"], line["answer"]) for line in each if line["step"] == 1] for each in found
    ]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 6
    losses = [read_lines(tmp_path / name / "metrics.jsonl")[0] for name in ("one", "two")]
    for figure in ("loss", "kl", "policy", "grad_norm"):
        assert losses[0][figure] == pytest.approx(losses[1][figure], rel=1e-3, abs=1e-5)
