"""The ablations at small scale, in a gate's size: from nothing to the tables, by the commands that the
large sweep is made of; stopped, continued, and continued where nothing but results is left."""

import json
import shutil
from pathlib import Path

import pytest

from sift_jax.cli import build_arguments
from sift_jax.sweeps.run import sweep

ROOT = Path(__file__).parents[2]
SWEEP = "configs/sweeps/small/ablations.gin"
RUN = {
    "RECORDS": "{out}/data/build/records",
    "TOKENIZER": "{out}/data/tokenizer",
    "START_RUN": "{out}/runs/name.{seed}",
    "STEPS": 2,
    "WARMUP_STEPS": 1,
    "BATCH_ROWS": 2,
    "START_STEP": 2,
}


def shrink(tmp_path, results, **changes):
    """The bindings of a sweep of few recordings and steps."""
    arguments = build_arguments(sweep, [SWEEP], [])
    run = arguments["run"]
    prepare = tuple(
        line.replace("--train=1000", "--train=12 --dev=2 --evaluation=4 --evaluation_rows=4")
        .replace("--train=1 ", "--train=1 --dev=2 --evaluation=4 --evaluation_rows=4 ")
        .replace("--hours=0.25", "--hours=0.005")
        .replace("--size=4096", "--size=600")
        for line in run.prepare
    )
    starts = {
        name: {**given, "STEPS": 2, "WARMUP_STEPS": 1, "BATCH_ROWS": 2, "CHECKPOINT_EVERY": 2}
        for name, given in run.starts.items()
    }
    given = {
        "OUT_DIR": str(tmp_path / "out"),
        "RESULTS_DIR": str(results),
        "SEEDS": (0,),
        "PARALLEL": 1,
        "PREPARE": prepare,
        "STARTS": starts,
        "SweepConfig.train_bindings": RUN,
        "SweepConfig.evaluate_bindings": {
            **run.evaluate_bindings,
            "MAX_NEW_TOKENS": 4,
            "ROWS": 8,
        },
        "BootstrapConfig.samples": 50,
        **changes,
    }
    return [f"{name} = {value!r}" for name, value in given.items()]


def run_sweep(tmp_path, results, **changes):
    sweep(**build_arguments(sweep, [SWEEP], shrink(tmp_path, results, **changes)))
    return json.loads((results / "results.json").read_text())


def test_the_published_page_is_made_of_the_results_beside_it(tmp_path):
    """python -m sift_jax.sweep --gin_file=configs/sweeps/small/ablations.gin --gin.REPORT_ONLY=True"""
    there = ROOT / "docs/research/results/ablations"
    for path in there.glob("*.[0-9].json"):
        shutil.copy(path, tmp_path)
    given = [f"OUT_DIR = {str(tmp_path / 'out')!r}", f"RESULTS_DIR = {str(tmp_path)!r}"]
    sweep(**build_arguments(sweep, [SWEEP], [*given, "REPORT_ONLY = True"]))
    for name in ("report.md", "report.html", "results.json"):
        assert (tmp_path / name).read_text() == (there / name).read_text(), name


@pytest.mark.slow
def test_the_ablations_in_a_gates_size(tmp_path):
    """Stopped behind its first arm, a sweep goes on with the second; and where all but data and
    results is lost, it makes what the second needs, and nothing of the first."""
    pytest.importorskip("espeakng_loader")
    out, results = tmp_path / "out", tmp_path / "results"
    told = run_sweep(tmp_path, results, ARMS=("default",))
    assert set(told["arms"]) == {"default"} and told["missing"] == []
    parts = json.loads((results / "default.0.json").read_text())["parts"]
    assert {part["suite"] for part in parts} == {"evalsift", "evalsift:unseen"}
    assert {part["language"] for part in parts} == {"en", "de", "fr", "it", "es"}
    assert all(part["majority"] is not None for part in parts)
    first = (results / "default.0.json").read_bytes()
    for name in ("runs", "evaluations"):
        shutil.rmtree(out / name)
    for mark in (*(out / "done").glob("train.*"), *(out / "done").glob("evaluate.*")):
        mark.unlink()
    told = run_sweep(tmp_path, results, ARMS=("default", "hours"))
    assert set(told["arms"]) == {"default", "hours"}
    assert (results / "default.0.json").read_bytes() == first
    assert {path.name for path in (out / "runs").iterdir()} == {"hear.0", "name.0", "hours.0"}
    assert told["columns"]["closed"]["is_measurable"] is False
    assert "not measurable at this size" in (results / "report.md").read_text()
