"""Long work on a terminal and in a log."""

import os
import pty
import subprocess
import sys
import termios

import pytest

from sift_jax.progress import format_seconds, track

WORK = """
import time
from sift_jax import progress
progress.LINE_SECONDS = 0.05
with progress.track(total=8, name="hear", unit="step") as bar:
    for step in range(8):
        time.sleep(0.02)
        bar.update()
        bar.set_postfix({"loss": "0.61"}, refresh=False)
    bar.write("step 8: dev loss 0.5")
"""


def test_a_log_holds_whole_lines_with_the_time():
    done = subprocess.run(
        [sys.executable, "-c", WORK], capture_output=True, text=True, check=True, timeout=60
    )
    assert "\r" not in done.stderr and done.stdout == "step 8: dev loss 0.5\n"
    lines = done.stderr.splitlines()
    assert 2 <= len(lines) <= 5
    assert all(line[2] == line[5] == ":" and " hear: " in line for line in lines)
    assert "left, loss=0.61" in lines[0]
    assert "8 of 8 steps (100%)" in lines[-1]


def test_a_terminal_has_a_bar():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    done = subprocess.run([sys.executable, "-c", WORK], stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0 and "\r" in shown and "8/8" in shown


def test_short_work_says_nothing(capsys):
    assert list(track([1, 2, 3], name="indexing", unit="record")) == [1, 2, 3]
    assert capsys.readouterr().err == ""


def test_items_of_unknown_number_are_counted(capsys, monkeypatch):
    monkeypatch.setattr("sift_jax.progress.LINE_SECONDS", 0.0)
    list(track(iter("ab"), name="caching", unit="example"))
    assert "caching: 2 examples, 0 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "seconds, text", [(0.4, "0 s"), (59.6, "1 min 0 s"), (250, "4 min 10 s"), (7300, "2 h 1 min")]
)
def test_seconds_are_written_as_people_say_them(seconds, text):
    assert format_seconds(seconds) == text
