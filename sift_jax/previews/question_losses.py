"""What each question of a past batch cost: the cross-entropy of its answer, by the parameters that
are nearest to it.

checkpoints/ 500, 1000, 1500     step 1234 ─► those of step 1000
batch ─ a row at a time ─► −log p of every target ─► mean by question, each target by its weight
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from sift_jax.batch import Batch
from sift_jax.checkpoints.checkpoint import Checkpoints, load_params
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.plan.batch_plan import PlannedBatch
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params, SpeechLMConfig, compute_hidden
from sift_jax.pages.document import Note, Part, Row, Section, Table
from sift_jax.training.losses import choose_chunk, list_cross_entropy

# questions of the table, those that cost most; a large batch has thousands
SHOWN = 100
# row of the batch, group in it, segment of the group: a question
Place = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """The mean loss of a question's answer, over so many targets."""

    loss: float
    targets: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """The questions of a batch by their places, by the parameters of a checkpoint."""

    checkpoint: int
    by_place: dict[Place, Cost]


def find_checkpoint(run_dir: Path, step: int) -> int | None:
    """The newest checkpoint at or before a step; None where there is none."""
    if not (run_dir / "checkpoints").is_dir():
        return None
    with contextlib.closing(Checkpoints(run_dir, is_reader=True)) as saved:
        return max((found for found in saved.list_steps() if found <= step), default=None)


def measure_costs(run_dir: Path, checkpoint: int, batch: Batch) -> Costs:
    """What the questions of a batch cost a checkpoint."""
    config, _, params = load_params(run_dir, checkpoint)
    rows = range(len(batch["token_bt"]))
    # a row at a time: one device has less memory than those of the run together
    losses = [_list_losses(config, params, _take_row(batch, row)) for row in rows]
    return Costs(checkpoint=checkpoint, by_place=average(batch, np.concatenate(losses)))


def average(batch: Batch, losses_bm: np.ndarray) -> dict[Place, Cost]:
    """The losses of targets by question, each target by its weight."""
    sums: dict[Place, list[float]] = {}
    for row, target in zip(*np.nonzero(batch["weight_bm"] > 0), strict=True):
        # a target is predicted from the position before it
        position = batch["predict_bm"][row, target] + 1
        group, segment = (batch[key][row, position] for key in ("group_bt", "segment_bt"))
        found = sums.setdefault((int(row), int(group), int(segment)), [0.0, 0.0, 0])
        weight = float(batch["weight_bm"][row, target])
        for place, more in enumerate((weight * float(losses_bm[row, target]), weight, 1)):
            found[place] += more
    return {
        place: Cost(loss=loss / weight, targets=int(targets))
        for place, (loss, weight, targets) in sums.items()
    }


def make_losses_section(
    stream: BatchStream, planned: PlannedBatch, costs: Costs | None, step: int
) -> Section:
    """The questions, those that cost most first."""
    if costs is None:
        parts: Sequence[Part] = [
            Note(text=f"No checkpoint of the run at or before step {step} was read.")
        ]
    else:
        parts = [Note(text=_describe_checkpoint(costs.checkpoint, step))]
        parts = [*parts, _make_table(stream, planned, costs)]
    return Section(
        anchor="losses",
        title="Loss by question",
        lead="The cross-entropy of an answer in nats per token, each token by its weight.",
        parts=parts,
    )


def _describe_checkpoint(checkpoint: int, step: int) -> str:
    said = f"By the parameters of checkpoint {checkpoint}, without dropout: "
    if checkpoint == step:
        return said + "the update of this batch is in them."
    missing = step - 1 - checkpoint
    return said + (
        "those that the batch met."
        if not missing
        else f"the batch met parameters that were {missing} update{'s' * (missing > 1)} newer."
    )


def _make_table(stream: BatchStream, planned: PlannedBatch, costs: Costs) -> Table:
    tasks, groups = stream.plan.draws.tasks, planned.groups
    order = sorted(costs.by_place, key=lambda place: -_rank(costs.by_place[place].loss))
    rows = []
    for row, group, segment in order[:SHOWN]:
        cost = costs.by_place[row, group, segment]
        task = tasks[groups.task[planned.rows[row][group - 1]]].name
        where = f"sequence {row + 1}, recording {group}, question {segment}"
        rows.append(Row(title=task, figures=[where, f"{cost.targets:,}", f"{cost.loss:.4f}"]))
    count = len(order)
    most = f", the {SHOWN} of the largest loss" if count > SHOWN else ""
    return Table(
        title=f"{count:,} questions{most}",
        columns=["Task", "Where", "Tokens learnt", "Loss"],
        rows=rows,
    )


def _rank(loss: float) -> float:
    """What is not a number is the worst."""
    return float("inf") if np.isnan(loss) else loss


def _take_row(batch: Batch, row: int) -> Batch:
    return {name: values[row : row + 1] for name, values in batch.items()}


@functools.partial(jax.jit, static_argnums=0)
def _compute_losses(config: SpeechLMConfig, params: Params, batch: dict[str, Array]) -> Array:
    return list_cross_entropy(
        params["decoder"],
        compute_hidden(config, params, batch),
        batch["target_bm"],
        chunk=choose_chunk(*batch["target_bm"].shape),
    )


def _list_losses(config: SpeechLMConfig, params: Params, batch: Batch) -> np.ndarray:
    return np.asarray(_compute_losses(config, params, batch))
