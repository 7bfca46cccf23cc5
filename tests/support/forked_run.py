"""Trains in processes that are forked from one which has imported the libraries and begun nothing:
seconds are saved.

fork_processes(argv, log, count) ─► pids        each a process with devices of its own, as python -m sift_jax.train is
"""

import atexit
import os
import socket
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def fork_train(argv: list[str], log: Path, folder: Path = ROOT) -> int:
    """One process that trains in `folder` and writes what it says to `log`; its pid."""
    import jax

    import sift_jax.training.loop  # noqa: F401 - once, for all that are forked
    from sift_jax.cli import run_gin

    pid = os.fork()
    if pid:
        return pid
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(folder)
    # what the parent would do at its end is not the child's to do
    atexit._clear()
    code = 1
    try:
        run_gin("sift_jax.training.loop:train", argv)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        # nobody above would print it
        traceback.print_exc()
    finally:
        # as an interpreter ends, but for the stack, which is the parent's
        jax.distributed.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def fork_processes(
    argv: list[str], log: Path, count: int, folders: list[Path] | None = None
) -> list[int]:
    """The processes of one run; each says what it has to say in <log>.<index>."""
    folders = folders or [ROOT] * count
    if count > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            argv = [
                *argv,
                f"--coordinator=127.0.0.1:{free.getsockname()[1]}",
                f"--processes={count}",
            ]
    return [
        fork_train(
            argv + [f"--process_index={index}"] * (count > 1), Path(f"{log}.{index}"), folder
        )
        for index, folder in enumerate(folders)
    ]


def wait_for_exit(pid: int, seconds: float) -> int | None:
    """The exit status of a process of ours, None if it has none after that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None
