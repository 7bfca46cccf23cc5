"""A folder is one run's at a time: a second is refused in one line, and whatever a killed one
leaves blocks nobody."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import make_run

from sift_jax.checkpoints.run_lock import hold_run
from sift_jax.launch import Launch
from sift_jax.storage import folder_lock
from sift_jax.storage.folder_lock import FolderHeldError, hold_folder
from sift_jax.training.loop import train

ROOT = Path(__file__).parent.parent.parent
HOLD = (
    "import sys, time, pathlib\n"
    "from sift_jax.storage.folder_lock import hold_folder\n"
    "with hold_folder(pathlib.Path(sys.argv[1]), remedy=''):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(600)\n"
)


@pytest.fixture
def holder(tmp_path):
    """A process that holds tmp_path/run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip() == "held"
    yield process
    process.kill()
    process.wait()


def test_the_second_of_two_runs_is_refused_and_the_first_unharmed(corpus, holder, tmp_path):
    run = tmp_path / "run"
    # what the first is saving at this moment
    draft = run / "checkpoints" / "5.orbax-checkpoint-tmp" / "params"
    draft.mkdir(parents=True)
    arguments = make_run(corpus, run, steps=3, dev_batches=0)
    message = (
        rf"another command writes to {run} \(process {holder.pid} on {socket.gethostname()}, "
        rf"since \d{{4}}-\d\d-\d\dT"
        r".*\); wait for its end, end it, or choose another OUT_DIR$"
    )
    with pytest.raises(FolderHeldError, match=message):
        train(**arguments, launch=Launch(config_text="of the second"))
    assert draft.is_dir() and sorted(path.name for path in run.iterdir()) == [
        ".lock",
        "checkpoints",
    ]
    # as the scheduler ends it: no word, no cleaning up
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads((run / ".lock").read_text())["pid"] == holder.pid
    train(**arguments)
    assert not draft.exists() and (run / "checkpoints" / "3").is_dir()


def test_it_is_released_at_the_end_however_that_comes(tmp_path):
    with hold_run(tmp_path), pytest.raises(FolderHeldError, match=f"process {os.getpid()} on"):
        hold_run(tmp_path).__enter__()
    with pytest.raises(KeyboardInterrupt), hold_run(tmp_path):
        raise KeyboardInterrupt
    with hold_folder(tmp_path, remedy=""):
        pass
    assert (tmp_path / ".lock").read_text() == ""


def test_a_file_system_without_locks_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    def refuse(file, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    with hold_folder(tmp_path, remedy=""):
        pass
    said = capsys.readouterr().err
    assert said == (
        f"{tmp_path} cannot be locked (Operation not supported): nothing keeps a second command "
        "out of it\n"
    )
    assert folder_lock.fcntl is fcntl
