"""What happens beside a step: hooks, called one after the other when it has been dispatched.

    state, metrics = train_step(state, batch)          dispatched, not waited for
    for hook in hooks:                                 report ─► dev batches ─► evaluation sets
        hook(StepEnd(step, state, batch, metrics, …))

A hook that is not due returns at once. None keeps the state: the next step consumes it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np

from sift_jax.batch import Batch
from sift_jax.checkpoints.train_state import State, join_params
from sift_jax.data.dev_batches import DevSet
from sift_jax.data.records.unreadable import count_logged
from sift_jax.parallel.distributed import is_first_process
from sift_jax.parallel.hardware import measure_memory
from sift_jax.parallel.mesh import is_pod
from sift_jax.training.compile_counter import Compilations
from sift_jax.training.dev_metrics import measure_dev
from sift_jax.training.evaluator import Evaluate
from sift_jax.training.flops import count_costs
from sift_jax.training.goodput import TimeLedger
from sift_jax.training.gradient_guard import SkipWatch
from sift_jax.training.job import TrainingJob
from sift_jax.training.losses import Terms
from sift_jax.training.metrics import Meter, MetricWriter
from sift_jax.training.preference import DpoConfig, make_pair_dev_step
from sift_jax.training.status_line import StatusLine
from sift_jax.training.step import make_dev_step

# a batch onto the devices
Put = Callable[[Batch], dict[str, jax.Array]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepEnd:
    """A step that has been dispatched: its metrics may still be on their way."""

    step: int
    is_last: bool
    state: State
    # this process's rows, as the host has them
    batch: Batch
    metrics: dict[str, Any]
    # seconds that the batch was waited for
    waited: float
    # what the batch was made of, for batches.jsonl; the names of its items only where they are
    # asked for
    facts: dict[str, Any]
    name_items: Callable[[], Any]


class Hook(Protocol):
    # what its time is booked as (goodput.py); None is training
    cause: str | None

    def __call__(self, end: StepEnd) -> None:
        """Does what is due after this step."""


class ReportHook:
    """Figures: a line a batch, and every `log_every` steps a report. It ends a run that leaves out
    too many updates."""

    cause: str | None = None

    def __init__(
        self,
        job: TrainingJob,
        writer: MetricWriter,
        compilations: Compilations,
        ledger: TimeLedger,
        *,
        share: float,
        first_step: int,
    ):
        run = job.run
        self._job, self._writer, self._compilations = job, writer, compilations
        self._ledger = ledger
        # on a terminal a bar says it
        has_reader = is_pod(job.mesh) and not sys.stderr.isatty()
        self._status = (
            StatusLine(writer.say, run=job.out_dir.name, steps=run.steps) if has_reader else None
        )
        self._meter = Meter(
            count_costs(job.model, run.trainable), job.hardware, job.mesh.devices.size, share=share
        )
        self._skips = SkipWatch(
            job.out_dir,
            most_in_a_row=run.most_skipped_in_a_row,
            most_share=run.most_skipped_share,
            first_step=first_step,
            is_writer=is_first_process(),
        )

    def __call__(self, end: StepEnd) -> None:
        run = self._job.run
        self._writer.write_batch(end.step, end.facts)
        self._skips.see(
            end.step, end.batch, end.metrics, lambda: {**end.facts, "items": end.name_items()}
        )
        self._meter.add(end.batch, end.metrics["loss"], end.waited)
        self._writer.advance()
        if end.step % run.log_every == 0 or end.is_last:
            self._skips.settle()
            values = self._meter.report(run.steps - end.step) | self._describe_update(end)
            # of all processes, as far as they have written it down
            values["unreadable"] = count_logged(self._job.out_dir)
            values |= self._compilations.describe() | measure_memory() | self._ledger.describe()
            self._writer.write(end.step, values)
            self._ledger.keep()
            if self._status is not None:
                self._status.keep(values)
        if self._status is not None:
            self._status.see(end.step)

    def _describe_update(self, end: StepEnd) -> dict[str, float]:
        skipped = int(end.metrics["skipped"])
        # the optimizer counts the updates before this one
        rate = float(self._job.schedule(max(end.step - 1 - skipped, 0)))
        return {
            "learning_rate": rate,
            "grad_norm": float(end.metrics["grad_norm"]),
            "skipped": skipped,
            **describe_terms(end.metrics.get("terms", {})),
        }

    def close(self) -> None:
        """Looks at the outcome of the last step, too."""
        self._skips.settle()


def describe_terms(terms: Terms) -> dict[str, float]:
    """The mean of each term of the last step's loss; a term that nothing counted for has none."""
    found = {name: (float(total), float(weight)) for name, (total, weight) in terms.items()}
    return {name: total / weight for name, (total, weight) in found.items() if weight}


class DevHook:
    """The loss on held-out batches, in all and by task, every `dev_every` steps."""

    cause: str | None = "evaluating"

    def __init__(self, job: TrainingJob, dev: DevSet, put: Put, writer: MetricWriter):
        self._every, self._dev, self._put, self._writer = job.run.dev_every, dev, put, writer
        self._step = make_dev_step(
            job.model, job.mesh, microbatches=job.run.microbatches, tasks=dev.in_split
        )

    def __call__(self, end: StepEnd) -> None:
        if end.step % self._every == 0 or end.is_last:
            values = measure_dev(
                self._step, end.state, self._dev.batches, self._put, self._dev.tasks
            )
            self._writer.write_dev(end.step, values)


class PairDevHook:
    """The same of held-out pairs of answers: loss, margin, and the share that comes out right."""

    cause: str | None = "evaluating"

    def __init__(
        self, job: TrainingJob, dpo: DpoConfig, dev: DevSet, put: Put, writer: MetricWriter
    ):
        self._every, self._dev, self._put, self._writer = job.run.dev_every, dev, put, writer
        self._step = make_pair_dev_step(job.model, dpo, job.mesh, microbatches=job.run.microbatches)

    def __call__(self, end: StepEnd) -> None:
        if end.step % self._every and not end.is_last:
            return
        sums: dict[str, np.ndarray] = {}
        for batch in self._dev.batches:
            for name, pair in self._step(end.state, self._put(batch)).items():
                sums[name] = sums.get(name, np.zeros(2)) + np.array([float(x) for x in pair])
        values = {f"dev_{name}": float(total / pairs) for name, (total, pairs) in sums.items()}
        self._writer.write(end.step, values)
        self._writer.say(
            f"step {end.step}: dev loss {values['dev_loss']:.3f}, pairs right "
            f"{values['dev_pair_accuracy']:.1%}, margin {values['dev_margin']:+.3f}"
        )


class EvaluationHook:
    """Evaluation sets, asked of the parameters as they are; the evaluator knows when it is its
    turn."""

    cause: str | None = "evaluating"

    def __init__(self, evaluate: Evaluate, writer: MetricWriter):
        self._evaluate, self._writer = evaluate, writer

    def __call__(self, end: StepEnd) -> None:
        params = join_params(end.state["trainable"], end.state["frozen"])
        if found := self._evaluate(end.step, params, end.is_last):
            self._writer.write_evaluation(end.step, found.figures, found.line)
            self._writer.write_samples(end.step, found.samples)
