"""Pairs of a model's own answers: made, counted, resumed, and trained on."""

import dataclasses
import json
import types

import numpy as np
import pytest
from tiny_model import MODEL
from tiny_run import make_data, make_run

from sift_jax.audio.files import read_audio
from sift_jax.data.records.pair_files import read_pairs
from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.launch import Launch
from sift_jax.parallel.mesh import MeshConfig
from sift_jax.rewarding.config import PairsConfig
from sift_jax.rewarding.make_pairs import make_pairs
from sift_jax.rewarding.rewards import RewardError
from sift_jax.training.loop import train
from sift_jax.training.preference import DpoConfig

JUDGE = JudgeConfig(
    name="offline",
    url="",
    model="",
    key_variable="NO_KEY",
    concurrency=1,
    seconds=1.0,
    patience=0.0,
    tries=1,
    max_tokens=16,
    longest_text=1000,
    use_system_role=True,
    extra={},
    planted=0,
    planted_threshold=0.9,
)
RATES = {"sift.closed_ended.*.en": 0.7, "sift.open_ended.en": 0.3}


def odd_letters(rollout):
    """A reward that answers of a model that knows nothing differ by."""
    return float(sum(map(ord, rollout.answer)) % 2)


def launch(function=odd_letters):
    module = types.ModuleType("my_rewards")
    function.__module__, function.__name__ = "my_rewards", "mine"
    module.mine = function
    return Launch(modules=(module,))


def make_arguments(corpus, checkpoint, out_dir, *, data=None, **changes):
    run = PairsConfig(
        checkpoint=str(checkpoint),
        step=None,
        out_dir=str(out_dir),
        split="train",
        questions=7,
        answers=4,
        max_new_tokens=16,
        temperature=1.0,
        margin=0.5,
        rewards={"my_rewards.mine": 1.0},
        seconds=20.0,
        most_failed=0.5,
    )
    wanted = {"questions_per_record": 1, "rates": RATES, **(data or {})}
    return {
        "run": dataclasses.replace(run, **changes),
        "data": make_data(corpus, **wanted),
        "mesh": MeshConfig(data=-1, fsdp=1, tensor=1),
        "judge": JUDGE,
    }


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def speaker(corpus, tmp_path_factory):
    """A model that has learnt how answers end, and not what is right."""
    run = make_run(
        corpus,
        tmp_path_factory.mktemp("speaker") / "run",
        data={"rates": RATES, "clip_seconds": (2.0,)},
        steps=40,
        log_every=20,
        dev_batches=0,
        checkpoint_every=40,
    )
    return train(**run)


