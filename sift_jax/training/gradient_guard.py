"""Updates that would do harm are left out: gradients that are no numbers, and spikes.

    gradients, loss ─► finite, and no larger than the limit? ─► optimizer ─► update
                       else ─► no update, moments as they were, one more in a row

    limit = spike_factor × LENIENCE^skipped × running mean of gradient norms

A task whose gradients are always large must get in: one that comes every 25th step would else be
left out every time, come one by one and be no row of skips, and never be learnt. So what is left
out moves the mean, as far as the limit goes, and every skip makes the limit a little larger for
good: whatever its size and however rare it is, the task is let in after finitely many. What is 30
times as large as the rest, at a spike_factor of 10, after 12 if it comes in every 25th step; 100
times as large and in every 1000th, after 48.

Its counts are part of the optimizer's state, so that a resumed run decides as an unbroken one does.
The host counts the skips among the last steps besides, and ends a run of which too large a share is
left out.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from sift_jax.batch import Batch
from sift_jax.storage.whole_files import write_whole

# of the running mean of gradient norms, and the updates it takes before anything counts as a spike
MEMORY = 0.98
ACQUAINTANCE = 50
# how much larger the limit is for each update that was left out: twice after 14
LENIENCE = 1.05
# steps of which a share may be skipped
WINDOW = 200
# batches written to disk whole; of the rest there is a line
KEPT_BATCHES = 10


class GuardState(NamedTuple):
    """What the guard remembers, and the optimizer's own state."""

    mean_norm: jax.Array
    accepted: jax.Array
    skipped: jax.Array
    skipped_in_a_row: jax.Array
    inner: optax.OptState


def guard_updates(
    inner: optax.GradientTransformation, spike_factor: float | None
) -> optax.GradientTransformationExtraArgs:
    """`inner`, left out where loss (`value`) or gradients are not finite, or spike; None looks for
    no spikes."""

    def init(params: optax.Params) -> GuardState:
        # an array each: what is donated to the step may be no other's, too
        accepted, skipped, in_a_row = (jnp.zeros((), jnp.int32) for _ in range(3))
        return GuardState(jnp.zeros(()), accepted, skipped, in_a_row, inner.init(params))

    def update(
        grads: optax.Updates,
        state: GuardState,
        params: optax.Params | None = None,
        *,
        value: jax.Array | float = 0.0,
    ) -> tuple[optax.Updates, GuardState]:
        norm = optax.tree.norm(grads)
        is_finite = jnp.isfinite(norm) & jnp.isfinite(value)
        is_good, counted = is_finite, norm
        if spike_factor is not None:
            # no further than float32 goes
            lenience = LENIENCE ** jnp.minimum(state.skipped, 1000).astype(jnp.float32)
            limit = spike_factor * lenience * state.mean_norm
            is_good &= (state.accepted < ACQUAINTANCE) | (norm <= limit)
            counted = jnp.where(is_good, norm, jnp.minimum(norm, limit))
        updates, inner_state = inner.update(grads, state.inner, params)
        mean = jnp.where(
            state.accepted > 0, MEMORY * state.mean_norm + (1 - MEMORY) * counted, counted
        )
        taken = GuardState(
            mean, state.accepted + 1, state.skipped, jnp.zeros((), jnp.int32), inner_state
        )
        left = state._replace(
            mean_norm=jnp.where(is_finite, mean, state.mean_norm),
            skipped=state.skipped + 1,
            skipped_in_a_row=state.skipped_in_a_row + 1,
        )
        new_state = jax.tree.map(lambda new, old: jnp.where(is_good, new, old), taken, left)
        return jax.tree.map(lambda x: jnp.where(is_good, x, 0), updates), new_state

    return optax.GradientTransformationExtraArgs(init, update)


