"""From answers to figures, without any model: what `python -m sift_jax.judge` does again with
another judge.

    out/answers.json                                      what results say of the answers: model, counts, seconds
    out/judge_check.json                                  the judge's verdicts on the planted answers, which come first
    out/predictions/*.jsonl ─┬─ functions ─────────────► out/verdicts/<system>.<metric>.jsonl ─┐
                             └─ judge, planted answers ► out/verdicts/<system>.<judge>.jsonl ──┴─► out/results.json
                                                                                                   out/report.{html,md}
"""

from __future__ import annotations

import collections
import dataclasses
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.evaluation.judges.control_answers import check_judge
from sift_jax.evaluation.judges.progress import show_progress
from sift_jax.evaluation.judges.verdicts import make_judge, read_verdicts, write_verdicts
from sift_jax.evaluation.report.measured_speech import read_generation
from sift_jax.evaluation.report.page import format_summary, write_report
from sift_jax.evaluation.scores.aggregate import make_cells
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.confusions import make_confusions
from sift_jax.evaluation.scores.metrics import SCORED, describe_metrics, judge_texts
from sift_jax.evaluation.scores.paired import compare_systems
from sift_jax.evaluation.scores.schema import (
    MODEL,
    TEXT_MODEL,
    EvaluationError,
    Item,
    Prediction,
    Verdict,
    read_predictions,
)
from sift_jax.field_ranges import CheckedConfig, MayBeEmpty, Text
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.storage.whole_files import write_whole

FORMAT = 1
ANSWERS = "answers.json"
CHECK = "judge_check.json"
JUDGED = "judge_"
# in the order in which systems are shown
SYSTEMS = (MODEL, TEXT_MODEL, "untrained", "majority", "constant")


class InvalidJudge(EvaluationError):
    """A judge that failed the planted answers, so that its scores would be worth nothing: it judged
    nothing else."""

    exit_code = 65


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgingConfig(CheckedConfig):
    """The folder of an evaluation whose answers are judged again."""

    out_dir: Text
    # as EvaluationConfig has it; "" leaves what the evaluation was given
    generation_dir: MayBeEmpty


def judge_again(
    *,
    run: JudgingConfig,
    judge: JudgeConfig,
    bootstrap: BootstrapConfig,
    launch: Launch = NO_FLAGS,
) -> Path:
    """Verdicts, results and report of a finished evaluation again; config.gin stays that of its
    answers."""
    out = Path(run.out_dir)
    path = out / ANSWERS
    if not path.is_file() or not (out / "predictions" / f"{MODEL}.jsonl").is_file():
        raise EvaluationError(
            f"{out} has no finished answers; make them by python -m sift_jax.evaluate"
        )
    if launch.dry_run:
        for system, predictions in read_systems(out).items():
            print(
                f"{system}: {len(predictions)} answers would be judged by "
                f"{judge.model or judge.name}"
            )
        return out
    facts = json.loads(path.read_text(encoding="utf-8"))
    if run.generation_dir:
        facts["generation"] = run.generation_dir
    judge_predictions(out, facts, judge, bootstrap)
    return out


def read_systems(out: Path) -> dict[str, list[Prediction]]:
    paths = {path.stem: path for path in (out / "predictions").glob("*.jsonl")}
    order = sorted(
        paths, key=lambda name: (SYSTEMS.index(name) if name in SYSTEMS else len(SYSTEMS), name)
    )
    return {system: list(read_predictions(paths[system])) for system in order}


