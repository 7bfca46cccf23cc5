"""Four devices in one process, in two, in four: what the run says and leaves; run as a program,
prints JSON.

    python same_mesh.py CORPUS FOLDER 1 2 4 ─► {"1": {"losses": […], "hashes": […], "parameters": {…}}, "2": …, "4": …}

The dev split has so few rows that some processes have none of the last batch, as any data that ends
has.
"""

import json
import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS), str(TESTS.parent)]

import conftest  # noqa: E402 - the environment of the tests, before jax is imported
from forked_run import fork_processes, wait_for_exit  # noqa: E402
from tiny_corpus import Corpus  # noqa: E402
from tiny_run import make_run, write_gin  # noqa: E402

DEVICES = 4


def train_spread(corpus: Corpus, folder: Path, processes: int) -> Path:
    """The folder of a run of four steps, each of four rows, on four devices."""
    folder.mkdir(parents=True)
    data = {"rows": DEVICES, "rates": {"sift.closed_ended.*.en": 0.7, "sift.open_ended.de": 0.3}}
    arguments = make_run(corpus, folder / "run", steps=4, log_every=1, dev_batches=9, data=data)
    gin_file = write_gin(folder / "run.gin", arguments)
    os.environ["XLA_FLAGS"] = (
        f"{conftest.FLAGS} --xla_force_host_platform_device_count={DEVICES // processes}"
    )
    pids = fork_processes([f"--gin_file={gin_file}"], folder / "log", processes)
    codes = [wait_for_exit(pid, 600) for pid in pids]
    assert codes == [0] * processes, (
        codes,
        [path.read_text()[-2000:] for path in folder.glob("log.*")],
    )
    return folder / "run"


def read_run(run_dir: Path) -> dict:
    """Losses of training and at the end over the dev split, hashes of the batches, and the sum of
    each parameter."""
    from sift_jax.checkpoints.checkpoint import load_params
    from sift_jax.parallel.sharding import flatten_paths

    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    sums = {
        path: float(abs(leaf).sum())
        for path, leaf in flatten_paths(load_params(run_dir)[2]).items()
    }
    return {
        "losses": [line["loss"] for line in lines if "loss" in line],
        "dev_losses": [line["dev_loss"] for line in lines if "dev_loss" in line],
        "hashes": [
            json.loads(line)["hash"]
            for line in (run_dir / "batches.jsonl").read_text().splitlines()
        ],
        "parameters": sums,
    }


if __name__ == "__main__":
    tiny = Corpus(root=Path(sys.argv[1]), counts={})
    # all are run before this process has devices of its own
    runs = {n: train_spread(tiny, Path(sys.argv[2]) / str(n), n) for n in map(int, sys.argv[3:])}
    print(json.dumps({n: read_run(run_dir) for n, run_dir in runs.items()}))
