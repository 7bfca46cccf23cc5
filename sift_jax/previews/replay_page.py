"""A batch that a run was trained on, from the number of its step alone, as a page.

    run/config.gin ─► the run's stream; plan.get_batch(step - 1) ─► its rows, questions and recordings
    run/checkpoints, the nearest at or before the step           ─► what each question cost
    run/batches.jsonl, skipped/skipped.jsonl, metrics.jsonl      ─► that it is the same batch, and how it went

A plan is a pure function of the mixture, the records and the seed, so that nothing has to be kept
of a batch. That nothing has changed since is shown by the hash that the run wrote down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sift_jax.data.batch_stream import BatchStream
from sift_jax.pages.document import Document, Note, Part, Row, Section, Table
from sift_jax.previews.open_mixture import open_gin_mixture
from sift_jax.previews.page import (
    STYLE_PATH,
    make_examples_section,
    make_packing_section,
    make_tiles,
    read_shown,
)
from sift_jax.previews.question_losses import find_checkpoint, make_losses_section, measure_costs


def open_run(
    run_dir: Path, bindings: Sequence[str] = (), modules: Sequence[ModuleType] = ()
) -> BatchStream:
    """The training batches of a run, by the config that it left."""
    config = run_dir / "config.gin"
    if not config.is_file():
        raise ValueError(f"{run_dir} is not a run of sift_jax (no config.gin); give a run's folder")
    return open_gin_mixture([str(config)], bindings, modules=modules)


def make_replay_page(
    stream: BatchStream, run_dir: Path, step: int, *, count: int, has_losses: bool = True
) -> Document:
    """The page of a step, with `count` of its recordings; with the loss of its questions, where that
    is wanted and there is a checkpoint to compute it by."""
    planned = stream.plan.get_batch(step - 1)
    said = _find_line(run_dir / "batches.jsonl", step)
    if said is not None and said["hash"] != planned.hash:
        raise ValueError(
            f"step {step} of {run_dir} was trained on the batch {said['hash']}, and its config "
            f"draws {planned.hash} now: the records, the tokenizer or a module are others; name "
            "those of the run by --gin.DataConfig.records=…, or check out its version"
        )
    (batch,) = (batch for _, batch in stream.read([planned]))
    shown, unread = read_shown(stream, count, [(planned, batch)])
    checkpoint = find_checkpoint(run_dir, step) if has_losses else None
    costs = None if checkpoint is None else measure_costs(run_dir, checkpoint, batch)
    asked = [make_losses_section(stream, planned, costs, step)] if has_losses else []
    lead = "A line is a packed sequence, a block a recording with its questions."
    return Document(
        title="sift_jax · replay",
        intro=f"{run_dir}: the batch of step {step}.",
        top=[make_tiles(stream, planned)],
        sections=[
            _make_outcome_section(run_dir, step, planned.hash, is_known=said is not None),
            make_packing_section(stream, planned, title="The batch", lead=lead),
            *asked,
            make_examples_section(
                stream,
                shown,
                unread,
                title="Its recordings",
                lead="In the order of the batch.",
                losses={place: cost.loss for place, cost in costs.by_place.items()}
                if costs
                else {},
            ),
        ],
        footer=f"Records {stream.config.records} · tokenizer {stream.config.tokenizer}",
        style=STYLE_PATH.read_text(encoding="utf-8"),
    )


def _make_outcome_section(run_dir: Path, step: int, name: str, *, is_known: bool) -> Section:
    """What the run said of the step."""
    same = f"The run wrote down the same hash, {name}: it is that batch."
    unknown = f"The run wrote down no hash for this step; the plan draws {name}."
    parts: list[Part] = [Note(text=same if is_known else unknown)]
    if skipped := _find_line(run_dir / "skipped" / "skipped.jsonl", step):
        loss, norm = skipped["loss"], skipped["grad_norm"]
        parts.append(
            Note(text=f"Its update was left out: loss {loss}, gradient norm {norm}.", kind="alarm")
        )
    if report := _find_report(run_dir, step):
        names = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "token_efficiency")
        rows = [
            Row(title=name, figures=[f"{report[name]:.4g}"]) for name in names if name in report
        ]
        parts.append(
            Table(
                title=f"The report at step {report['step']}, of the steps since the one before",
                columns=["figure", "value"],
                rows=rows,
            )
        )
    return Section(
        anchor="outcome",
        title="How it went",
        lead="From the run's own files.",
        parts=parts,
    )


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            # a kill may have torn the last line
            if line.endswith("}"):
                yield json.loads(line)


def _find_line(path: Path, step: int) -> dict[str, Any] | None:
    return next((line for line in _read_lines(path) if line["step"] == step), None)


def _find_report(run_dir: Path, step: int) -> dict[str, Any] | None:
    """The first report of training from that step on."""
    lines = _read_lines(run_dir / "metrics.jsonl")
    return next((line for line in lines if line["step"] >= step and "loss" in line), None)
