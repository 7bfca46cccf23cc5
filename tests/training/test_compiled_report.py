"""The dry run for devices that are not here: what their own compiler makes of a step."""

import dataclasses
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from small_compiled_step import (
    GOLDEN,
    TOPOLOGY,
    describe_collectives,
    describe_small_job,
    make_small_run,
    name_libtpu,
)
from tiny_run import write_gin

from sift_jax.extras import is_installed
from sift_jax.training.compiled_report import (
    DoesNotFitError,
    compile_job,
    count_model_operations,
    suggest,
)
from sift_jax.training.dry_run import count_bytes

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.tpu
needs_libtpu = pytest.mark.skipif(
    not is_installed("libtpu"), reason="libtpu is not installed: pip install 'libtpu==0.0.42.*'"
)


@pytest.fixture(scope="module")
def job(corpus, tmp_path_factory):
    return describe_small_job(corpus, tmp_path_factory.mktemp("compiled") / "run")


@pytest.fixture(scope="module")
def found(job):
    return compile_job(job)


@needs_libtpu
def test_the_kernel_of_the_device_is_compiled(found):
    """Two layers, forward, again and backward; on this machine's CPU it would be plain attention."""
    runs = {each.name: 0 for each in found.step.kernels}
    for each in found.step.kernels:
        runs[each.name] += each.count
    assert set(runs) == {
        "splash_mha_fwd_residuals",
        "splash_mha_dq_no_residuals",
        "splash_mha_dkv_no_residuals",
    }
    # two layers, and two rows a device one after the other; forward it runs again for the gradient
    assert runs["splash_mha_dq_no_residuals"] == runs["splash_mha_dkv_no_residuals"] == 2 * 2
    assert runs["splash_mha_fwd_residuals"] == 2 * 2 * 2


@needs_libtpu
def test_products_are_those_of_the_model(job, found):
    """4n a token as the model needs them, and what full rematerialisation makes again."""
    needed = count_model_operations(job, found.shape) / job.mesh.devices.size
    assert needed < found.step.operations < 2 * needed
    assert 0.1 < found.step.recomputed_share < 0.4


@needs_libtpu
def test_arguments_are_the_state_and_the_batch(job, found):
    state = job.abstract_state
    held = count_bytes([state["frozen"], state["trainable"]]) + count_bytes(state["optimizer"])
    # tiles of 8 × 128 pad small arrays: several times as much is held
    assert held < found.step.memory.arguments < 64 * held
    assert found.step.time.work > 0 and found.step.time.exposed >= 0


@needs_libtpu
def test_collectives_are_those_of_the_golden_table(found):
    """Refresh it by tests/refresh_golden.py after a change of sharding that is meant."""
    golden = json.loads(GOLDEN.read_text())
    if golden["libtpu"] != name_libtpu():
        pytest.skip(f"the table is of libtpu {golden['libtpu']}; here is {name_libtpu()}")
    described = describe_collectives(found.step)
    assert json.loads(json.dumps(described)) == golden


@needs_libtpu
@pytest.mark.slow
def test_the_command_says_it_all(corpus, tmp_path):
    gin_file = write_gin(tmp_path / "run.gin", make_small_run(corpus, tmp_path / "run"))
    program = "import small_compiled_step, sift_jax.train; sift_jax.train.main()"
    command = [
        sys.executable,
        "-c",
        program,
        f"--gin_file={gin_file}",
        "--dry_run",
        f"--topology={TOPOLOGY}",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
        ),
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    for said in (
        "over 8 × TPU v5 lite, compiled by libtpu",
        "of the 16.00 GB of a device (TPU v5 lite)",
        "attention: splash for rows, plain for clips",
        "% of them recomputed",
        "waiting for collectives",
        "floors: products at 197 TFLOP/s",
    ):
        assert said in done.stdout
    # a program that no device here can run is not kept for one
    assert "persistent" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "rows, microbatches, remat, used, state, said",
    [
        (8, 1, "full", 26e9, 4e9, "MICROBATCHES=2 would"),
        (8, 1, "full", 60e9, 4e9, "MICROBATCHES=8 would"),
        (8, 8, "dots", 40e9, 4e9, "REMAT='full' keeps less"),
        (8, 8, "full", 40e9, 4e9, "spread it by MeshConfig.tensor"),
        (8, 1, "full", 40e9, 32e9, "spread them over 3 devices or more"),
    ],
)
def test_what_would_fit(rows, microbatches, remat, used, state, said):
    """Of 16 GB, where one device holds all rows."""
    shape = {"data": 1, "fsdp": 1, "tensor": 1}
    job = types.SimpleNamespace(
        mesh=types.SimpleNamespace(shape=shape),
        data=types.SimpleNamespace(rows=rows),
        run=types.SimpleNamespace(microbatches=microbatches),
        model=types.SimpleNamespace(remat=remat),
    )
    assert said in suggest(job, used=used, has=16e9, state=state)


@needs_libtpu
def test_a_step_that_fits_nowhere_says_so(job):
    """A row of a million positions."""
    shape = dataclasses.replace(job.shapes[-1], tokens=2**20, rows=64)
    large = dataclasses.replace(job, shapes=[shape])
    with pytest.raises(
        DoesNotFitError,
        match=r"does not fit: .* of the 16\.91 GB of a TPU v5 lite that a program has",
    ):
        compile_job(large)