@pytest.fixture(scope="module")
def made(corpus, speaker, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "pairs"
    return make_pairs(**make_arguments(corpus, speaker, out), launch=launch())


def test_the_best_and_the_worst_answer_become_a_pair(made):
    lines, pairs = read_lines(made / "answers_train.jsonl"), read_lines(made / "train.jsonl")
    report = json.loads((made / "report_train.json").read_text())
    assert len(lines) == report["questions"] == 7
    assert report["pairs"] == len(pairs) == sum(line["pair"] is not None for line in lines)
    assert report["pairs"] + sum(report["no_pair"].values()) == 7 and pairs
    # each question once
    assert len({line["item"] for line in lines}) == 7
    for line in lines:
        assert len(line["answers"]) == 4
        if line["pair"]:
            totals = {
                answer["text"]: answer["parts"]["my_rewards.mine"] for answer in line["answers"]
            }
            pair = line["pair"]
            assert totals[pair["chosen"]] == 1.0 and totals[pair["rejected"]] == 0.0
            assert pair["margin"] == 1.0
        else:
            assert line["reason"]


def test_the_file_reads_as_one_that_a_person_wrote(made, corpus):
    known = [read_audio(path) for path in sorted(corpus.audio.glob("train_en_*"))]
    for pair, line in zip(
        read_pairs(made / "train.jsonl"), read_lines(made / "train.jsonl"), strict=True
    ):
        (message,) = pair.question
        assert line["language"] == "en" and pair.audio
        assert [part.get("text") for part in message["content"] if "text" in part]
        for path in pair.audio:
            heard = read_audio(path)
            assert any(len(heard) == len(x) and np.allclose(heard, x, atol=1e-3) for x in known)


def test_the_prompt_is_that_of_training(made, corpus, tokenizer):
    """A question that stands before its recording in the records does so in the pair."""
    texts = {line["question"] for line in read_lines(made / "train.jsonl")}
    assert texts <= {
        "<audio>Is it loud?",
        "<audio>What is this?",
        "What is this?<audio>",
        "<audio>Which one is louder?",
        "<audio><audio>Which one is louder?",
    }


def test_a_call_that_was_killed_goes_on(made, corpus, speaker, tmp_path):
    arguments = make_arguments(corpus, speaker, tmp_path / "pairs")
    stopped = dataclasses.replace(arguments["run"], questions=4)
    make_pairs(**{**arguments, "run": stopped}, launch=launch())
    journal = tmp_path / "pairs" / "answers_train.jsonl"
    # as a kill leaves it: half of a step, and half of a line
    whole, torn = (made / "answers_train.jsonl").read_text().splitlines(keepends=True)[4:6]
    journal.write_text(journal.read_text() + whole + torn[:-30])
    make_pairs(**arguments, launch=launch())
    for name in ("train.jsonl", "answers_train.jsonl", "report_train.json"):
        assert (tmp_path / "pairs" / name).read_text() == (made / name).read_text()
    # all is done: nothing is answered again
    make_pairs(**arguments, launch=launch())
    assert (tmp_path / "pairs" / "train.jsonl").read_text() == (made / "train.jsonl").read_text()


def test_answers_of_another_command_are_refused(made, corpus, speaker):
    arguments = make_arguments(corpus, speaker, made, temperature=0.5)
    with pytest.raises(ValueError, match=r"made with temperature = 1.0, .*choose another OUT_DIR"):
        make_pairs(**arguments, launch=launch())


def test_rewards_that_fail_end_it(corpus, speaker, tmp_path):
    def breaks(rollout):
        raise OSError("no model")

    with pytest.raises(RewardError, match=r"of 8 answers failed.*no model"):
        make_pairs(**make_arguments(corpus, speaker, tmp_path / "pairs"), launch=launch(breaks))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"questions_per_record": 2}}, "set QUESTIONS = 1"),
        ({"rewards": {"lable": 1.0}}, "no reward 'lable'"),
    ],
)
def test_what_does_not_fit_is_refused(corpus, speaker, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        make_pairs(**make_arguments(corpus, speaker, tmp_path / "pairs", **changes))


def test_a_judge_scores_them(corpus, speaker, tmp_path):
    arguments = make_arguments(
        corpus, speaker, tmp_path / "pairs", rewards={"judge": 1.0}, questions=2
    )
    make_pairs(**arguments)
    for line in read_lines(tmp_path / "pairs" / "answers_train.jsonl"):
        assert all(0.0 <= answer["parts"]["judge"] <= 1.0 for answer in line["answers"])


def test_what_was_made_is_trained_on(made, corpus, tmp_path):
    arguments = make_run(
        corpus,
        tmp_path / "run",
        model=dataclasses.replace(MODEL, lora_rank=2),
        data={
            "records": str(made),
            "rates": {"pairs": 1.0},
            "questions_per_record": 1,
        },
        steps=3,
        trainable=(".*/lora_.*",),
        log_every=1,
        dev_batches=0,
        checkpoint_every=3,
    )
    train(**arguments, dpo=DpoConfig(beta=0.1, is_length_normalized=False))
    line = read_lines(tmp_path / "run" / "metrics.jsonl")[0]
    assert line["loss"] == pytest.approx(np.log(2), abs=1e-4)
