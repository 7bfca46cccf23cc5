"""Kills a run again and again, lets it go on each time, and compares the end with a run that nobody
disturbed.

    python tests/training/kills.py --kills=100 [--processes=2]        `make test-kills`

    loop    half of them        some steps after the first step line of that life
    save    a fifth             while a checkpoint is being written
    data    a tenth             while the index of the records is being made (it is deleted before)
    start   the rest            at any moment before the first step line

Where a kill hit is read from what the dead process left behind, and only that counts. Bit for bit:
the parameters, the checksums of the optimizer's leaves, the hash of each batch, and every line of
the losses. A life is forked from a process that has imported the libraries: killed by SIGKILL, it
leaves nothing but the folder. Of several processes one is killed; the others must then end by
themselves with status 69.
"""

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS), str(TESTS.parent)]
# restarts are most of the work here: what the unbroken run has compiled, however quickly, they need
# not
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# how long a process of several may be silent
os.environ.setdefault("SIFT_HANG_SECONDS", "20")

import conftest  # noqa: E402, F401 - the environment of the tests, before jax is imported
import numpy as np  # noqa: E402
from forked_run import fork_processes, wait_for_exit  # noqa: E402
from tiny_corpus import Corpus, write_corpus  # noqa: E402
from tiny_run import make_run, write_gin  # noqa: E402

CHECKPOINT_EVERY = 4
# few tasks: a life begins in half the time
RATES = {"sift.closed_ended.*.en": 0.7, "sift.open_ended.de": 0.3}
# what is frozen is saved apart
TRAINABLE = ("projector/.*", "decoder/.*")
# of a life that nobody kills
LIFE_SECONDS = 600
# a tiny corpus is indexed before anybody can look
INDEXING_SECONDS = 0.02
# lives for each kill asked for: a moment that never comes must not go unnoticed
LIVES = 6
# in which the others of a killed process must have ended
END_SECONDS = 60
LOST = 69


@dataclasses.dataclass(kw_only=True)
class Life:
    """The processes of one start of a run, and what is seen of them from outside."""

    run_dir: Path
    records: Path
    # those that run, of so many
    pids: list[int]
    processes: int
    first_step: int
    inode: int
    # what those before left of the index that they were making
    old_drafts: frozenset[Path]
    began: float

    def read_step(self) -> int:
        """The last step that this life has reported; 0 before it has."""
        path = self.run_dir / "metrics.jsonl"
        # each life writes the file again, so that words of the one before are not taken for its own
        if not path.is_file() or path.stat().st_ino == self.inode:
            return 0
        with path.open("rb") as file:
            # it is asked a hundred times a second
            file.seek(max(0, path.stat().st_size - 4096))
            lines = [line for line in file.read().decode().splitlines()[-8:] if line.endswith("}")]
        step = json.loads(lines[-1])["step"] if lines else 0
        return step if step > self.first_step else 0

    def is_saving(self) -> bool:
        # before its first step it may still have to sweep up what another life left
        folders = (
            [self.run_dir / name for name in ("checkpoints", "frozen")] if self.read_step() else []
        )
        drafts = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
        return any(".orbax-checkpoint-tmp" in path.name for path in drafts)

    def is_indexing(self) -> bool:
        """By its own drafts: those of the dead stay."""
        return bool(find_drafts(self.records) - self.old_drafts)

    def find_place(self) -> str:
        """What it does, or did when it was killed."""
        if self.is_saving():
            return "save"
        return "loop" if self.read_step() else "data" if self.is_indexing() else "start"

    def has_joined(self) -> bool:
        """Whether its processes know each other; one that is killed before is waited for as one
        that comes late."""
        logs = [self.run_dir.parent / f"log.{index}" for index in range(self.processes)]
        return len(logs) == 1 or all(log.is_file() and "[Gloo]" in log.read_text() for log in logs)

    def read_log(self) -> str:
        return "\n".join(
            path.read_text()[-3000:] for path in sorted(self.run_dir.parent.glob("log.*"))
        )

    def is_over(self) -> bool:
        """Whether it ended by itself; it must then have ended well."""
        for pid in list(self.pids):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.pids.remove(pid)
                assert os.waitstatus_to_exitcode(status) == 0, self.read_log()
        return not self.pids

    def kill(self, victim: int) -> float:
        """Kills one of the processes; how long the others took to end by themselves."""
        pid = self.pids.pop(victim)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed = time.monotonic()
        codes = [wait_for_exit(other, END_SECONDS) for other in self.pids]
        assert all(code == LOST for code in codes), (victim, codes, self.read_log())
        return time.monotonic() - killed


