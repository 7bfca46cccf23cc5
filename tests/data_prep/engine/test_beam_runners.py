"""Another of Apache Beam's runners at work: Dask, with worker processes of its own, and the Direct
runner's bytes."""

import contextlib
import hashlib
import os
import sys
from pathlib import Path

import pytest
from engine_work import make_chunks, write_process

from data_prep.build import parse_arguments
from data_prep.engine.beam_engine import make_engine, run_chunks
from data_prep.pipeline.build_stages import build

STAGES = ("corpus", "measure", "metadata", "instructions")
FLAGS = (
    "--languages=en,fr",
    "--train=30",
    "--dev=2",
    "--evaluation=4",
    "--evaluation_rows=4",
    "--seed=4",
)
TESTS = Path(__file__).parents[2]


@contextlib.contextmanager
def start_dask(workers: int):
    """A scheduler and its workers, as processes that know nothing of this one."""
    from dask.distributed import LocalCluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{TESTS.parent}{os.pathsep}{TESTS / 'support'}")
        with LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None
        ) as cluster:
            yield cluster


def use(cluster) -> str:
    return f"--runner=DaskRunner --dask_client_address={cluster.scheduler_address}"


def hash_files(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def test_dask_works_in_several_processes(tmp_path):
    chunks = make_chunks(tmp_path, 8)
    with start_dask(2) as cluster:
        run_chunks(chunks, "made", write_process, make_engine(1, use(cluster)))
    processes = {chunk.read_lines("made")[0] for chunk in chunks}
    assert len(processes) == 2 and str(os.getpid()) not in processes


@pytest.mark.slow
def test_a_build_on_dask_is_that_of_the_direct_runner(tmp_path):
    """Spoken, measured and asked about by two workers: each has loaded what that takes, and this
    process has not."""
    build(parse_arguments([f"--out={tmp_path / 'here'}", *FLAGS, "--workers=1"]), STAGES)
    with start_dask(2) as cluster:
        build(
            parse_arguments(
                [f"--out={tmp_path / 'there'}", *FLAGS, f"--beam_options={use(cluster)}"]
            ),
            STAGES,
        )
        client = cluster.get_client()
        loaded = client.run(has_loaded)
        client.close()
    assert list(loaded.values()) == [(True, True)] * 2
    assert hash_files(tmp_path / "there") == hash_files(tmp_path / "here")


def has_loaded() -> tuple[bool, bool]:
    return tuple(
        name in sys.modules
        for name in ("data_prep.embedded.espeak", "data_prep.instructions.write")
    )
