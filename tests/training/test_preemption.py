"""A run that is told to stop saves what it has; a disk that takes no more, or gives other bits,
costs a checkpoint."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_run import make_run, write_gin

from sift_jax.checkpoints.checkpoint import SaveError, load_params
from sift_jax.exits import report_errors
from sift_jax.training.loop import train
from sift_jax.training.preemption import Stopped, StopRequest

ROOT = Path(__file__).parent.parent.parent
WHOLE = "what was saved before is whole: fix the disk, then run the same command to resume"


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
    with pytest.raises(
        Stopped, match=r"as asked: step (\d+) of 99 is saved, and the same command resumes"
    ) as error:
        train(
            **make_run(
                corpus, tmp_path, steps=99, log_every=1, checkpoint_every=1000, dev_batches=0
            )
        )
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
        (OSError(28, "No space"), 74, f"error: the disk takes no more (No space); {WHOLE}"),
        (
            OSError(30, "Read-only", "a/b"),
            74,
            f"error: the disk takes no more for a/b (Read-only); {WHOLE}",
        ),
        (ValueError("wrong"), 2, "error: wrong"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."),
            2,
            "error: a device's memory is full (RESOURCE_EXHAUSTED: Out of memory allocating 9 "
            "bytes.); raise MICROBATCHES, lower BATCH_ROWS (EvaluationConfig.rows), or spread "
            "parameters by MeshConfig.fsdp; --dry_run says what a step takes",
        ),
    ],
)
def test_each_end_has_its_exit_status(capsys, error, code, said):
    def run():
        raise error

    with pytest.raises(SystemExit) as stop:
        report_errors(run, is_debug=False)
    assert stop.value.code == code and capsys.readouterr().err.strip() == said


def start(gin_file, before=""):
    """The command, with a line of Python before it; what it said is kept."""
    program = f"{before}\nimport runpy; runpy.run_module('sift_jax.train', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", program, f"--gin_file={gin_file}"],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=200,
    )


def list_errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def test_a_disk_that_takes_no_more_leaves_the_step_before(corpus, trained_run, tmp_path):
    """The system refuses to make any file larger than 20 kB, as a full disk would: saving fails
    half-way."""
    run_dir = shutil.copytree(trained_run, tmp_path / "run")
    gin_file = write_gin(
        tmp_path / "run.gin", make_run(corpus, run_dir, steps=9, keep_checkpoints=1, dev_batches=0)
    )
    done = start(
        gin_file, "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    )
    assert done.returncode == 74, done.stderr
    assert list_errors(done) == [
        f"error: a checkpoint cannot be written to {run_dir}/checkpoints (File too large); step 6 "
        "is whole: fix the disk, then run the same command to resume"
    ], done.stderr
    assert load_params(run_dir)[1] == 6


@pytest.mark.slow
def test_a_disk_that_is_full_for_what_the_run_says_leaves_the_step_before_too(
    corpus, trained_run, tmp_path
):
    """No space left on device, as the system says it of /dev/full; once there is space, the same
    command goes on."""
    run_dir = shutil.copytree(trained_run, tmp_path / "run")
    (run_dir / "batches.jsonl").rename(tmp_path / "kept.jsonl")
    (run_dir / "batches.jsonl").symlink_to("/dev/full")
    gin_file = write_gin(tmp_path / "run.gin", make_run(corpus, run_dir, steps=8, dev_batches=0))
    done = start(gin_file)
    assert done.returncode == 74, done.stderr
    assert list_errors(done) == [
        f"error: the disk takes no more (No space left on device); {WHOLE}"
    ], done.stderr
    assert load_params(run_dir)[1] == 6
    (tmp_path / "kept.jsonl").replace(run_dir / "batches.jsonl")
    done = start(gin_file)
    assert done.returncode == 0 and f"resuming {run_dir} at step 6" in done.stdout, done.stderr
    assert len((run_dir / "batches.jsonl").read_text().splitlines()) == load_params(run_dir)[1] == 8


@pytest.mark.slow
def test_a_flipped_bit_costs_steps_and_changes_no_result(corpus, trained_run, tmp_path):
    ends = {}
    for name in ("whole", "flipped"):
        run_dir = shutil.copytree(trained_run, tmp_path / name / "run")
        step = run_dir / "checkpoints" / "6"
        if name == "whole":
            shutil.rmtree(step)
        else:
            payload = step / "params" / "ocdbt.process_0" / "d"
            file = max(payload.iterdir(), key=lambda path: path.stat().st_size)
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(bytes(data))
        gin_file = write_gin(
            tmp_path / name / "run.gin", make_run(corpus, run_dir, steps=9, dev_batches=0)
        )
        done = start(gin_file)
        assert done.returncode == 0, done.stderr
        ends[name] = (done, load_params(run_dir))
    done, (_, step, params) = ends["flipped"]
    said = [line for line in done.stderr.splitlines() if "is damaged: params/" in line]
    assert (
        len(said) == 1
        and "and step 3 is taken" in said[0]
        and not ends["whole"][0].stderr.count("damaged")
    )
    assert (
        all("at step 3, batch 3" in end.stdout for end, _ in ends.values())
        and step == ends["whole"][1][1] == 9
    )
    jax.tree.map(np.testing.assert_array_equal, params, ends["whole"][1][2])
