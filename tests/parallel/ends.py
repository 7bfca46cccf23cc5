"""Processes of one run, and what becomes of all when something happens to one; run as a program,
prints JSON.

    python ends.py CORPUS FOLDER PROCESSES END …

END is terminate, stop, stop_first, kill, kill_first, stuck, unshared (another folder for the run),
other_records or held (another command has the run's folder)
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS), str(TESTS.parent), str(Path(__file__).parent)]

import conftest  # noqa: E402, F401 - the environment of the tests, before jax is imported
from forked_run import ROOT, fork_processes, wait_for_exit  # noqa: E402
from tiny_corpus import Corpus  # noqa: E402
from tiny_run import make_run, write_gin  # noqa: E402

# which process gets which signal after the first step
SIGNALS = {
    "terminate": (1, signal.SIGTERM),
    "stop": (1, signal.SIGSTOP),
    "stop_first": (0, signal.SIGSTOP),
    "kill": (1, signal.SIGKILL),
    "kill_first": (0, signal.SIGKILL),
}


# where each process starts in a folder of its own
APART = ("unshared", "other_records")
# where they do not come to a first step
REFUSED = (*APART, "held")


def make_places(corpus: Corpus, folder: Path, processes: int, end: str) -> list[Path]:
    """The folder in which each process starts."""
    if end not in APART:
        return [ROOT] * processes
    places = [folder / f"host{index}" for index in range(processes)]
    for index, place in enumerate(places):
        place.mkdir()
        (place / "configs").symlink_to(ROOT / "configs")
        if end == "other_records":
            shutil.copytree(corpus.records, place / "records")
            (place / "records" / "sift_en" / "digest").write_text(f"of the records of host {index}")
    return places


def run_to_the_end(corpus: Corpus, folder: Path, processes: int, end: str) -> dict:
    """Exit status and last words of each, and how long after the event they ended."""
    folder.mkdir(parents=True)
    out_dir = Path("run") if end == "unshared" else folder / "run"
    data = {"rows": processes} | ({"records": "records"} if end == "other_records" else {})
    arguments = make_run(
        corpus, out_dir, steps=5000, log_every=1, checkpoint_every=10_000, dev_batches=0, data=data
    )
    argv = [f"--gin_file={write_gin(folder / 'run.gin', arguments)}"]
    argv += ["--module_import=stuck_reader"] * (end == "stuck")
    places = make_places(corpus, folder, processes, end)
    with contextlib.ExitStack() as held:
        if end == "held":
            held.enter_context(hold_elsewhere(folder / "run"))
        return watch_the_end(folder, end, argv, processes, places)


@contextlib.contextmanager
def hold_elsewhere(run_dir: Path):
    """Another process has the folder; one of its own, since a fork would hand the lock on."""
    program = (
        "import sys, time, pathlib\nfrom sift_jax.storage.folder_lock import hold_folder\n"
        "with hold_folder(pathlib.Path(sys.argv[1]), remedy=''):\n    print(1, flush=True)\n    "
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(run_dir)], cwd=ROOT, stdout=subprocess.PIPE
    )
    holder.stdout.readline()
    yield
    holder.kill()
    holder.wait()


def watch_the_end(
    folder: Path, end: str, argv: list[str], processes: int, places: list[Path]
) -> dict:
    pids, metrics = (
        fork_processes(argv, folder / "log", processes, places),
        folder / "run" / "metrics.jsonl",
    )
    if end not in REFUSED:
        deadline = time.monotonic() + 200
        while not (metrics.is_file() and metrics.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
    happened, target = time.monotonic(), -1
    if end in SIGNALS:
        target, number = SIGNALS[end]
        os.kill(pids[target], number)
    codes, seconds = [None] * processes, 0.0
    for index, pid in enumerate(pids):
        if index != target or end == "terminate":
            codes[index] = wait_for_exit(pid, 150)
            seconds = round(time.monotonic() - happened, 1)
    for index, pid in enumerate(pids):
        if codes[index] is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    said = [(folder / f"log.{index}").read_text()[-3000:] for index in range(processes)]
    saved = [int(p.name) for p in (folder / "run" / "checkpoints").glob("*") if p.name.isdigit()]
    return {"codes": codes, "seconds": seconds, "said": said, "saved": saved}


if __name__ == "__main__":
    corpus_dir, folder, count, *ends = sys.argv[1:]
    tiny = Corpus(root=Path(corpus_dir), counts={})
    print(
        json.dumps({end: run_to_the_end(tiny, Path(folder) / end, int(count), end) for end in ends})
    )
