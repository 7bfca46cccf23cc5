"""The engine: any number of processes, what is finished is kept, what fails or dies is one line and
costs its chunk."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from engine_work import die, die_twice, fail, make_chunks, write_chunk, write_nothing, write_process

from data_prep.engine.beam_engine import Engine, keep_processes, make_engine, run_chunks
from data_prep.engine.chunks import BuildError

ONE, TWO = Engine(workers=1), Engine(workers=2)


@pytest.mark.parametrize("engine", [ONE, TWO])
def test_only_what_is_missing_is_made(tmp_path, engine):
    chunks = make_chunks(tmp_path)
    chunks[0].write_lines("made", ["kept"])
    run_chunks(chunks, "made", write_chunk, engine)
    assert [chunk.read_lines("made") for chunk in chunks] == [["kept"], ["2", "3"], ["4", "5"]]
    assert len(list((tmp_path / "parts" / "made").iterdir())) == 3


def test_each_worker_is_a_process(tmp_path):
    chunks = make_chunks(tmp_path, 6)
    run_chunks(chunks, "made", write_process, TWO)
    processes = {chunk.read_lines("made")[0] for chunk in chunks}
    assert len(processes) == 2 and str(os.getpid()) not in processes


def test_processes_are_kept_as_long_as_told(tmp_path):
    with keep_processes(TWO):
        for name in ("one", "two"):
            run_chunks(make_chunks(tmp_path / name, 6), "made", write_process, TWO)
        assert len(psutil.Process().children()) >= 2
    seen = {
        name: {chunk.read_lines("made")[0] for chunk in make_chunks(tmp_path / name, 6)}
        for name in ("one", "two")
    }
    assert seen["one"] == seen["two"] and len(seen["one"]) == 2
    assert not any(psutil.pid_exists(int(process)) for process in seen["one"])


def test_what_kills_two_processes_has_a_third(tmp_path):
    chunks = make_chunks(tmp_path, 4)
    run_chunks(chunks, "made", die_twice, TWO)
    assert [chunk.read_lines("made") for chunk in chunks] == [
        ["0", "1"],
        ["2", "3"],
        ["4", "5"],
        ["6", "7"],
    ]


def test_a_process_that_dies_costs_its_chunk_alone(tmp_path):
    chunks = make_chunks(tmp_path, 6)
    with pytest.raises(
        BuildError, match="3 processes that made made died.*fewer --workers.*in .*002.jsonl.fail"
    ):
        run_chunks(chunks, "made", die, TWO)
    assert [chunk.path("made").exists() for chunk in chunks] == [
        True,
        False,
        True,
        True,
        True,
        True,
    ]
    run_chunks(chunks, "made", write_chunk, TWO)
    assert not list(tmp_path.rglob("*.failed"))


@pytest.mark.parametrize("engine", [ONE, TWO])
def test_a_failure_is_one_line_with_its_details(tmp_path, engine):
    chunks = make_chunks(tmp_path, 4)
    with pytest.raises(
        BuildError, match="^no room for it; make some .made; .*and 1 more failed; .*is kept"
    ):
        run_chunks(chunks, "made", fail, engine)
    assert chunks[3].read_lines("made") == ["6", "7"]
    notes = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("*.failed"))]
    assert notes[1]["line"] == "KeyError: 'pitch'" and "engine_work.py" in notes[1]["details"]


def test_workers_that_write_elsewhere_are_found_out(tmp_path):
    with pytest.raises(
        BuildError, match="workers have not left .*000000.jsonl; give an --out that they all see"
    ):
        run_chunks(make_chunks(tmp_path), "made", write_nothing, ONE)


def test_without_beam_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BuildError, match=r"not installed; pip install 'apache-beam>="):
        run_chunks(make_chunks(tmp_path), "made", write_chunk, ONE)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal_alone(tmp_path, monkeypatch, capsys, is_terminal):
    """All chunks are accounted for, those of an earlier run among them, whichever folder they are
    in."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr("data_prep.engine.beam_engine._POLL_SECONDS", 0.01)
    chunks = [*make_chunks(tmp_path / "one"), *make_chunks(tmp_path / "two")]
    chunks[0].write_lines("made", ["kept"])
    run_chunks(chunks, "made", write_chunk, ONE)
    said = capsys.readouterr().err
    assert ("made: 100%" in said and "12/12" in said) if is_terminal else not said


@pytest.mark.parametrize(
    "workers, options, message",
    [
        (0, "", "--workers=0 is too small; give at least 1"),
        (1, "--runner DaskRunner", "'DaskRunner' is not a flag; write each as --name=value"),
    ],
)
def test_flags_that_make_no_engine(workers, options, message):
    with pytest.raises(ValueError, match=message):
        make_engine(workers, options)


def test_a_runner_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(BuildError, match="Unexpected pipeline runner: NoRunner"):
        run_chunks(make_chunks(tmp_path), "made", write_chunk, make_engine(1, "--runner=NoRunner"))


PROGRAM = """
import pathlib, signal, sys
import engine_work
from data_prep.engine.beam_engine import Engine, run_chunks
if __name__ == "__main__":
    # who is started in the background of a shell inherits deafness to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chunks = engine_work.make_chunks(pathlib.Path(sys.argv[1]), 100)
    run_chunks(chunks, "made", engine_work.write_process, Engine(workers=2))
"""


@pytest.mark.parametrize(
    "stop", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_who_stops_it_leaves_no_process_and_loses_no_part(tmp_path, stop):
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests / 'support'}"}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    chunks = make_chunks(tmp_path, 100)
    # the clock is the number of finished chunks
    while sum(chunk.path("made").exists() for chunk in chunks) < 4 and child.poll() is None:
        time.sleep(0.01)
    workers = psutil.Process(child.pid).children()
    child.send_signal(stop)
    said = child.communicate(timeout=30)[1]
    assert child.returncode in (-stop, 1, 130) and (
        stop == signal.SIGKILL or "KeyboardInterrupt" in said
    )
    assert said.count("Traceback") == (stop != signal.SIGKILL), (
        "the threads that work for it have nothing to say"
    )
    assert len(workers) >= 2 and not psutil.wait_procs(workers, timeout=10)[1]
    kept = {
        chunk.name: chunk.path("made").stat().st_mtime_ns
        for chunk in chunks
        if chunk.path("made").exists()
    }
    assert 4 <= len(kept) < 100
    run_chunks(chunks, "made", write_chunk, ONE)
    assert all(chunk.path("made").exists() for chunk in chunks)
    assert kept == {
        chunk.name: chunk.path("made").stat().st_mtime_ns for chunk in chunks if chunk.name in kept
    }
