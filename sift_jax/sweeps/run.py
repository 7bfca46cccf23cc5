"""Runs a sweep, one process after the other or several side by side, and writes its page.

    out/done/<job>.json      a job that ended well, with its command: it is not run again
    out/logs/<job>.log       what it said
    out/results.json  report.html  report.md

A job that fails leaves the others of its stage to end, and ends the sweep with the place of its
log; the same command goes on from there. Trainings and evaluations that were stopped go on within,
as they do by themselves.
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
from pathlib import Path

from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.storage.whole_files import write_whole
from sift_jax.sweeps.page import write_page
from sift_jax.sweeps.plan import Job, SweepConfig, list_stages
from sift_jax.sweeps.results import QuestionsConfig, gather_results


class SweepError(ValueError):
    """A sweep that cannot go on; one line with the remedy."""


def sweep(
    *,
    run: SweepConfig,
    questions: QuestionsConfig,
    bootstrap: BootstrapConfig,
    launch: Launch = NO_FLAGS,
) -> None:
    """The whole sweep; what is done is kept."""
    stages = list_stages(run)
    questions.check(run)
    if launch.dry_run:
        print(
            "\n".join(" ".join(job.command) for stage in stages for chain in stage for job in chain)
        )
        return
    out = Path(run.out_dir)
    write_whole(out / "config.gin", launch.config_text)
    began = time.monotonic()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for stage in stages:
            _run_stage(stage, out, run.parallel)
    finally:
        signal.signal(signal.SIGTERM, before)
    results = gather_results(run, questions, bootstrap)
    results["seconds"] = _sum_seconds(out, stages)
    write_whole(out / "results.json", json.dumps(results, indent=1) + "\n")
    page = write_page(results, out)
    print(f"sweep done in {time.monotonic() - began:.0f} s: {page}")


def _run_stage(chains: list[list[Job]], out: Path, parallel: int) -> None:
    """Chains side by side, each in a slot with its share of the cores."""
    cores = sorted(os.sched_getaffinity(0))
    slots: queue.Queue[list[int]] = queue.Queue()
    parallel = max(1, min(parallel, len(chains)))
    for slot in range(parallel):
        slots.put(cores[slot::parallel] or cores)
    failed: list[str] = []
    running: set[subprocess.Popen] = set()

    def work(chain: list[Job]) -> None:
        own = slots.get()
        try:
            for job in chain:
                if failed:
                    return
                _run_job(job, out, own, running)
        except SweepError as error:
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


def _run_job(job: Job, out: Path, cores: list[int], running: set[subprocess.Popen]) -> None:
    mark, log = out / "done" / f"{job.name}.json", out / "logs" / f"{job.name}.log"
    command = list(job.command)
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8"))["command"] == command:
            return
        raise SweepError(
            f"{job.name} was done by another command in {out}; choose another OUT_DIR, or remove "
            f"{mark} and what it made"
        )
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
    write_whole(mark, json.dumps({"command": command, "seconds": seconds}) + "\n")
    print(f"{job.name}  {seconds:.0f} s", flush=True)


def _sum_seconds(out: Path, stages: list[list[list[Job]]]) -> float:
    """Of all processes, whenever they ran."""
    jobs = [job for stage in stages for chain in stage for job in chain]
    marks = (out / "done" / f"{job.name}.json" for job in jobs)
    return round(sum(json.loads(mark.read_text(encoding="utf-8"))["seconds"] for mark in marks), 1)
