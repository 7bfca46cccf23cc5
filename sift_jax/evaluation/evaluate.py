"""The evaluate run: answers of a checkpoint and of two baselines, figures, predictions and the report.

checkpoint, data ─► out/predictions.jsonl  out/results.json  out/report.html  and a summary on the terminal
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp

from sift_jax.data.pipeline import BatchStream, DataConfig
from sift_jax.data.sift_files import list_files, read_rows
from sift_jax.decoding.answer import Model
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.evaluation.evalsift import (
    UNDERSTANDING,
    ClipReader,
    Item,
    _name_kind,
    answer_items,
    make_predictions,
    read_items,
    split_answerable,
    summarize,
)
from sift_jax.evaluation.items import Cell, Prediction, Verdict, write_prediction
from sift_jax.evaluation.items import Item as AskedItem
from sift_jax.evaluation.judges import make_majority, question_kind
from sift_jax.evaluation.report.page import format_summary, write_report
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.loop import make_geometry
from sift_jax.training.step import make_dev_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is evaluated, on what, and where the results go."""

    out_dir: str
    checkpoint: str
    step: int | None
    data_dir: str
    split: str
    # rows of each category and language; 0 takes all
    limit: int
    rows: int
    # name → folder of the training runs whose curves the report shows
    train_dirs: Mapping[str, str]


def measure_audio_gain(model: Model, data: DataConfig, split: str, modules: tuple[ModuleType, ...]) -> float:
    """Loss on the split with other utterances' audio minus loss with its own: how much the model listens."""
    stream = BatchStream(data, make_geometry(model.config), split=split, is_endless=False, modules=modules)
    one_device = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    dev_step = make_dev_step(model.config, one_device)
    state = {"trainable": model.params, "frozen": {}}
    sums = [dev_step(state, jax.tree.map(jnp.asarray, batch)) for _, batch in stream.batches()]
    weight = sum(float(s["weight"]) for s in sums)
    return (sum(float(s["swapped_loss"]) for s in sums) - sum(float(s["loss"]) for s in sums)) / max(weight, 1.0)


def answer_by_majority(items: list[Item], sift_dir: Path) -> list[str]:
    """For each item the commonest training answer to questions of its kind, in its language."""
    train = []
    for category in UNDERSTANDING:
        for path in list_files(sift_dir, "train", category):
            train += [Item(category=category, language=path.parent.name, row=row) for row in read_rows(path)]
    table = make_majority([(item.category, item.language, item.reference) for item in train])
    return [
        table.get((item.category, item.language, question_kind(item.reference, item.language)), "") for item in items
    ]


def _read_seconds(train_dirs: Mapping[str, str]) -> dict[str, float]:
    """How long each training run took, from the last line of its metrics."""
    seconds = {}
    for name, folder in train_dirs.items():
        path = Path(folder) / "metrics.jsonl"
        timed = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        timed = [line["seconds"] for line in timed if "seconds" in line]
        if timed:
            seconds[name] = timed[-1]
    return seconds


SYSTEMS = {"model": "answer", "majority": "majority", "untrained": "untrained"}


