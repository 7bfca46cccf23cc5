"""An abort is the loss of process 0 only where nobody answers at its address."""

import os
import signal
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from sift_jax.parallel.aborts import name_lost_coordinator
name_lost_coordinator(sys.argv[1], 69)
os.abort()
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_an_abort_is_told_apart(is_there):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if is_there:
            server.listen()
        command = [sys.executable, "-c", PROGRAM, address]
        done = subprocess.run(command, env=os.environ.copy(), capture_output=True, text=True, timeout=60)
    if is_there:
        assert done.returncode == -signal.SIGABRT and not done.stderr
    else:
        assert done.returncode == 69, done.stderr
        said = f"error: process 0 is gone: nobody answers at {address}; the run ends"
        assert done.stderr.strip().startswith(said) and len(done.stderr.strip().splitlines()) == 1
