"""What benchmarks of two sides share: the same cores for both, and turns, so that another load
slows both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def take_cores(count: int, *, flag: str) -> None:
    """Restricts this process to so many cores; before numpy, jax and torch are imported, which read
    it once."""
    cores = sorted(os.sched_getaffinity(0))
    if count > len(cores):
        raise SystemExit(f"error: {count} cores of {len(cores)}; set --{flag}={len(cores)}")
    # jax takes as many threads as it may use cores
    os.sched_setaffinity(0, cores[:count])
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))


def measure(
    calls: dict[Hashable, Callable[[], object]], rounds: int
) -> dict[Hashable, dict[str, list[float]]]:
    """Wall and CPU seconds of each call in each round, the calls taking turns."""
    taken = {name: {"wall": [], "cpu": []} for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken[name]["wall"].append(time.perf_counter() - wall)
            taken[name]["cpu"].append(time.process_time() - cpu)
    return taken