class SkipWatch:
    """Looks at each step's outcome when the next has begun, so that nothing waits for it; writes
    down what was skipped.

    run/skipped/skipped.jsonl    {"step": 812, "loss": "nan", "grad_norm": "nan", "hash": …, "items": …} a skipped step
    run/skipped/step812.npz      the batch itself, of the first few

    The run ends where `most_in_a_row` follow each other, and where more than `most_share` of the
    last WINDOW steps were skipped: one that resumes from `first_step` knows those before it from
    that file.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        most_in_a_row: int,
        most_share: float,
        first_step: int,
        is_writer: bool,
    ):
        self._folder, self._is_writer = run_dir / "skipped", is_writer
        self._most_in_a_row, self._most_share = most_in_a_row, most_share
        self._waiting: tuple[int, Batch, dict, Callable[[], dict]] | None = None
        lines = self._read_lines(first_step)
        # of each step skipped in the window, the tasks that its batch had
        self._recent = {
            line["step"]: _name_tasks(line) for line in lines if line["step"] > first_step - WINDOW
        }

    def _read_lines(self, first_step: int) -> list[dict]:
        """What was skipped up to that step; what came after it is done again, and said again."""
        path = self._folder / "skipped.jsonl"
        if not path.is_file():
            return []
        # a kill may have torn the last line
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        kept = [line for line in lines if line["step"] <= first_step]
        if self._is_writer and len(kept) < len(lines):
            write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))
        return kept

    def see(
        self, step: int, batch: Batch, metrics: dict[str, jax.Array], name: Callable[[], dict]
    ) -> None:
        """`name` says what the data knows of the batch: its hash, and which records it holds."""
        self.settle()
        self._waiting = (step, batch, metrics, name)

    def settle(self) -> None:
        """Decides on the step last seen."""
        if self._waiting is None:
            return
        (step, batch, metrics, name), self._waiting = self._waiting, None
        in_a_row = int(metrics["skipped_in_a_row"])
        if not in_a_row:
            return
        found = {key: float(metrics[key]) for key in ("loss", "grad_norm")}
        line = {"step": step, **{k: str(x) for k, x in found.items()}, **name()}
        self._recent = {s: tasks for s, tasks in self._recent.items() if s > step - WINDOW}
        self._recent[step] = _name_tasks(line)
        if self._is_writer:
            self._write(step, batch, line)
            tqdm.write(
                f"step {step}: the update is left out (loss {found['loss']:.4g}, gradient norm "
                f"{found['grad_norm']:.4g}"
                f"), {len(self._recent)} of the last {WINDOW} steps; see {self._folder}"
            )
        if in_a_row >= self._most_in_a_row:
            raise FloatingPointError(
                f"{in_a_row} updates in a row were skipped up to step {step} (loss "
                f"{found['loss']}, gradient norm {found['grad_norm']}); their batches are in "
                f"{self._folder}; lower PEAK_LR, or look at them"
            )
        if len(self._recent) > self._most_share * WINDOW:
            raise FloatingPointError(self._describe_share())

    def _describe_share(self) -> str:
        steps = sorted(self._recent)
        shown = ", ".join(map(str, steps[-5:]))
        counts = collections.Counter(task for tasks in self._recent.values() for task in tasks)
        tasks = ", ".join(f"{task} in {count}" for task, count in counts.most_common(3))
        of_them = f"; of their batches there is {tasks}" if tasks else ""
        return (
            f"{len(steps)} of the last {WINDOW} updates were skipped (more than "
            f"RunConfig.most_skipped_share = {self._most_share:g}), the last at steps "
            f"{shown}{of_them}; their items are in {self._folder}/skipped.jsonl: look at them, "
            "lower PEAK_LR, or raise OptimizerConfig.spike_factor"
        )

    def _write(self, step: int, batch: Batch, line: dict) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "skipped.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        if len(list(self._folder.glob("*.npz"))) < KEPT_BATCHES:
            # the stub takes any of a batch's names for its one option, allow_pickle
            np.savez_compressed(self._folder / f"step{step}.npz", **batch)  # type: ignore[arg-type]


def _name_tasks(line: dict) -> frozenset[str]:
    """The tasks of a batch's items, which are task#number, row by row."""
    return frozenset(item.rpartition("#")[0] for row in line.get("items", []) for item in row)
