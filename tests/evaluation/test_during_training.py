"""Evaluation sets on a run's way: what they show, and that the run is the one it would be without
them."""

import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from zlib import crc32

import jax
import numpy as np
import pytest
from resolve_configs import CONFIGS
from tiny_evaluation import WARM, make_suite
from tiny_run import make_run, write_gin

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.cli import ConfigError, build_arguments
from sift_jax.decoding.sampling import GREEDY
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.evaluation.during_training import EvaluationSets
from sift_jax.evaluation.model_inputs import ClipReader
from sift_jax.evaluation.scores.schema import EvaluationError, read_predictions
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.pretrained import Model
from sift_jax.training.compile_counter import EVENT
from sift_jax.training.logged_samples import write_table
from sift_jax.training.loop import train

PART = ("sift_jax.evaluation.during_training:EvaluationSets",)
GREEDY_OF_6 = dataclasses.replace(GREEDY, max_new_tokens=6)
FILES = ["configs/quickstart/stage2.gin", "configs/evaluating.gin"]
SAID = re.compile(
    r"evaluated in \d+\.\d s: evalsift/closed_ended/judge_closed [\d.]+ \(n 8\), "
    r"evalsift/open_ended/"
)


def make_sets(corpus, **changes):
    sets = EvaluationSets(
        suites=(make_suite(corpus.root, limit=1),),
        decoding=WARM,
        every=2,
        rows=3,
        most_clips=0,
        long_audio="set_aside",
        seed=0,
    )
    return dataclasses.replace(sets, **changes)


def read_figures(run_dir):
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "eval/seconds" in line]


@pytest.fixture(scope="module")
def evaluated(corpus, tmp_path_factory):
    """The run of conftest.py's trained_run, evaluated at 4 and, because it ends there, at 6."""
    arguments = make_run(corpus, tmp_path_factory.mktemp("runs") / "tiny")
    return train(**arguments, evaluator=make_sets(corpus, every=4))


def test_a_run_is_the_one_that_it_would_be_alone(evaluated, trained_run):
    (_, step, found), (_, _, expected) = load_params(evaluated), load_params(trained_run)
    assert step == 6
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert (evaluated / "batches.jsonl").read_text() == (trained_run / "batches.jsonl").read_text()


def test_figures_and_answers_are_there_at_their_steps(evaluated):
    lines = read_figures(evaluated)
    assert [line["step"] for line in lines] == [4, 6]
    for line in lines:
        answers = list(
            read_predictions(evaluated / "evaluations" / "evalsift" / f"{line['step']}.jsonl")
        )
        assert len(answers) == 10 and len({one.item.subset for one in answers}) == 5
        assert line["eval/evalsift/closed_ended/judge_closed_n"] == 8
        assert (
            0 <= line["eval/evalsift/closed_ended/judge_closed"] <= 1 and line["eval/seconds"] > 0
        )
        assert line["eval/evalsift/closed_ended/word_align/judge_closed_n"] == 2


def test_the_answers_are_those_of_the_checkpoint(evaluated):
    assert_answers_are_of_the_checkpoint(evaluated, 6, WARM)


def assert_answers_are_of_the_checkpoint(run_dir, step, decoding):
    """What `evaluate` would get of the parameters that were saved at that step."""
    model = Model.load(run_dir, step)
    answers = list(read_predictions(run_dir / "evaluations" / "evalsift" / f"{step}.jsonl"))
    assert len(answers) == 10
    reader, speaker = (
        ClipReader(model.config.encoder.window_seconds, "set_aside"),
        TextGenerator(model, rows=3),
    )
    # drawn by the item, whoever is asked beside it
    for one in answers:
        prompt = make_prompt(model, list(one.item.messages), reader)
        assert speaker.answer_batch(
            [prompt], decoding, seed=0, draws=[crc32(one.item.id.encode())]
        ) == [one.answer]


def test_a_run_that_goes_on_repeats_and_skips_nothing(corpus, evaluated, tmp_path):
    run_dir = tmp_path / "tiny"
    shutil.copytree(evaluated, run_dir)
    # as after a kill: the last checkpoint never came to be; the one of step 3 is before both
    # evaluations
    (run_dir / "checkpoints" / "6").rename(run_dir / "checkpoints" / "6.orbax-checkpoint-tmp-0")
    train(**make_run(corpus, run_dir), evaluator=make_sets(corpus, every=4))
    found, expected = (
        [{**x, "eval/seconds": 0} for x in read_figures(each)] for each in (run_dir, evaluated)
    )
    assert found == expected
    for step in (4, 6):
        name = f"evaluations/evalsift/{step}.jsonl"
        assert (run_dir / name).read_text() == (evaluated / name).read_text()


def test_audio_is_read_once_and_programs_are_compiled_once(
    corpus, trained_run, tmp_path, monkeypatch
):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    # a listener that hears nothing would prove nothing
    jax.jit(lambda x: x - 4711)(1)
    assert EVENT in compiled
    model = Model.load(trained_run)
    mesh = jax.make_mesh(
        (1, 1, 1),
        ("data", "fsdp", "tensor"),
        devices=jax.devices()[:1],
        axis_types=(jax.sharding.AxisType.Auto,) * 3,
    )
    ask = make_sets(corpus).open(model.config, model.tokenizer, mesh, tmp_path)
    assert ask(1, model.params, False) is None and not list(tmp_path.iterdir())
    ask(2, model.params, False)
    later = jax.tree.map(lambda x: 1.5 * x, model.params)
    monkeypatch.setattr(ClipReader, "__call__", None)
    monkeypatch.setattr(ClipReader, "_read", None)
    compiled.clear()
    found = ask(4, later, False)
    line = found.line
    # whether all rows are done is asked only where answers end early
    assert compiled.count(EVENT) <= 1
    assert SAID.match(line), line
    answers = [
        (tmp_path / "evaluations" / "evalsift" / f"{step}.jsonl").read_text() for step in (2, 4)
    ]
    assert answers[0] != answers[1]