def write_folder(out: Path, predictions: list[dict], audio_dir: Path) -> None:
    """Predictions and verdicts of each system, as the report reads them."""
    for folder in ("predictions", "verdicts"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for system, key in SYSTEMS.items():
        answers, verdicts = [], []
        for number, row in enumerate(predictions):
            metric = "judge_open" if row["category"] == "open_ended" else "judge_closed"
            parts = [{"audio_path": str(audio_dir / f"{name}.flac")} for name in row["audio"]]
            item = AskedItem(
                id=f"{row['id']}#{number}", suite="evalsift", subset=row["category"], language=row["language"],
                messages=({"role": "user", "content": [*parts, {"text": row["question"]}]},),
                references=(row["reference"],), metrics=(metric,), facets={"kind": _name_kind(row)},
            )
            answers.append(write_prediction(Prediction(item=item, answer=row[key])))
            score = row["scores"]["answer" if system == "model" else system]
            verdict = Verdict(id=item.id, judge="offline", score=score, status="scored", metric=metric)
            verdicts.append(json.dumps(dataclasses.asdict(verdict)) + "\n")
        (out / "predictions" / f"{system}.jsonl").write_text("".join(answers))
        (out / "verdicts" / f"{system}.offline.jsonl").write_text("".join(verdicts))


def make_cells(summary: dict) -> list[dict]:
    """The figures of `summarize`, one cell each."""
    cells = []

    def add(subset: str, entry: dict, language: str = "", facet: str = "") -> None:
        metric = "judge_open" if subset == "open_ended" else "judge_closed"
        for system in SYSTEMS:
            value = entry.get("accuracy", entry.get("score")) if system == "model" else entry[system]
            cells.append(dataclasses.asdict(Cell(
                suite="evalsift", subset=subset, language=language, facet=facet, metric=metric, system=system,
                value=value, low=None, high=None, n=entry["n"], of=entry["n"])))

    parts = {("closed_ended" if n == "mean" else f"closed_ended/{n}"): e for n, e in summary["closed_ended"].items()}
    parts |= {"open_ended": summary["open_ended"]} if "open_ended" in summary else {}
    for subset, entry in parts.items():
        add(subset, entry)
        for language, figures in entry.get("languages", {}).items():
            add(subset, figures, language=language)
        for kind, figures in entry.get("kinds", {}).items():
            add(subset, figures, facet=f"kind={kind}")
    return cells


def evaluate(
    *,
    run: EvaluationConfig,
    data: DataConfig,
    decoding: DecodingConfig,
    dry_run: bool = False,
    modules: tuple[ModuleType, ...] = (),
    config_text: str = "",
) -> Path:
    """Evaluates and writes everything; returns the folder."""
    out, data_dir = Path(run.out_dir), Path(run.data_dir)
    items = read_items(data_dir / "sift", run.split, run.limit)
    if dry_run:
        print(f"{len(items)} rows of {run.split} would be answered by {run.checkpoint} and by two baselines")
        return out
    started = time.perf_counter()
    model = Model.load(run.checkpoint, run.step)
    reader = ClipReader(data_dir / "audio", model.config.encoder.window_seconds)
    items, rejected = split_answerable(items, reader)
    answers = {
        name: answer_items(system, items, reader, decoding, rows=run.rows, name=name)
        for name, system in (("answer", model), ("untrained", model.forget()))
    }
    answers["majority"] = answer_by_majority(items, data_dir / "sift")
    predictions = make_predictions(items, answers)
    counts = {"items": len(items), "set_aside": len(rejected), "answered": len(items), "scored": len(items)}
    aside = [{"id": r["id"], "subset": r["category"], "reason": r["reason"]} for r in rejected[:100]]
    results = {
        "format": 1,
        "name": out.name,
        "model": {
            "checkpoint": run.checkpoint,
            "step": model.step,
            "parameters": {"total": sum(x.size for x in jax.tree.leaves(model.params))},
            "decoding": dataclasses.asdict(decoding),
        },
        "judge": {"name": "offline"},
        "suites": {"evalsift": {"counts": {**counts, "unscored": {}}, "set_aside": aside}},
        "cells": make_cells(summarize(predictions)),
        "confusions": [],
        "audio_gain": measure_audio_gain(model, data, run.split, modules),
        "data": str(data_dir),
        "training": dict(run.train_dirs),
        "seconds": {**_read_seconds(run.train_dirs), "evaluate": time.perf_counter() - started},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.gin").write_text(config_text)
    write_folder(out, predictions, data_dir / "audio")
    (out / "results.json").write_text(json.dumps(results, indent=1))
    report = write_report(out)
    print(format_summary(results))
    if rejected:
        print(f"{len(rejected)} of {len(rejected) + len(items)} rows set aside: see {out}/results.json")
    print(f"report: {report}")
    return out
