"""One line a minute for whoever reads a run's log by a program: words of the form name=value.

    status at=2026-03-01T09:30:00Z run=stage2 step=1200 steps=200000 seconds_a_step=1.64 loss=2.31 goodput=0.91 …

It says so whether or not a report was due since, so that a log without new lines is a run that
hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

SECONDS = 60.0
# of the last report
SHOWN = (
    "loss",
    "tokens_per_second",
    "mfu",
    "data_wait_share",
    "memory_gb",
    "memory_peak_gb",
    "eta_seconds",
    "goodput",
)


class StatusLine:
    """Says the line when a minute has passed, and at the first step."""

    def __init__(
        self,
        say: Callable[[str], object],
        *,
        run: str,
        steps: int,
        now: Callable[[], float] = time.monotonic,
    ):
        self._say, self._run, self._steps, self._now = say, run, steps, now
        self._said: tuple[float, int] | None = None
        self._latest: dict[str, float] = {}

    def keep(self, values: Mapping[str, float]) -> None:
        """The figures of a report stay in sight until the next."""
        self._latest |= {name: values[name] for name in SHOWN if name in values}

    def see(self, step: int) -> None:
        """After each step."""
        now = self._now()
        if self._said is not None and now - self._said[0] < SECONDS:
            return
        words = [
            "status",
            f"at={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
            f"run={self._run}",
            f"step={step}",
            f"steps={self._steps}",
        ]
        if self._said is not None and step > self._said[1]:
            words.append(f"seconds_a_step={(now - self._said[0]) / (step - self._said[1]):.3g}")
        words += [f"{name}={value:.4g}" for name, value in self._latest.items()]
        self._said = (now, step)
        self._say(" ".join(words))
