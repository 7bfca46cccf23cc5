"""Runs a sweep, one process after the other or several side by side, and writes its page.

    results/<arm>.<seed>.json    the result of a run that is finished, see result_files.py: a run that has one of the
                                 same digest is not made again, also where nothing else of it is left
    results/results.json  report.html  report.md
    out/done/<job>.json          a job that ended well, with its command: it is not run again
    out/logs/<job>.log           what it said

A job that fails leaves the others of its stage to end, and ends the sweep with the place of its
log; the same command resumes from there. Trainings and evaluations that were stopped go on within,
as they do by themselves. What prepares, and what arms start from, is made where a run needs it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.storage.whole_files import write_whole
from sift_jax.sweeps.digests import Digests, find_digests
from sift_jax.sweeps.page import write_page
from sift_jax.sweeps.plan import Chain, Job, SweepConfig, list_stages, place_evaluation
from sift_jax.sweeps.provenance import read_commit, read_processor
from sift_jax.sweeps.result_files import (
    FORMAT,
    RunResult,
    list_parts,
    place_result,
    read_result,
    write_result,
)
from sift_jax.sweeps.results import (
    QuestionsConfig,
    ResultsConfig,
    gather_results,
    read_finished,
)
from sift_jax.sweeps.tables import read_tables


class SweepError(ValueError):
    """A sweep that cannot go on; one line with the remedy."""


class SweepStopped(Exception):
    """Told to stop, as a training is."""

    exit_code = 75


def sweep(
    *,
    run: SweepConfig,
    questions: QuestionsConfig,
    results: ResultsConfig,
    bootstrap: BootstrapConfig,
    launch: Launch = NO_FLAGS,
) -> None:
    """The whole sweep; what is done is kept."""
    tables = read_tables(results.tables)
    questions.check(run, tables)
    folder = results.place(run)
    began = time.monotonic()
    if not results.report_only:
        digests = find_digests(run, results.version)
        runs = [place for place in run.runs if not _is_finished(folder, place, digests)]
        stages = list_stages(run, runs) if runs else []
        # a log that is looked at from elsewhere says early how far it is
        print(f"{len(run.runs) - len(runs)} of {len(run.runs)} runs have results", flush=True)
        if launch.dry_run:
            for job in (job for stage in stages for chain in stage for job in chain.jobs):
                print(" ".join(job.command))
            return
        write_whole(Path(run.out_dir) / "config.gin", launch.config_text)
        for job in (job for stage in stages for chain in stage for job in chain.jobs):
            # before anything is moved
            _is_done(job, digests.jobs.get(job.kind, ""), Path(run.out_dir))
        for place in runs:
            _put_aside(folder, place)
        _run_stages(stages, run, folder, digests)
    finished = read_finished(run, folder)
    if not any(len(results) == len(run.seeds) for results in finished.values()):
        raise SweepError(
            f"there are no results in {folder} of an arm with all of its seeds; run the sweep "
            "without report_only, or give the folder of the results as RESULTS_DIR"
        )
    told = gather_results(run, questions, tables, bootstrap, finished)
    write_whole(folder / "results.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    page = write_page(told, folder)
    missing = f", {len(told['missing'])} runs missing" if told["missing"] else ""
    print(f"sweep done in {time.monotonic() - began:.0f} s{missing}: {page}")


def _is_finished(folder: Path, place: tuple[str, int], digests: Digests) -> bool:
    result = read_result(folder, *place)
    return result is not None and result.digest == digests.arms[place[0]]


def _put_aside(folder: Path, place: tuple[str, int]) -> None:
    """A result of another config: tables are of one config alone."""
    path = place_result(folder, *place)
    result = read_result(folder, *place)
    if result is not None:
        aside = folder / "older" / f"{path.stem}.{result.digest}.json"
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
        print(f"{path.name} is of another config and is put aside as {aside}", flush=True)


def _run_stages(
    stages: list[list[Chain]], sweep: SweepConfig, folder: Path, digests: Digests
) -> None:
    out, commit = Path(sweep.out_dir), read_commit()

    def finish(chain: Chain) -> None:
        if chain.run is None:
            return
        arm, seed = chain.run
        result = RunResult(
            format=FORMAT,
            arm=arm,
            seed=seed,
            digest=digests.arms[arm],
            commit=commit,
            processor=read_processor(),
            seconds={job.name.partition(".")[0]: _read_seconds(out, job) for job in chain.jobs},
            parts=list_parts(place_evaluation(sweep, arm, seed)),
        )
        print(f"{write_result(folder, result)}", flush=True)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for stage in stages:
            run_stage(stage, out, sweep.parallel, digests.jobs, finish)
    except KeyboardInterrupt:
        raise SweepStopped(
            "stopped as asked: what is finished is kept, and the same command resumes from there"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def run_stage(
    chains: list[Chain],
    out: Path,
    parallel: int,
    digests: Mapping[str, str],
    finish: Callable[[Chain], None] = lambda chain: None,
) -> None:
    """Chains side by side, each in a slot with its share of the cores; `digests` are the jobs', and `finish`
    is told of each chain that ended well."""
    cores = sorted(os.sched_getaffinity(0))
    slots: queue.Queue[list[int]] = queue.Queue()
    parallel = max(1, min(parallel, len(chains)))
    for slot in range(parallel):
        slots.put(cores[slot::parallel] or cores)
    failed: list[str] = []
    running: set[subprocess.Popen] = set()

    def work(chain: Chain) -> None:
        own = slots.get()
        try:
            for job in chain.jobs:
                if failed:
                    return
                _run_job(job, digests.get(job.kind, ""), out, own, running)
            finish(chain)
        except ValueError as error:
            failed.append(str(error))
        finally:
            slots.put(own)

    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        try:
            list(pool.map(work, chains))
        except BaseException:
            # Ctrl-C reaches them by itself, a SIGTERM to this process alone does not
            failed.append("stopped")
            for process in tuple(running):
                process.terminate()
            raise
    if failed:
        raise SweepError(failed[0])


def _is_done(job: Job, digest: str, out: Path) -> bool:
    """An error where the folder has it, and by another command, config or version."""
    mark = _place_mark(job, out)
    if not mark.is_file():
        return False
    done = json.loads(mark.read_text(encoding="utf-8"))
    if (done["command"], done.get("digest", "")) != (list(job.command), digest):
        raise SweepError(
            f"{job.name} was done by another command, config or version in {out}; choose another "
            f"OUT_DIR, or remove {mark} and what it made"
        )
    return True


def _place_mark(job: Job, out: Path) -> Path:
    return out / "done" / f"{job.name}.json"


def _run_job(
    job: Job, digest: str, out: Path, cores: list[int], running: set[subprocess.Popen]
) -> None:
    if _is_done(job, digest, out):
        return
    command, log = list(job.command), out / "logs" / f"{job.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable if word == "python" else word for word in command]
    began = time.monotonic()
    with log.open("wb") as file:
        # equal programs are compiled once for all runs
        compiled = {
            "JAX_COMPILATION_CACHE_DIR": str((out / "compiled").resolve()),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        }
        process = subprocess.Popen(
            words, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **compiled}
        )
        with contextlib.suppress(OSError):
            os.sched_setaffinity(process.pid, cores)
        running.add(process)
        status = process.wait()
        running.discard(process)
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").replace(
            "\r", "\n"
        ).strip().splitlines() or [""]
        raise SweepError(f"{job.name} ended with status {status}: {lines[-1][:200]}; see {log}")
    seconds = round(time.monotonic() - began, 1)
    told = {"command": command, "digest": digest, "seconds": seconds}
    write_whole(_place_mark(job, out), json.dumps(told) + "\n")
    print(f"{job.name}  {seconds:.0f} s", flush=True)


def _read_seconds(out: Path, job: Job) -> float:
    return float(json.loads(_place_mark(job, out).read_text(encoding="utf-8"))["seconds"])
