"""Sweeps: their plan, their bookkeeping, figures and signs, the page; and the small one, in a
gate's size."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from sift_jax.cli import build_arguments
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.sweeps.page import make_document
from sift_jax.sweeps.plan import SweepConfig, list_stages
from sift_jax.sweeps.results import _compare, _describe
from sift_jax.sweeps.run import Job, SweepError, _run_stage, sweep

SMALL = "configs/sweeps/small/salm.gin"
BOOTSTRAP = BootstrapConfig(samples=400, confidence=0.95, seed=0)


def make_plan(**changes) -> SweepConfig:
    given = {
        "out_dir": "o",
        "prepare": ("python -m data_prep.x --out={out}/data {who}",),
        "words": {"who": "--model=a --x"},
        "start_files": ("s.gin",),
        "starts": {"hear": {}, "other": {}},
        "train_files": ("a.gin", "b.gin"),
        "evaluate_files": ("e.gin",),
        "arms": {
            "one": {"RECORDS": "{out}/{arm}"},
            "two": {"RATE": 0.5, "START_RUN": "{out}/runs/other.{first_seed}"},
        },
        "only": (),
        "train_bindings": {"START_RUN": "{out}/runs/hear.{first_seed}"},
        "evaluate_bindings": {"ROOT": "r"},
        "seeds": (3, 4),
        "parallel": 1,
    }
    return SweepConfig(**{**given, **changes})


def test_the_plan_is_ordinary_commands():
    prepare, starts, arms = list_stages(make_plan())
    assert prepare[0][0].command == (
        "python",
        "-m",
        "data_prep.x",
        "--out=o/data",
        "--model=a",
        "--x",
    )
    assert [chain[0].name for chain in starts] == ["train.hear.3", "train.other.3"]
    assert [[job.name for job in chain] for chain in arms][:2] == [
        ["train.one.3", "evaluate.one.3"],
        ["train.two.3", "evaluate.two.3"],
    ]
    assert arms[3][0].command == (
        "python",
        "-m",
        "sift_jax.train",
        "--gin_file=a.gin",
        "--gin_file=b.gin",
        "--gin.OUT_DIR='o/runs/two.4'",
        "--gin.SEED=4",
        "--gin.START_RUN='o/runs/other.3'",
        "--gin.RATE=0.5",
    )
    # of some arms alone, with what they start from
    _, starts, arms = list_stages(make_plan(only=("one",), seeds=(0,)))
    assert [chain[0].name for chain in starts] == ["train.hear.0"] and len(arms) == 1


def test_what_no_sweep_can_be_is_refused():
    for changes, wanted in (
        ({"arms": {}}, "SweepConfig.arms is {}; give 1 or more"),
        ({"only": ("three",)}, "'three'"),
        ({"starts": {"one": {}}}, "both an arm and a start"),
        ({"arms": {"a/b": {}}}, "no name"),
    ):
        with pytest.raises(ValueError, match=wanted):
            make_plan(**changes)
    with pytest.raises(ValueError, match="asks for 'who', and known are out"):
        list_stages(make_plan(words={}))
    run, questions = (build_arguments(sweep, [SMALL], [])[name] for name in ("run", "questions"))
    questions.check(run)
    asked = dataclasses.replace(questions, differences={"x": ("llm", "nobody")})
    with pytest.raises(ValueError, match="'nobody', which is no arm"):
        asked.check(run)


def test_jobs_are_done_once_and_failures_are_named(tmp_path):
    def make(name: str, code: str) -> Job:
        return Job(name=name, command=("python", "-c", code))

    touch = f"open({str(tmp_path / 'calls')!r}, 'a').write('x')"
    chains = [
        [make("a", touch), make("b", touch)],
        [make("c", "import sys; print('no oil'); sys.exit(3)")],
    ]
    for _ in range(2):
        with pytest.raises(SweepError, match=r"c ended with status 3: no oil; see .*logs/c.log"):
            _run_stage(chains, tmp_path, 1)
    assert (tmp_path / "calls").read_text() == "xx"
    with pytest.raises(SweepError, match="a was done by another command"):
        _run_stage([[make("a", "pass")]], tmp_path, 2)


def test_signs_are_those_of_planted_differences():
    rng = np.random.default_rng(0)
    first = np.stack([rng.random((2, 80)), np.ones((2, 80))], axis=-1)
    names = [str(n) for n in range(80)]
    better, same = first.copy(), first.copy()
    better[..., 0] += 0.2 + 0.02 * rng.normal(size=(2, 80))
    same[..., 0] += 0.3 * rng.normal(size=(2, 80))
    found = _compare((names, first), (names[::-1], better[:, ::-1]), BOOTSTRAP, "x")
    assert found["sign"] == 1 and found["low"] < 0.2 < found["high"]
    assert found["difference"] == pytest.approx(0.2, abs=0.02)
    assert _compare((names, better), (names, first), BOOTSTRAP, "x")["sign"] == -1
    assert _compare((names, first), (names, same), BOOTSTRAP, "x")["sign"] == 0
    told = _describe(first, BOOTSTRAP, "x")
    assert told["low"] < told["figure"] < told["high"] and len(told["of_seeds"]) == 2


def test_the_page_has_table_curve_and_signs():
    figure = {"figure": 0.5, "low": 0.4, "high": 0.6, "of_seeds": [0.45, 0.55], "recordings": 9}
    results = {
        "title": "T",
        "metric": "rouge_l",
        "seeds": [0, 1],
        "sets": ["speech_msmarco", "spokenqa_ls"],
        "confidence": 0.95,
        "rows": {"llm": "SpokenQA-LS <b>"},
        "published": {"speech_msmarco": 0.57},
        "curve": {"llm": 0.0, "llm_wer20": 20.1},
        "arms": {
            arm: dict.fromkeys(("speech_msmarco", "spokenqa_ls"), figure)
            for arm in ("llm", "llm_wer20")
        },
        "differences": [
            {
                "question": "q",
                "first": "llm",
                "second": "llm_wer20",
                "sets": dict.fromkeys(
                    ("speech_msmarco", "spokenqa_ls"),
                    {
                        "difference": -0.1,
                        "low": -0.2,
                        "high": -0.01,
                        "sign": -1,
                        "of_seeds": [-0.1],
                    },
                ),
            }
        ],
    }
    document = make_document(results)
    page, text = document.write_html(), document.write_markdown()
    assert (
        "<polyline" in page
        and "<b>" not in page.replace("<b>0", "").replace("<b>-", "")
        and "0.57" in page
    )
    assert (
        "-0.100 worse" in text
        and "0.500 (0.400 … 0.600; seeds 0.450, 0.550)" in text
        and "20.1 %" in text
    )


@pytest.mark.slow
def test_the_small_sweep_in_a_gates_size(tmp_path):
    """From nothing to the page, by the commands that the large one is made of; a second call runs
    nothing."""
    pytest.importorskip("espeakng_loader")
    prepare = (
        "python -m data_prep.synthesis.small --out={out}/data --heard=12 --written=12 "
        "--transcribed=24 --tested=6 --rates=20 --no_asr"
    )
    bindings = [
        f"OUT_DIR = {str(tmp_path / 'out')!r}",
        f"PREPARE = ({prepare!r},)",
        "ARMS = ('llm', 'llm_wer20')",
        "SEEDS = (0,)",
        "PARALLEL = 1",
        "SweepConfig.train_bindings = {'RECORDS': '{out}/data/sets/{arm}/records', 'START_RUN': "
        "None, 'TOKENIZER': '{out}/data/tokenizer', 'STEPS': 2, 'WARMUP_STEPS': 1, 'BATCH_ROWS': "
        "2}",
        "QuestionsConfig.curve = {'llm': 0.0, 'llm_wer20': 'llm_wer20'}",
    ]
    for _ in range(2):
        arguments = build_arguments(sweep, [SMALL], bindings)
        sweep(**arguments)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results["arms"]) == {"llm", "llm_wer20"} and results["sets"] == [
        "speech_msmarco",
        "spokenqa_ls",
    ]
    assert abs(results["curve"]["llm_wer20"] - 20) < 5
    assert [asked["second"] for asked in results["differences"]] == ["llm_wer20"]
    assert "How far the word error rate matters" in (tmp_path / "out" / "report.md").read_text()
    assert len(list((tmp_path / "out" / "done").iterdir())) == 5


def test_a_stopped_sweep_stops_its_processes(tmp_path):
    """SIGTERM to the sweep alone: what it started does not go on by itself."""
    code = (
        "import signal, sys; from pathlib import Path; from sift_jax.sweeps.run import "
        "_run_stage; from sift_jax.sweeps.plan import Job; signal.signal(signal.SIGTERM, "
        "signal.default_int_handler); child = 'import os, time; print(os.getpid(), flush=True); "
        "time.sleep(100)'; _run_stage([[Job(name='a', command=('python', '-c', child))]], "
        f"Path({str(tmp_path)!r}), 1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    log = tmp_path / "logs" / "a.log"
    deadline = time.monotonic() + 60
    while not (log.is_file() and log.read_text().strip()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    child = int(log.read_text())
    process.terminate()
    process.communicate(timeout=30)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert not (tmp_path / "done" / "a.json").exists()
