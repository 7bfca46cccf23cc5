"""The dry run for GPUs that are not here: what XLA:GPU makes of a small step."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_compiled_step import GPU_TOPOLOGY, describe_small_job, make_small_run
from tiny_run import write_gin

from sift_jax.compiled.topologies import GPU_PARTS
from sift_jax.extras import is_installed
from sift_jax.training.compiled_report import (
    DoesNotFitError,
    compile_job,
    count_model_operations,
    name_kernels,
)
from sift_jax.training.dry_run import count_bytes, describe_batch

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not all(is_installed(name) and importlib.util.find_spec(name) for name in GPU_PARTS),
        reason="XLA:GPU is not installed: make gpu",
    ),
]


@pytest.fixture(scope="module")
def job(corpus, tmp_path_factory):
    return describe_small_job(corpus, tmp_path_factory.mktemp("compiled") / "run", GPU_TOPOLOGY)


@pytest.fixture(scope="module")
def found(job):
    return compile_job(job)


def test_the_library_s_attention_is_compiled(job, found):
    """Two layers, forward, again and backward."""
    assert name_kernels(job, found.shape)["rows"] == "cudnn"
    runs = {}
    for each in found.step.kernels:
        if each.place.part == "decoder":
            runs[each.name, each.place.step_pass] = each.count
    assert runs == {
        ("cudnn$fmhaScaleBiasSoftmax", "forward"): 2,
        ("cudnn$fmhaScaleBiasSoftmax", "recomputed"): 2,
        ("cudnn$fmhaScaleBiasSoftmaxBackward", "backward"): 2,
    }


def test_attention_that_is_kept_runs_once(corpus, tmp_path):
    """No layer is made twice, and neither is what cuDNN's backward pass reads of its forward one."""
    job = describe_small_job(corpus, tmp_path / "run", GPU_TOPOLOGY, remat="dots")
    step = compile_job(job).step
    passes = [each.place.step_pass for each in step.kernels if each.place.part == "decoder"]
    assert sorted(passes) == ["backward", "forward"]
    assert step.recomputed_share < 0.01


def test_products_are_those_of_the_model(job, found):
    needed = count_model_operations(job, found.shape) / job.mesh.devices.size
    assert needed / 2 < found.step.operations < 2 * needed
    assert 0.1 < found.step.recomputed_share < 0.4


def test_arguments_are_the_state_and_the_batch(job, found):
    state = job.abstract_state
    held = [state["frozen"], state["trainable"], state["optimizer"]]
    held.append(describe_batch(found.shape, job.mesh))
    assert found.step.memory.arguments == pytest.approx(count_bytes(held), rel=0.02)
    assert found.step.time is None, "XLA:GPU says cycles now: let the report use them"


def test_parameters_are_gathered(found):
    """Over four devices, by the table of shardings."""
    kinds = {row.kind for row in found.step.traffic if row.place.part == "decoder"}
    assert "all-gather" in kinds


def test_a_step_that_fits_nowhere_says_so(job):
    """Rows of 64 Ki positions, and so many of them."""
    shape = dataclasses.replace(job.shapes[-1], tokens=2**16, rows=2**14)
    large = dataclasses.replace(job, shapes=[shape])
    with pytest.raises(
        DoesNotFitError, match=r"does not fit: .* of the 141\.00 GB of a NVIDIA H200"
    ):
        compile_job(large)


@pytest.mark.slow
def test_the_command_says_it_all(corpus, tmp_path):
    gin_file = write_gin(tmp_path / "run.gin", make_small_run(corpus, tmp_path / "run"))
    program = "import small_compiled_step, sift_jax.train; sift_jax.train.main()"
    command = [
        *(sys.executable, "-c", program),
        *(f"--gin_file={gin_file}", "--dry_run", f"--topology={GPU_TOPOLOGY}"),
    ]
    paths = [str(ROOT), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    for said in (
        "over 8 × NVIDIA H200, compiled by XLA:GPU of jax-cuda12-plugin",
        "of the 141.00 GB of a device (NVIDIA H200)",
        "attention: cudnn for rows",
        "% of them recomputed",
        "XLA:GPU says no cycles",
        "floors: products at 989.4 TFLOP/s",
    ):
        assert said in done.stdout
    assert not (tmp_path / "run").exists()