def judge_predictions(
    out: Path, facts: Mapping[str, Any], config: JudgeConfig, bootstrap: BootstrapConfig
) -> None:
    """Writes verdicts, results.json and the report. `facts` is what results say of the answers
    themselves; they are kept first, so that answers whose judge was down can be judged by
    another."""
    started = time.perf_counter()
    write_whole(out / ANSWERS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    systems = read_systems(out)
    items = [prediction.item for prediction in systems[MODEL]]
    described = {"name": config.name, "planted": {"n": 0, "right": 0, "is_valid": True}}
    for system, predictions in systems.items():
        write_text_verdicts(out, system, predictions)
    if any(metric.startswith(JUDGED) for item in items for metric in item.metrics):
        with make_judge(config, out / "judge_cache.jsonl") as judge:
            planted = check_judge(
                judge,
                items,
                count=config.planted,
                threshold=config.planted_threshold,
                seed=bootstrap.seed,
            )
            check_planted(out, config, planted)
            for system, predictions in systems.items():
                total = count_judged(predictions)
                verdicts = show_progress(
                    judge.judge(predictions), total, system, judge.describe_cost
                )
                write_verdicts(verdict_path(out, system, judge.name), verdicts)
            described = {**judge.describe(), "planted": planted}
    results = {**facts, **summarize(out, systems, items, config.name, bootstrap)}
    if TEXT_MODEL in systems:
        results["forgetting"] = measure_forgetting(out, systems, items, config.name, bootstrap)
    results |= {"format": FORMAT, "judge": described, "metrics": describe_metrics(items)}
    if facts.get("generation"):
        spoken = read_generation(facts["generation"])
        results["cells"] += [dataclasses.asdict(cell) for cell in spoken.pop("cells")]
        results["generation"] = spoken
    results["suites"] = count_scored(
        facts["suites"], systems[MODEL], read_judged(out, MODEL, config.name, items)
    )
    results["seconds"] = {**facts["seconds"], "judge": time.perf_counter() - started}
    write_whole(out / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = write_report(out)
    print(format_summary(results))
    for name, suite in results["suites"].items():
        counts = suite["counts"]
        left = f", {counts['left_out']} left out by the limit" if counts.get("left_out") else ""
        print(
            f"{name}: {counts['scored']} of {counts['items']} scored, {counts['set_aside']} "
            f"skipped{left}"
        )
    print(f"report: {page}")


def check_planted(out: Path, config: JudgeConfig, planted: Mapping[str, Any]) -> None:
    """Keeps what the judge made of the planted answers, and ends the run where it failed them."""
    path = out / CHECK
    write_whole(path, json.dumps(planted, indent=1, ensure_ascii=False) + "\n")
    if not planted["is_valid"]:
        kinds = ", ".join(
            f"{right} of {n} {kind}" for kind, (right, n) in planted["kinds"].items() if n
        )
        raise InvalidJudge(
            f"the judge {config.model or config.name} failed the planted answers ({kinds}) and "
            f"was asked nothing else; {path} has its replies: take another judge, or one that "
            "follows its prompt"
        )


def count_judged(predictions: Sequence[Prediction]) -> int:
    return sum(metric.startswith(JUDGED) for p in predictions for metric in p.item.metrics)


def verdict_path(out: Path, system: str, judge: str) -> Path:
    return out / "verdicts" / f"{system}.{judge}.jsonl"


def write_text_verdicts(out: Path, system: str, predictions: Sequence[Prediction]) -> None:
    """Those of metrics that need no judge, a file each."""
    found: dict[str, list[Verdict]] = collections.defaultdict(list)
    for verdict in judge_texts(predictions):
        found[verdict.judge].append(verdict)
    for judge, verdicts in found.items():
        write_verdicts(verdict_path(out, system, judge), verdicts)


def read_judged(out: Path, system: str, judge: str, items: Iterable[Item]) -> list[Verdict]:
    """The verdicts behind the items' scores: those of the functions, and of the judge that
    counts."""
    names = dict.fromkeys(
        judge if name.startswith(JUDGED) else name for item in items for name in item.metrics
    )
    paths = [verdict_path(out, system, name) for name in names]
    return [verdict for path in paths if path.is_file() for verdict in read_verdicts(path)]


def summarize(
    out: Path,
    systems: Mapping[str, Sequence[Prediction]],
    items: Sequence[Item],
    judge: str,
    bootstrap: BootstrapConfig,
) -> dict[str, Any]:
    """The cells of all systems, and the confusions of the model."""
    cells = []
    for system, predictions in systems.items():
        verdicts = read_judged(out, system, judge, items)
        # a baseline may be of some suites alone
        for suite in dict.fromkeys(prediction.item.suite for prediction in predictions):
            own = [item for item in items if item.suite == suite]
            cells += make_cells(own, predictions, verdicts, system=system, bootstrap=bootstrap)
    return {
        "cells": [dataclasses.asdict(cell) for cell in cells],
        "confusions": make_confusions(systems[MODEL]),
    }


def measure_forgetting(
    out: Path,
    systems: Mapping[str, Sequence[Prediction]],
    items: Sequence[Item],
    judge: str,
    bootstrap: BootstrapConfig,
) -> list[dict[str, Any]]:
    """The model minus the decoder alone: each part of each suite, and all parts of a suite."""
    first, second = (
        (systems[system], read_judged(out, system, judge, items)) for system in (TEXT_MODEL, MODEL)
    )
    found = []
    for suite in dict.fromkeys(item.suite for item in items):
        own = [item for item in items if item.suite == suite]
        subsets = list(dict.fromkeys(item.subset for item in own))
        for subset in [*subsets, *([""] if len(subsets) > 1 else [])]:
            some = [item for item in own if subset in ("", item.subset)]
            for pair in compare_systems(some, first, second, bootstrap):
                found.append({"suite": suite, "subset": subset, **dataclasses.asdict(pair)})
    return found


def count_scored(
    suites: Mapping[str, Any], predictions: Sequence[Prediction], verdicts: Iterable[Verdict]
) -> dict[str, Any]:
    """How many of how many: by the first score of each item, the suite's own. Empty answers are
    scored, as wrong."""
    statuses = {(verdict.id, verdict.metric): verdict.status for verdict in verdicts}
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    empty: collections.Counter[str] = collections.Counter()
    for prediction in predictions:
        item = prediction.item
        empty[item.suite] += not prediction.answer.strip()
        counts[item.suite][statuses.get((item.id, item.metrics[0]), "no_judge")] += 1
    return {
        name: {
            **suite,
            "counts": {
                **suite["counts"],
                "answered": counts[name].total(),
                "empty": empty[name],
                "scored": counts[name][SCORED],
                "unscored": {status: n for status, n in counts[name].items() if status != SCORED},
            },
        }
        for name, suite in suites.items()
    }
