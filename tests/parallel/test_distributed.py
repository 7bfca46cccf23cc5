"""Real processes over gloo train as one does, and end together; wrong flags are one line.

process 0 ── --coordinator=127.0.0.1:port ── process 1        one mesh of two CPU devices, each with half the rows
"""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_run import make_run, write_gin

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.cli import run_gin

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--processes=2"], "--processes and --process_index need --coordinator"),
        (["--coordinator=127.0.0.1:1"], "--coordinator needs --processes=n"),
        (["--coordinator=127.0.0.1:1", "--processes=2", "--process_index=2"], "they are 2 and 2"),
    ],
)
def test_wrong_flags_are_one_line(capsys, flags, message):
    with pytest.raises(SystemExit) as stop:
        run_gin("sift_jax.training.loop:train", ["--gin_file=configs/stage1.gin", *flags])
    said = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and message in said and len(said.splitlines()) == 1


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def train_in_processes(gin_file: Path, processes: int) -> None:
    """Runs the command once for each process; all must end well."""
    port = find_port()
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    command = [sys.executable, "-m", "sift_jax.train", f"--gin_file={gin_file}", "--debug"]
    if processes > 1:
        command += [f"--coordinator=127.0.0.1:{port}", f"--processes={processes}"]
    started = [
        subprocess.Popen(
            [*command, f"--process_index={i}"] if processes > 1 else command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(processes)
    ]
    try:
        for process in started:
            said, _ = process.communicate(timeout=600)
            assert process.returncode == 0, said[-3000:]
    finally:
        for process in started:
            process.kill()


@pytest.mark.slow
def test_two_and_four_processes_train_as_one_on_the_same_mesh(corpus, tmp_path):
    program = [
        sys.executable,
        str(Path(__file__).parent / "same_mesh.py"),
        str(corpus.root),
        str(tmp_path / "runs"),
    ]
    program += ["1", "2", "4"]
    done = subprocess.run(
        program, env=os.environ.copy(), capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    one = found.pop("1")
    assert len(set(one["losses"])) == len(set(one["hashes"])) == 4 and len(one["dev_losses"]) == 1
    for other in found.values():
        assert other["hashes"] == one["hashes"]
        assert other["losses"] == pytest.approx(one["losses"], rel=1e-5)
        assert other["dev_losses"] == pytest.approx(one["dev_losses"], rel=1e-5)
        assert other["parameters"] == pytest.approx(one["parameters"], rel=1e-4, abs=1e-4)


@pytest.mark.slow
def test_two_processes_start_from_another_run(corpus, trained_run, tmp_path):
    """Parameters of a run, written by one process, are read by two and laid over their common mesh;
    and saved by them, those apart that do not train."""
    from sift_jax.weights.load import Sources

    arguments = make_run(
        corpus, tmp_path / "run", steps=3, trainable=("projector/.*", "decoder/.*")
    )
    arguments["sources"] = Sources(
        run=str(trained_run), step=3, model=None, encoder=None, decoder=None
    )
    text = write_gin(tmp_path / "run.gin", arguments).read_text()
    text = re.sub(r"((?:peak|muon)_learning_rate = ).*", r"\g<1>0.0", text)
    (tmp_path / "run.gin").write_text(text)
    train_in_processes(tmp_path / "run.gin", 2)
    old, new = (load_params(*where)[2] for where in ((trained_run, 3), (tmp_path / "run", 3)))
    jax.tree.map(np.testing.assert_array_equal, old, new)


def run_ends(corpus, folder: Path, processes: int, ends: list[str]) -> dict:
    """What became of the processes, for each thing that may happen to one of them; a hang is told
    after 15 s."""
    program = [
        sys.executable,
        str(Path(__file__).parent / "ends.py"),
        str(corpus.root),
        str(folder),
        str(processes),
    ]
    environment = {**os.environ, "SIFT_HANG_SECONDS": "15"}
    done = subprocess.run(
        [*program, *ends], env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def ends_of_four(corpus, tmp_path_factory):
    return run_ends(
        corpus, tmp_path_factory.mktemp("ends") / "of_four", 4, ["terminate", "stop", "stuck"]
    )


@pytest.fixture(scope="module")
def ends_of_two(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends") / "of_two"
    return run_ends(corpus, folder, 2, ["unshared", "other_records", "held", "kill", "kill_first"])


@pytest.mark.slow
def test_a_signal_to_one_of_four_saves_the_same_step_in_all(ends_of_four):
    end = ends_of_four["terminate"]
    assert end["codes"] == [75] * 4, end["said"]
    steps = {
        int(re.search(r"stopped as asked: step (\d+) of 5000 is saved", said)[1])
        for said in end["said"]
    }
    assert steps == {max(end["saved"])}


@pytest.mark.slow
def test_a_stopped_process_of_four_is_named_and_the_run_ends(ends_of_four):
    end = ends_of_four["stop"]
    assert end["codes"] == [69, None, 69, 69] and end["seconds"] < 60
    named = (
        r"^error: process 1 has not been heard of for \d+ s \(last \w+, step \d+\); the run ends"
    )
    for index in (0, 2, 3):
        assert re.search(named, end["said"][index], re.MULTILINE), end["said"]


@pytest.mark.slow
def test_a_process_that_reads_for_ever_is_named_by_all_four(ends_of_four):
    end = ends_of_four["stuck"]
    assert end["codes"] == [69] * 4
    named = r"^error: process 1 hangs \(\d+ s at reading, step \d+\), the others wait; the run ends"
    for said in end["said"]:
        assert re.search(named, said, re.MULTILINE) and "Traceback" not in said, said


@pytest.mark.slow
@pytest.mark.parametrize(
    "end, codes, named",
    [
        ("kill", [69, None], "process 1 has not been heard of for 1[0-9] s"),
        # it kept the store of all: JAX aborts where it is gone
        ("kill_first", [None, 69], r"process 0 is gone: nobody answers at 127.0.0.1:\d+"),
    ],
)
def test_a_killed_process_is_named_at_once(ends_of_two, end, codes, named):
    found = ends_of_two[end]
    assert found["codes"] == codes and found["seconds"] < 40, found
    errors = re.findall(r"^error: .*$", found["said"][codes.index(69)], re.MULTILINE)
    assert len(errors) == 1 and re.match(
        f"error: {named}.*; the run ends, its last checkpoint is whole", errors[0]
    )


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_refused(ends_of_two):
    end = ends_of_two["unshared"]
    assert end["codes"][1] == 2 and end["codes"][0] in (2, 69)
    assert (
        "run is not one folder: process 1 does not see what process 0 writes there; set OUT_DIR"
        in end["said"][1]
    )


@pytest.mark.slow
def test_processes_with_other_records_do_not_begin(ends_of_two):
    """They would plan other batches, of other shapes, and wait for each other."""
    end = ends_of_two["other_records"]
    assert end["codes"][1] == 2 and end["codes"][0] in (2, 69)
    assert "the records of process 1 is not that of process 0" in end["said"][1]


@pytest.mark.slow
def test_a_folder_that_another_run_has_is_refused_by_all(ends_of_two):
    end = ends_of_two["held"]
    assert end["codes"][0] == 2 and end["codes"][1] in (2, 69) and end["saved"] == []
    assert re.search(
        r"error: another command writes to \S+ \(process \d+ on .*OUT_DIR$",
        end["said"][0],
        re.MULTILINE,
    )
