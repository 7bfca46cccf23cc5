"""Traces of some steps, as XProf and TensorBoard's profile page read them.

--profile=100:105  ─► steps 100 to 105 ─► run/profile/plugins/profile/<time>/<host>.xplane.pb, of each process

Every step is annotated by its number, so that XProf tells them apart. A trace holds what the host
and the devices do, and grows by megabytes a step: a handful are enough.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

FOLDER = "profile"


class Profile:
    """Traces the steps that were asked for; without any, it annotates steps and costs nothing."""

    def __init__(
        self, run_dir: Path, steps: tuple[int, int] | None, say: Callable[[str], object] = print
    ):
        self._folder, self._steps, self._say = run_dir / FOLDER, steps, say
        self._is_tracing = False

    @contextlib.contextmanager
    def over(self, step: int) -> Iterator[None]:
        """Around the dispatch of a step."""
        if self._steps and not self._is_tracing and self._steps[0] <= step <= self._steps[1]:
            jax.profiler.start_trace(self._folder)
            self._is_tracing = True
            self._say(f"profiling steps {step} to {self._steps[1]}")
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield

    def see(self, step: int, outcome: Any) -> None:
        """After a step, with what it gives back: the last one is waited for, and the trace is
        written."""
        if self._is_tracing and self._steps and step >= self._steps[1]:
            jax.block_until_ready(outcome)
            self.close()

    def close(self) -> None:
        """Ends a trace that is under way, as where the run ends within it."""
        if self._is_tracing:
            self._is_tracing = False
            jax.profiler.stop_trace()
            self._say(f"the profile is in {self._folder}; xprof --logdir={self._folder} shows it")
            self._steps = None