def find_steps(run_dir: Path) -> list[int]:
    folder = run_dir / "checkpoints"
    return (
        sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
        if folder.is_dir()
        else []
    )


def find_drafts(records: Path) -> set[Path]:
    return set(records.glob("*/questions-*/*.part-*"))


def start(gin_file: Path, run_dir: Path, records: Path, processes: int) -> Life:
    """Begins or continues the run."""
    metrics = run_dir / "metrics.jsonl"
    for log in run_dir.parent.glob("log.*"):
        log.unlink()
    life = Life(
        run_dir=run_dir,
        records=records,
        pids=[],
        processes=processes,
        first_step=max(find_steps(run_dir), default=0),
        inode=metrics.stat().st_ino if metrics.is_file() else 0,
        old_drafts=frozenset(find_drafts(records)),
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
        time.sleep(0.005)
    return not life.is_over()


def wait_for_moment(
    life: Life, aim: str, draw: random.Random, seconds_to_first_step: list[float]
) -> bool:
    """Waits for a random moment of this kind; False if the run was done before."""
    if not wait_until(life.has_joined, life):
        return False
    if aim == "data":
        return wait_until(lambda: life.is_indexing() or life.read_step() > 0, life)
    if aim == "start":
        until = life.began + draw.uniform(0.0, np.mean(seconds_to_first_step or [3.0]))
        return wait_until(lambda: time.monotonic() >= until, life)
    if not wait_until(lambda: life.read_step() > 0, life):
        return False
    seconds_to_first_step.append(time.monotonic() - life.began)
    if aim == "save":
        is_there = wait_until(life.is_saving, life)
        time.sleep(draw.uniform(0.0, 0.1))
        return is_there
    target = life.first_step + draw.randint(1, 3 * CHECKPOINT_EVERY)
    is_there = wait_until(lambda: life.read_step() >= target, life)
    time.sleep(draw.uniform(0.0, 0.05))
    # of those in a save there are others
    return is_there and wait_until(lambda: not life.is_saving(), life)


def read_end(run_dir: Path) -> tuple[int, dict, list, list]:
    """(step, checksums of every leaf, losses by step, batches by step) of a run that is done."""
    step = find_steps(run_dir)[-1]
    place = json.loads((run_dir / "checkpoints" / str(step) / "place" / "metadata").read_text())
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    batches = (run_dir / "batches.jsonl").read_text().splitlines()
    return (
        step,
        place["checksums"],
        [(line["step"], line["loss"]) for line in lines if "loss" in line],
        batches,
    )


def compare(found: Path, expected: Path) -> None:
    from sift_jax.checkpoints.checkpoint import load_params
    from sift_jax.parallel.sharding import flatten_paths

    (step, sums, losses, batches), (other_step, other_sums, *others) = (
        read_end(found),
        read_end(expected),
    )
    assert step == other_step, (found, step, other_step)
    for mine, other in zip((losses, batches), others, strict=True):
        assert mine == other, (
            found,
            [pair for pair in zip(mine, other, strict=False) if pair[0] != pair[1]][:3],
        )
    wrong = [path for path in sums if sums[path] != other_sums[path]]
    assert not wrong, (
        f"{found} has other bits than {expected} in {wrong[0]} and {len(wrong) - 1} other leaves"
    )
    one, other = (flatten_paths(load_params(run_dir)[2]) for run_dir in (found, expected))
    for path, leaf in one.items():
        np.testing.assert_array_equal(np.asarray(leaf), np.asarray(other[path]), err_msg=path)


def plant_fault() -> None:
    """From now on a life that goes on has the lowest bits of one parameter flipped: the comparison
    must see it."""
    import jax

    from sift_jax.checkpoints.checkpoint import Checkpoints

    restore = Checkpoints.restore

    def flip_and_restore(*arguments):
        state, place = restore(*arguments)
        leaf = state["trainable"]["decoder"]["embedding"]
        # of all its numbers: one may be rounded away by the next update
        flipped = jax.lax.bitcast_convert_type(
            jax.lax.bitcast_convert_type(leaf, "uint32") ^ 1, leaf.dtype
        )
        state["trainable"]["decoder"] = {**state["trainable"]["decoder"], "embedding": flipped}
        return state, place

    Checkpoints.restore = flip_and_restore


def slow_indexing() -> None:
    """From now on the index of a record takes some time."""
    from sift_jax.data.records.question_index import IndexWriter

    add = IndexWriter.add

    def wait_and_add(*arguments):
        time.sleep(INDEXING_SECONDS)
        add(*arguments)

    IndexWriter.add = wait_and_add


def count_aims(kills: int) -> dict[str, int]:
    aims = {"loop": kills // 2, "save": kills // 5, "data": kills // 10}
    return {**aims, "start": kills - sum(aims.values())}


def run_kills(corpus: Corpus, folder: Path, kills: int, processes: int, seed: int) -> dict:
    """Kills, goes on, compares; what was done."""
    draw, steps = random.Random(seed), 5 * kills + 10
    folder.mkdir(parents=True, exist_ok=True)
    records = shutil.copytree(corpus.records, folder / "records")

    def write(name: str) -> tuple[Path, Path, Path]:
        (folder / name).mkdir()
        arguments = make_run(
            corpus,
            folder / name / "run",
            steps=steps,
            checkpoint_every=CHECKPOINT_EVERY,
            log_every=1,
            dev_batches=0,
            trainable=TRAINABLE,
            data={"rates": RATES, "records": str(records)},
        )
        return write_gin(folder / name / "run.gin", arguments), folder / name / "run", records

    began, whole = time.monotonic(), write("whole")
    assert not wait_until(lambda: False, start(*whole, processes))
    print(f"the unbroken run: {steps} steps in {time.monotonic() - began:.0f} s", flush=True)
    left, hit = count_aims(kills), dict.fromkeys(count_aims(kills), 0)
    done = {"resumed": 0, "runs": 1}
    seconds, ends = [], []
    current = write("killed1")
    lives = 0
    # that it goes on from somewhere is what is tried
    while any(left.values()) or not (done["resumed"] or find_steps(current[1])):
        lives += 1
        assert lives <= LIVES * kills + 10, f"{lives} lives, and these are still to come: {left}"
        aim = draw.choices(list(left), list(left.values()))[0] if any(left.values()) else "loop"
        if aim == "data":
            for index in records.glob("*/questions-*"):
                shutil.rmtree(index)
        life = start(*current, processes)
        done["resumed"] += life.first_step > 0
        if wait_for_moment(life, aim, draw, seconds):
            ends.append(life.kill(draw.randrange(processes)))
            place = life.find_place()
            hit[place] += 1
            left[place] = max(left[place] - 1, 0)
            print(
                f"kill {sum(hit.values())}: {place}, step {life.read_step()} of {steps}", flush=True
            )
        else:
            compare(current[1], whole[1])
            done["runs"] += 1
            current = write(f"killed{done['runs']}")
    last = start(*current, processes)
    done["resumed"] += last.first_step > 0
    assert not wait_until(lambda: False, last)
    compare(current[1], whole[1])
    done |= {"steps": steps, "processes": processes, "seconds": round(time.monotonic() - began, 1)}
    if processes > 1:
        done["others_ended_within"] = round(max(ends), 1)
    return {"kills": sum(hit.values()), **hit, **done}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--plant", action="store_true", help="flip bits at each start: this program must fail then"
    )
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
        slow_indexing()
        if flags.plant:
            plant_fault()
        corpus = Corpus(root=flags.corpus or Path(scratch) / "tiny", counts={})
        print(
            json.dumps(
                run_kills(corpus, Path(scratch) / "runs", flags.kills, flags.processes, flags.seed)
            )
        )


if __name__ == "__main__":
    main()
