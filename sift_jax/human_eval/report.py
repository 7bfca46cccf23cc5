"""What the raters say: means with intervals by system, their agreement, and the judge beside them.

study ─► results.json   {"scales": {"score": {"alpha": .71, "systems": {"model": {"mean": 6.2, "low": …}}}}, …}
      ─► report.html, report.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import pearsonr, spearmanr

from sift_jax.human_eval.agreement import compute_alpha
from sift_jax.human_eval.read_ratings import Study
from sift_jax.pages.document import Document, Note, Row, Section, Table
from sift_jax.storage.whole_files import write_whole

DRAWS, CONFIDENCE = 2000, 0.95
LEAST_CORRELATED = 3


def write_results(study: Study, out: Path, *, seed: int = 0) -> dict[str, Any]:
    """Writes results.json and the report; returns the results."""
    results = compute_results(study, seed=seed)
    write_whole(out / "results.json", json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    document = make_document(results)
    write_whole(out / "report.md", document.write_markdown())
    write_whole(out / "report.html", document.write_html())
    return results


def compute_results(study: Study, *, seed: int = 0) -> dict[str, Any]:
    scales = {}
    for scale in dict.fromkeys(rating.scale for rating in study.ratings):
        given: dict[str, dict[str, float]] = {}
        for rating in study.ratings:
            if rating.scale == scale:
                given.setdefault(rating.task, {})[rating.rater] = rating.value
        scales[scale] = {
            "alpha": compute_alpha(given),
            "systems": _summarise(study, given, seed),
            "judge": _correlate(study, given),
        }
    return {
        "title": study.title,
        "kind": study.kind,
        "tasks": len(study.tasks),
        "raters": len(study.left_open),
        "left_open": study.left_open,
        "confidence": CONFIDENCE,
        "scales": scales,
    }


def _summarise(
    study: Study, given: Mapping[str, Mapping[str, float]], seed: int
) -> dict[str, dict[str, Any]]:
    """The mean of each system over its tasks, with an interval over tasks and raters. Of a
    preference it is that of the first named system over the second, whichever stood first."""
    by_system: dict[str, dict[str, Mapping[str, float]]] = {}
    for task, values in given.items():
        systems = study.tasks[task]["systems"]
        if len(systems) == 1:
            by_system.setdefault(systems[0], {})[task] = values
        else:
            first, second = sorted(systems)
            sign = 1 if systems[0] == first else -1
            turned = {rater: sign * value for rater, value in values.items()}
            by_system.setdefault(f"{first} over {second}", {})[task] = turned
    return {
        name: _bootstrap(tasks, list(study.left_open), seed)
        for name, tasks in sorted(by_system.items())
    }


def _bootstrap(
    tasks: Mapping[str, Mapping[str, float]], raters: Sequence[str], seed: int
) -> dict[str, Any]:
    """Raters and tasks are both drawn again: another panel, other questions."""
    values = np.full((len(tasks), len(raters)), np.nan)
    for row, given in enumerate(tasks.values()):
        for rater, value in given.items():
            values[row, raters.index(rater)] = value
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(DRAWS):
        rows = rng.integers(0, values.shape[0], values.shape[0])
        columns = rng.integers(0, values.shape[1], values.shape[1])
        drawn = values[np.ix_(rows, columns)]
        if not np.isnan(drawn).all():
            means.append(np.nanmean(drawn))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {
        "mean": float(np.nanmean(values)),
        "low": float(low),
        "high": float(high),
        "tasks": len(tasks),
        "ratings": int((~np.isnan(values)).sum()),
    }


def _correlate(
    study: Study, given: Mapping[str, Mapping[str, float]]
) -> dict[str, float | int] | None:
    """The judge's scores beside the mean of the raters, answer by answer; of two answers, the
    difference of its scores beside their preference. None where there is nothing to compare."""
    people, judge = [], []
    for task, values in given.items():
        judged = study.tasks[task]["judged"]
        if judged and None not in judged:
            people.append(float(np.mean(list(values.values()))))
            judge.append(float(judged[0] if len(judged) == 1 else judged[0] - judged[1]))
    if len(people) < LEAST_CORRELATED or len(set(people)) == 1 or len(set(judge)) == 1:
        return None
    return {
        "pearson": float(pearsonr(people, judge).statistic),
        "spearman": float(spearmanr(people, judge).statistic),
        "n": len(people),
    }


def make_document(results: Mapping[str, Any]) -> Document:
    """The page of the results."""
    open_tasks = sum(results["left_open"].values())
    sections = []
    for scale, found in results["scales"].items():
        rows = [
            Row(
                title=name,
                figures=[
                    f"{each['mean']:.2f}",
                    f"{each['low']:.2f} to {each['high']:.2f}",
                    str(each["tasks"]),
                    str(each["ratings"]),
                ],
            )
            for name, each in found["systems"].items()
        ]
        alpha, judge = found["alpha"], found["judge"]
        notes = [
            f"Krippendorff’s alpha: {alpha:.2f}"
            if alpha is not None
            else "No agreement can be computed: no task has two ratings, or all are the same."
        ]
        if judge:
            notes.append(
                f"The judge beside the raters’ mean: Pearson {judge['pearson']:.2f}, Spearman "
                f"{judge['spearman']:.2f}, over {judge['n']} answers."
            )
        columns = ["System", "Mean", f"{results['confidence']:.0%} interval", "Tasks", "Ratings"]
        sections.append(
            Section(
                anchor=scale,
                title=scale.capitalize(),
                lead=" ".join(notes),
                parts=[Table(title=scale.capitalize(), columns=columns, rows=rows)],
            )
        )
    return Document(
        title=results["title"],
        intro=f"{results['tasks']} tasks, {results['raters']} raters.",
        top=[Note(text=f"{open_tasks} ratings were left open.")] if open_tasks else [],
        sections=sections,
        footer="Intervals are over tasks and raters, both drawn again.",
    )
