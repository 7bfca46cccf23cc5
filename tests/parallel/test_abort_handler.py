"""An abort is the loss of a process only where one does not come, or nobody answers at the address
of process 0."""

import os
import signal
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from sift_jax.parallel.abort_handler import explain_aborts, name_lost_coordinator
explain_aborts(lambda: name_lost_coordinator(sys.argv[1]), 69)
os.abort()
"""
ALONE = """
import sys
from sift_jax.parallel.distributed import start_distributed
start_distributed(sys.argv[1], 2, int(sys.argv[2]))
"""


def run(program, *arguments, **environment):
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("is_there", [True, False])
def test_an_abort_is_told_apart(is_there):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if is_there:
            server.listen()
        done = run(PROGRAM, address)
    if is_there:
        assert done.returncode == -signal.SIGABRT and not done.stderr
    else:
        assert done.returncode == 69, done.stderr
        said = f"error: process 0 is gone: nobody answers at {address}; the run ends"
        assert done.stderr.strip().startswith(said) and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("index", ["0", "1"])
def test_a_process_that_is_left_alone_says_so(index):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = run(ALONE, address, index, SIFT_JOIN_SECONDS="1")
    assert done.returncode == 69, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"error: not all processes of the run came to {address} within 1 s: start every one of them"
    )
