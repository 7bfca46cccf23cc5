"""Kills at random moments change no bit; `make test-kills` does a hundred."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_kills(corpus, *flags):
    program = [
        sys.executable,
        str(Path(__file__).parent / "kills.py"),
        f"--corpus={corpus.root}",
        *flags,
    ]
    return subprocess.run(
        program, env=os.environ.copy(), capture_output=True, text=True, timeout=1800
    )


@pytest.mark.slow
@pytest.mark.parametrize("processes, kills, seed", [(1, 10, 1), (2, 3, 5)])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(
    corpus, processes, kills, seed
):
    done = run_kills(corpus, f"--kills={kills}", f"--processes={processes}", f"--seed={seed}")
    assert done.returncode == 0, (seed, done.stdout, done.stderr[-3000:])
    counts = json.loads(done.stdout.splitlines()[-1])
    print(counts, seed)
    assert counts["kills"] >= kills and counts["resumed"] >= 1
    assert counts["loop"] >= kills // 2 and counts["save"] >= kills // 5


@pytest.mark.slow
def test_the_kills_find_a_bit_that_differs(corpus):
    """Of two kills one comes, by this seed, seven steps after the first: there is a checkpoint to
    go on from."""
    done = run_kills(corpus, "--kills=2", "--seed=8", "--plant")
    assert done.returncode == 1 and "AssertionError" in done.stderr, (
        done.stdout,
        done.stderr[-3000:],
    )
    assert "has other bits than" in done.stderr or "killed1/run'), [(" in done.stderr, done.stderr[
        -3000:
    ]
