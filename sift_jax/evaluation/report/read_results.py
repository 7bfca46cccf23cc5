"""The folder of an evaluation, read for its pages.

out/results.json                       ─► results, cells
out/predictions/<system>.jsonl         ─► predictions of each system
out/verdicts/<system>.<judge>.jsonl    ─► verdicts of each system by judge and item
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.schema import (
    MODEL,
    Cell,
    EvaluationError,
    Item,
    Prediction,
    Verdict,
    read_predictions,
)

FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    folder: Path
    results: dict[str, Any]
    cells: tuple[Cell, ...]
    predictions: Mapping[str, tuple[Prediction, ...]]
    # system → judge → (id of the item, metric)
    verdicts: Mapping[str, Mapping[str, Mapping[tuple[str, str], Verdict]]]

    @property
    def name(self) -> str:
        return str(self.results.get("name") or self.folder.name)

    @property
    def judge(self) -> dict[str, Any]:
        return self.results.get("judge") or {}

    def find_verdict(self, item: Item, system: str = MODEL, *, metric: str = "") -> Verdict | None:
        """What the judge who made the results said of an item; without a metric, for the suite's
        own score."""
        by_judge = self.verdicts.get(system, {})
        key = (item.id, metric or (item.metrics[0] if item.metrics else ""))
        names = [
            name
            for name in (str(self.judge.get("name")), *sorted(by_judge))
            if key in by_judge.get(name, {})
        ]
        return by_judge[names[0]][key] if names else None


def read_evaluation(folder: str | Path) -> Evaluation:
    folder = Path(folder)
    results = read_results(folder)
    predictions = {
        p.stem: tuple(read_predictions(p)) for p in sorted((folder / "predictions").glob("*.jsonl"))
    }
    verdicts: dict[str, dict[str, dict[tuple[str, str], Verdict]]] = {}
    for path in sorted((folder / "verdicts").glob("*.jsonl")):
        system, _, judge = path.stem.partition(".")
        verdicts.setdefault(system, {})[judge] = {
            (v.id, v.metric): v for v in read_verdict_lines(path)
        }
    try:
        cells = tuple(Cell(**cell) for cell in results.get("cells", []))
    except TypeError as error:
        raise EvaluationError(
            f"{folder}/results.json: not a cell ({error}); evaluate again"
        ) from error
    return Evaluation(
        folder=folder, results=results, cells=cells, predictions=predictions, verdicts=verdicts
    )


def read_results(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    if not path.is_file():
        raise EvaluationError(f"{path} is not there; make it with python -m sift_jax.evaluate")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EvaluationError(f"{path} is not JSON ({error}); evaluate again") from error
    found = results.get("format") if isinstance(results, dict) else None
    if found != FORMAT:
        raise EvaluationError(
            f"{path} has format {found}, and format {FORMAT} is read; evaluate again"
        )
    return results


def read_verdict_lines(path: Path) -> list[Verdict]:
    """Verdicts of a file, the last one of an item counting last; a torn last line is passed
    over."""
    verdicts = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                break
            try:
                verdicts.append(Verdict(**json.loads(line)))
            except (ValueError, TypeError) as error:
                place = f"{path}:{number}"
                raise EvaluationError(
                    f"{place}: not a verdict ({error}); move it away and judge again"
                ) from error
    return verdicts
