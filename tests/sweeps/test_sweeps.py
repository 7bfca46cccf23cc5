"""Sweeps: what they run and what they keep; and the small one of SALM's paper, in a gate's
size."""

import json
import os
import subprocess
import sys
import time

import pytest

from sift_jax.cli import build_arguments
from sift_jax.sweeps.plan import Chain, Job
from sift_jax.sweeps.run import SweepError, run_stage, sweep

SMALL = "configs/sweeps/small/salm.gin"


def make_job(name: str, code: str) -> Job:
    return Job(name=name, command=("python", "-c", code))


def test_jobs_are_done_once_and_failures_are_named(tmp_path):
    touch = f"open({str(tmp_path / 'calls')!r}, 'a').write('x')"
    chains = [
        Chain(jobs=(make_job("a", touch), make_job("b", touch)), run=("arm", 0)),
        Chain(jobs=(make_job("c", "import sys; print('no oil'); sys.exit(3)"),)),
    ]
    finished = []
    for _ in range(2):
        with pytest.raises(SweepError, match=r"c ended with status 3: no oil; see .*logs/c.log"):
            run_stage(chains, tmp_path, 1, {}, lambda chain: finished.append(chain.run))
    assert (tmp_path / "calls").read_text() == "xx" and finished == [("arm", 0)] * 2
    # the command is another, or what it is given by its gin files is
    for job, digests in ((make_job("a", "pass"), {}), (make_job("a", touch), {"a.": "other"})):
        with pytest.raises(SweepError, match="a was done by another command, config or version"):
            run_stage([Chain(jobs=(job,))], tmp_path, 2, digests)


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
        f"RESULTS_DIR = {str(tmp_path / 'out' / 'results')!r}",
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
    results = json.loads((tmp_path / "out" / "results" / "results.json").read_text())
    assert set(results["arms"]) == {"llm", "llm_wer20"}
    assert set(results["arms"]["llm"]) == {"speech_msmarco", "spokenqa_ls"}
    assert abs(results["curve"]["places"]["llm_wer20"] - 20) < 5
    assert [asked["second"] for asked in results["differences"]] == ["llm_wer20"]
    assert (
        "How far the word error rate matters"
        in (tmp_path / "out" / "results" / "report.md").read_text()
    )
    assert len(list((tmp_path / "out" / "done").iterdir())) == 5


def test_a_sweep_that_is_told_to_stop_says_that_it_goes_on(tmp_path):
    out = tmp_path / "out"
    flags = {
        "OUT_DIR": str(out),
        "RESULTS_DIR": str(tmp_path / "results"),
        "ARMS": ("default",),
        "PREPARE": ("python -c 'import time; print(1, flush=True); time.sleep(100)'",),
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sift_jax.sweep",
            "--gin_file=configs/sweeps/small/ablations.gin",
            *(f"--gin.{name}={value!r}" for name, value in flags.items()),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = out / "logs" / "prepare.0.log"
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.read_text().strip()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    process.terminate()
    said, error = process.communicate(timeout=30)
    assert process.returncode == 75, error
    assert "0 of 3 runs have results" in said
    assert error.splitlines()[-1].startswith("stopped as asked: what is finished is kept")


def test_a_stopped_sweep_stops_its_processes(tmp_path):
    """SIGTERM to the sweep alone: what it started does not go on by itself."""
    code = (
        "import signal, sys; from pathlib import Path; from sift_jax.sweeps.run import "
        "run_stage; from sift_jax.sweeps.plan import Chain, Job; signal.signal(signal.SIGTERM, "
        "signal.default_int_handler); child = 'import os, time; print(os.getpid(), flush=True); "
        "time.sleep(100)'; run_stage([Chain(jobs=(Job(name='a', command=('python', '-c', child)),))], "
        f"Path({str(tmp_path)!r}), 1, {{}})"
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
