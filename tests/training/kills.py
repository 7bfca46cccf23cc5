"""Kills a run again and again, lets it go on each time, and compares the end with a run that nobody disturbed.

    python tests/training/kills.py --kills=100 [--processes=2]        `make test-kills`

    half of the kills    some steps after the first step line of that life
    a fifth              while a checkpoint is being written
    the rest             at any moment from the start of the process

Bit for bit: the parameters, the checksums of the optimizer's leaves, and every line of the losses. A life is a process
of its own, forked from one that has imported the libraries: killed by SIGKILL, it leaves nothing but the folder.
"""

import argparse
import dataclasses
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import conftest  # noqa: E402, F401 - the environment of the tests, before jax is imported
import numpy as np  # noqa: E402
from forked_run import fork_processes  # noqa: E402
from tiny_corpus import Corpus, write_corpus  # noqa: E402
from tiny_run import make_run, write_gin  # noqa: E402

CHECKPOINT_EVERY = 4
# few tasks: a life begins in half the time
RATES = {"sift.closed_ended.*.en": 0.7, "sift.open_ended.de": 0.3}
# of a life that nobody kills
LIFE_SECONDS = 400


@dataclasses.dataclass
class Life:
    """The processes of one start of a run, and what is seen of them from outside."""

    run_dir: Path
    pids: list[int]
    first_step: int
    inode: int
    began: float

    def read_step(self) -> int:
        """The last step that this life has reported; 0 before it has."""
        path = self.run_dir / "metrics.jsonl"
        # each life writes the file anew, so that words of the one before are not taken for its own
        if not path.is_file() or path.stat().st_ino == self.inode:
            return 0
        lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
        step = json.loads(lines[-1])["step"] if lines else 0
        return step if step > self.first_step else 0

    def is_saving(self) -> bool:
        folder = self.run_dir / "checkpoints"
        return folder.is_dir() and any(".orbax-checkpoint-tmp" in path.name for path in folder.iterdir())

    def read_log(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.run_dir.parent.glob("log.*")))

    def is_over(self) -> bool:
        """Whether it ended by itself; it must then have ended well."""
        for pid in list(self.pids):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.pids.remove(pid)
                assert os.waitstatus_to_exitcode(status) == 0, self.read_log()
        return not self.pids

    def kill(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for pid in self.pids:
            os.waitpid(pid, 0)


def find_steps(run_dir: Path) -> list[int]:
    folder = run_dir / "checkpoints"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []


def start(gin_file: Path, run_dir: Path, processes: int) -> Life:
    """Begins or continues the run."""
    metrics = run_dir / "metrics.jsonl"
    life = Life(
        run_dir=run_dir,
        pids=[],
        first_step=max(find_steps(run_dir), default=0),
        inode=metrics.stat().st_ino if metrics.is_file() else 0,
        began=time.monotonic(),
    )
    life.pids = fork_processes([f"--gin_file={gin_file}"], run_dir.parent / "log", processes)
    return life


def wait_until(is_true, life: Life) -> bool:
    """False if the life ended before."""
    deadline = time.monotonic() + LIFE_SECONDS
    while not is_true():
        if life.is_over():
            return False
        assert time.monotonic() < deadline, life.read_log()
        time.sleep(0.003)
    return not life.is_over()


def kill_once(life: Life, kind: str, draw: random.Random, seconds_to_first_step: list[float]) -> bool:
    """Kills the life at a moment of this kind; False if it was done before."""
    if kind == "any":
        until = life.began + draw.uniform(0.0, 1.2 * np.mean(seconds_to_first_step or [3.0]))
        is_there = wait_until(lambda: time.monotonic() >= until, life)
    elif not wait_until(lambda: life.read_step() > 0, life):
        return False
    else:
        seconds_to_first_step.append(time.monotonic() - life.began)
        if kind == "loop":
            target = life.first_step + draw.randint(1, 2 * CHECKPOINT_EVERY)
            is_there = wait_until(lambda: life.read_step() >= target, life)
            time.sleep(draw.uniform(0.0, 0.05))
        else:
            is_there = wait_until(life.is_saving, life)
            time.sleep(draw.uniform(0.0, 0.1))
    if not is_there or life.is_over():
        return False
    life.kill()
    return True


def read_end(run_dir: Path) -> tuple[int, dict, list]:
    """(step, checksums of every leaf, losses by step) of a run that is done."""
    step = find_steps(run_dir)[-1]
    place = json.loads((run_dir / "checkpoints" / str(step) / "place" / "metadata").read_text())
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return step, place["checksums"], [(line["step"], line["loss"]) for line in lines if "loss" in line]


def compare(found: Path, expected: Path) -> None:
    from sift_jax.parallel.sharding import flatten_paths
    from sift_jax.training.checkpoint import load_params

    (step, sums, losses), (other_step, other_sums, other_losses) = read_end(found), read_end(expected)
    assert step == other_step and losses == other_losses, (found, [p for p in zip(losses, other_losses, strict=True)])
    assert sums == other_sums, [path for path in sums if sums[path] != other_sums[path]]
    one, other = (flatten_paths(load_params(run_dir)[2]) for run_dir in (found, expected))
    for path, leaf in one.items():
        np.testing.assert_array_equal(np.asarray(leaf), np.asarray(other[path]), err_msg=path)


def run_kills(corpus: Corpus, folder: Path, kills: int, processes: int, seed: int) -> dict:
    """Kills, goes on, compares; what was done."""
    draw, steps = random.Random(seed), 5 * kills + 10
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str) -> tuple[Path, Path]:
        (folder / name).mkdir()
        arguments = make_run(
            corpus, folder / name / "run", steps=steps, checkpoint_every=CHECKPOINT_EVERY, log_every=1, dev_batches=0,
            data={"rates": RATES},
        )
        return write_gin(folder / name / "run.gin", arguments), folder / name / "run"

    began, whole = time.monotonic(), write("whole")
    assert not wait_until(lambda: False, start(*whole, processes))
    kinds = ["loop"] * (kills // 2) + ["save"] * (kills // 5) + ["any"] * (kills - kills // 2 - kills // 5)
    draw.shuffle(kinds)
    done = {"kills": 0, "in_a_save": 0, "in_the_loop": 0, "before_a_step": 0, "resumed": 0, "runs": 1}
    seconds: list[float] = []
    current = write("killed1")
    while kinds:
        life = start(*current, processes)
        done["resumed"] += life.first_step > 0
        if kill_once(life, kinds[-1], draw, seconds):
            place = "in_a_save" if life.is_saving() else "in_the_loop" if life.read_step() else "before_a_step"
            done[place] += 1
            done["kills"] += 1
            print(f"kill {done['kills']}: {kinds.pop()}, {place}, step {life.read_step()} of {steps}", flush=True)
        else:
            compare(current[1], whole[1])
            done["runs"] += 1
            current = write(f"killed{done['runs']}")
    last = start(*current, processes)
    done["resumed"] += last.first_step > 0
    assert not wait_until(lambda: False, last)
    compare(current[1], whole[1])
    return {**done, "steps": steps, "processes": processes, "seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="that of the tests, if it is there already")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pid = os.fork() if flags.corpus is None else 0
        # making the corpus would leave threads of TensorFlow behind, which no fork survives
        if flags.corpus is None and not pid:
            write_corpus(Path(scratch) / "tiny")
            os._exit(0)
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
        corpus = Corpus(root=flags.corpus or Path(scratch) / "tiny", counts={})
        print(json.dumps(run_kills(corpus, Path(scratch) / "runs", flags.kills, flags.processes, flags.seed)))


if __name__ == "__main__":
    main()
