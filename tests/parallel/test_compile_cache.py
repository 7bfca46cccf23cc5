"""A restart compiles nothing: programs lie beside the run's folder, where the environment names no
other place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_distributed import train_in_processes
from tiny_run import make_run, write_gin

ROOT = Path(__file__).resolve().parents[2]
# as on a pod, by a mesh that says so; prints what was compiled, and what was found
PROGRAM = """
import sys
import jax, jax.numpy as jnp
from sift_jax.parallel import compile_cache
from sift_jax.training.compile_counter import Compilations
compile_cache.is_pod = lambda mesh: sys.argv[2] == "tpu"
print(compile_cache.keep_programs(sys.argv[1], None))
compilations = Compilations()
with compilations.over("a"):
    jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((4, 4)))
print(compilations.made, compilations.found)
"""


def start(out_dir, platform, **environment):
    variables = {**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    variables.pop("JAX_COMPILATION_CACHE_DIR")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out_dir), platform],
        env={**variables, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    where, counts = done.stdout.splitlines()
    return where, [int(count) for count in counts.split()]


def test_a_second_start_finds_what_the_first_compiled(tmp_path):
    where, (made, found) = start(tmp_path / "runs/stage2", "tpu")
    assert where == str(tmp_path / "runs/.compiled") and made > found == 0
    # of another run beside it, too
    assert start(tmp_path / "runs/stage3", "tpu") == (where, [made, made])


def test_the_environment_and_a_laptop_are_left_as_they_are(tmp_path):
    assert start(tmp_path / "runs/stage2", "cpu")[0] == "None"
    elsewhere = str(tmp_path / "elsewhere")
    where, _ = start(tmp_path / "runs/stage2", "tpu", JAX_COMPILATION_CACHE_DIR=elsewhere)
    assert where == "None" and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_two_processes_start_again_and_compile_no_step(corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    run_dir = tmp_path / "runs/tiny"
    gin_file = write_gin(tmp_path / "run.gin", make_run(corpus, run_dir, log_every=3))
    last_lines = []
    for _ in range(2):
        train_in_processes(gin_file, 2)
        lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
        last_lines.append([line for line in lines if "compilations" in line][-1])
        # as if it had been killed after its third step
        shutil.rmtree(run_dir / "checkpoints" / "6")
    first, second = last_lines
    assert first["compiled_before"] == 0 < first["compilations"]
    assert second["compiled_before"] == second["compilations"] == first["compilations"]