def test_answers_are_shown_beside_references_over_the_steps(corpus, trained_run, tmp_path):
    model = Model.load(trained_run)
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    ask = make_sets(corpus).open(model.config, model.tokenizer, mesh, tmp_path)
    first = ask(2, model.params, False).samples
    later = ask(4, jax.tree.map(lambda x: 1.5 * x, model.params), False).samples
    # recordings do not change
    assert first.audios and not later.audios and set(first.texts) == set(later.texts)
    assert {name.rpartition("/")[0] for name in first.texts} == {
        re.sub(r"/recording(_\d)?$", "", name) for name in first.audios
    }
    (tmp_path / "evaluations" / "evalsift" / "9.jsonl").write_text("")
    by_step = {
        step: {one.item.id: one for one in read_predictions(answers_path(tmp_path, step))}
        for step in (2, 4)
    }
    one = next(iter(by_step[4].values()))
    text = next(text for text in later.texts.values() if write_row("question", one) in text)
    rows = text.splitlines()[2:]
    assert rows == [
        write_row("question", one),
        write_row("reference", one),
        write_row("step 2", by_step[2][one.item.id]),
        write_row("step 4", one),
    ]


def answers_path(run_dir, step):
    return run_dir / "evaluations" / "evalsift" / f"{step}.jsonl"


def write_row(name, prediction):
    said = {"question": prediction.item.question, "reference": prediction.item.references[0]}
    return write_table([(name, said.get(name, prediction.answer))]).splitlines()[-1]


def test_a_set_that_is_not_there_stops_a_run_before_its_first_step(corpus, tmp_path):
    gone = make_suite(tmp_path / "gone", limit=1)
    with pytest.raises(EvaluationError, match=r"gone.*") as error:
        train(**make_run(corpus, tmp_path / "run"), evaluator=make_sets(corpus, suites=(gone,)))
    assert "\n" not in str(error.value) and not (tmp_path / "run" / "batches.jsonl").exists()
    assert not (tmp_path / "run" / "checkpoints").exists() or not list(
        (tmp_path / "run" / "checkpoints").iterdir()
    )


def test_what_bounds_the_time_must_be_there(corpus):
    with pytest.raises(
        EvaluationError,
        match="evaluation set evalsift has no limit; set SuiteConfig.limit to a few",
    ):
        make_sets(corpus, suites=(make_suite(corpus.root, limit=0),))
    with pytest.raises(ValueError, match="EvaluationSets.every is 0; give 1 or more"):
        make_sets(corpus, every=0)


def test_gin_lays_sets_over_a_run():
    bindings = ["EVAL_EVERY = 50", "EVAL_LANGUAGES = ('en',)"]
    sets = build_arguments(train, FILES, bindings, PART)["evaluator"]
    assert (
        sets.every == 50 and sets.suites[0].languages == ("en",) and sets.decoding.temperature == 0
    )
    two = [
        "EvaluationSets.suites = (@SuiteConfig(), @asr/SuiteConfig())",
        "asr/SuiteConfig.name = 'librispeech'",
        "asr/SuiteConfig.root = 'data/LibriSpeech'",
    ]
    sets = build_arguments(train, FILES, two, PART)["evaluator"]
    assert [suite.name for suite in sets.suites] == ["evalsift", "librispeech"]
    assert (
        sets.suites[1].limit == sets.suites[0].limit and sets.suites[1].root != sets.suites[0].root
    )
    assert "evaluator" not in build_arguments(train, FILES[:1], [], PART)
    with pytest.raises(ConfigError, match="SuiteConfig.root = 3 is not a str"):
        build_arguments(train, FILES, ["EVAL_ROOT = 3"], PART)


@pytest.mark.slow
def test_two_processes_answer_together(corpus, tmp_path):
    """Each device has half of every parameter, and half of the questions."""
    arguments = make_run(corpus, tmp_path / "run", steps=4)
    arguments["mesh"] = MeshConfig(data=1, fsdp=-1, tensor=1)
    gin_file, add_on = write_gin(tmp_path / "run.gin", arguments), CONFIGS / "evaluating.gin"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "sift_jax.train",
        f"--gin_file={gin_file}",
        f"--gin_file={add_on}",
        "--gin.EVAL_EVERY=2",
        f"--gin.EVAL_ROOT={corpus.root}",
        "--gin.EVAL_LIMIT=1",
        "--gin.EVAL_LANGUAGES=('de', 'en')",
        "--gin.EVAL_ROWS=3",
        "--gin.EVAL_MAX_NEW_TOKENS=6",
        f"--coordinator=127.0.0.1:{port}",
        "--processes=2",
    ]
    started = [
        subprocess.Popen(
            [*command, f"--process_index={i}"],
            cwd=CONFIGS.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
            text=True,
        )
        for i in range(2)
    ]
    try:
        for process in started:
            said, _ = process.communicate(timeout=240)
            assert process.returncode == 0, said[-3000:]
    finally:
        for process in started:
            process.kill()
    assert [line["step"] for line in read_figures(tmp_path / "run")] == [2, 4]
    assert_answers_are_of_the_checkpoint(tmp_path / "run", 4, GREEDY_OF_6)
