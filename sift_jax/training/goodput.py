"""Where a run's time goes, over all of its starts: run/time.json.

    first start   │starting│compiling│data│training…│saving│evaluating│training…│ killed
    away          │ nobody runs it                                              │
    second start  │starting│compiling│training…

    goodput = training ÷ all of it; each other cause is a share of all of it, too

Steps that a restart does again were no use the first time: their part of `training` becomes
`redone`. A worked example: 100 s of training made 50 steps, the last checkpoint is of step 40, so
that 10 steps are done again: 20 s go from `training` to `redone`.

The file is written with each report. What a killed run did after its last report is `away`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sift_jax.storage.whole_files import write_whole

FILE = "time.json"
# what costs time beside training itself
CAUSES = ("starting", "compiling", "data", "saving", "evaluating", "redone", "away")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clocks:
    """The time of day, by which starts are compared, and one that never jumps; a test has others."""

    day: Callable[[], float] = time.time
    steady: Callable[[], float] = time.perf_counter


@dataclasses.dataclass(kw_only=True)
class Kept:
    """What the starts before have come to: seconds by cause, and steps that were trained."""

    starts: int = 0
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    steps: int = 0
    # the last step that was said, and when
    step: int = 0
    at: float | None = None


def read_time(run_dir: Path) -> Kept:
    """What time.json holds; nothing where there is none, or a torn one."""
    try:
        return Kept(**json.loads((run_dir / FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return Kept()


class TimeLedger:
    """Books the main thread's seconds by cause; what is booked nowhere is training."""

    def __init__(self, run_dir: Path, *, is_writer: bool, clocks: Clocks | None = None):
        self._run_dir, self._is_writer = run_dir, is_writer
        self._clocks = clocks or Clocks()
        self._kept = read_time(run_dir)
        self._begun = self._clocks.steady()
        self._booked = dict.fromkeys(CAUSES, 0.0)
        if self._kept.at is not None:
            self._booked["away"] = max(self._clocks.day() - self._kept.at, 0.0)
        self._first_step = self._step = 0

    def begin(self, first_step: int) -> None:
        """The first step comes next: all before was starting, and steps behind the checkpoint are
        done again."""
        self._booked["starting"] = self._clocks.steady() - self._begun
        self._first_step = self._step = first_step
        lost, kept = self._kept.step - first_step, self._kept.seconds
        if lost > 0 and self._kept.steps:
            training = kept.get("training", 0.0)
            redone = min(training * lost / self._kept.steps, training)
            kept["training"] = training - redone
            self._booked["redone"] = redone

    @contextlib.contextmanager
    def over(self, cause: str | None) -> Iterator[None]:
        """Around what that cause takes; None is training."""
        began = self._clocks.steady()
        yield
        if cause is not None:
            self.book(cause, self._clocks.steady() - began)

    def book(self, cause: str, seconds: float) -> None:
        self._booked[cause] += seconds

    def note_step(self, step: int) -> None:
        self._step = step

    def _sum(self) -> dict[str, float]:
        """Seconds by cause, of all starts; those before have been away and redone, too."""
        passed = self._clocks.steady() - self._begun
        here = {cause: x for cause, x in self._booked.items() if cause not in ("away", "redone")}
        now = {**self._booked, "training": max(passed - sum(here.values()), 0.0)}
        return {cause: self._kept.seconds.get(cause, 0.0) + x for cause, x in now.items()}

    def describe(self) -> dict[str, float]:
        """Goodput, and what each cause takes of the whole: lost/compiling, …"""
        seconds = self._sum()
        whole = max(sum(seconds.values()), 1e-9)
        shares = {f"lost/{cause}": seconds[cause] / whole for cause in CAUSES}
        return {"goodput": seconds["training"] / whole, **shares}

    def keep(self) -> None:
        """Writes down what all starts have come to."""
        if not self._is_writer:
            return
        now = Kept(
            starts=self._kept.starts + 1,
            seconds={cause: round(x, 3) for cause, x in self._sum().items()},
            steps=self._kept.steps + self._step - self._first_step,
            step=self._step,
            at=round(self._clocks.day(), 3),
        )
        write_whole(self._run_dir / FILE, json.dumps(dataclasses.asdict(now)) + "\n")
