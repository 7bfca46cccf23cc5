"""A run that is told to stop saves what it has and goes on from there; a disk that takes no more ends it clearly."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_run import make_run, write_gin

from sift_jax.exits import report_errors
from sift_jax.training.checkpoint import SaveError, load_params
from sift_jax.training.loop import train
from sift_jax.training.stopping import Stopped, StopRequest

ROOT = Path(__file__).parent.parent.parent


def send_at_first_report(run_dir, number):
    """A thread that sends the signal to this process once the run has written a line of metrics."""

    def send():
        path = run_dir / "metrics.jsonl"
        while not (path.is_file() and path.read_text()):
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def test_a_signal_saves_the_step_that_was_reached(corpus, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    send_at_first_report(tmp_path, signal.SIGTERM)
    with pytest.raises(Stopped, match=r"as asked: step (\d+) of 99 is saved, and the same command goes on") as error:
        train(**make_run(corpus, tmp_path, steps=99, log_every=1, checkpoint_every=1000, dev_batches=0))
    assert signal.getsignal(signal.SIGTERM) is before
    assert f" step {load_params(tmp_path)[1]} of 99" in str(error.value)


def test_a_second_interrupt_is_obeyed_at_once():
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_reached(1)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "error, code, said",
    [
        (Stopped("stopped as asked"), 75, "stopped as asked"),
        (SaveError("a checkpoint cannot be written"), 74, "error: a checkpoint cannot be written"),
        (OSError(28, "No space left on device", "x"), 74, "error: [Errno 28] No space left on device: 'x'"),
        (OSError(30, "Read-only file system", "x"), 74, "error: [Errno 30] Read-only file system: 'x'"),
        (ValueError("wrong"), 2, "error: wrong"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."),
            2,
            "error: a device's memory is full (RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.); raise "
            "MICROBATCHES, lower BATCH_ROWS (EvaluationConfig.rows), or spread parameters by MeshConfig.fsdp; "
            "--dry_run says what a step takes",
        ),
    ],
)
def test_each_end_has_its_exit_status(capsys, error, code, said):
    def run():
        raise error

    with pytest.raises(SystemExit) as stop:
        report_errors(run, is_debug=False)
    assert stop.value.code == code and capsys.readouterr().err.strip() == said


def test_a_disk_that_takes_no_more_leaves_the_step_before(corpus, trained_run, tmp_path):
    """The system refuses to make any file larger than 20 kB, as a full disk would: saving fails half-way."""
    run_dir = shutil.copytree(trained_run, tmp_path / "run")
    gin_file = write_gin(tmp_path / "run.gin", make_run(corpus, run_dir, steps=9, keep_checkpoints=1, dev_batches=0))
    program = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "runpy.run_module('sift_jax.train', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"--gin_file={gin_file}"],
        cwd=ROOT, env=os.environ.copy(), capture_output=True, text=True, timeout=200,
    )
    assert done.returncode == 74, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: a checkpoint cannot be written to {run_dir}/checkpoints (File too large); step 6 is whole: mend the "
        "disk, then the same command goes on"
    ], done.stderr
    assert load_params(run_dir)[1] == 6
