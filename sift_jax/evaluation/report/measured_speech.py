"""What was measured on the recordings that a model spoke on request, for the report of its
answers.

GENERATION_DIR/results.json, which python -m data_prep.generation score writes
    cells (system, language, key, metric) ─► cells of the suite "generation", parts speaking_rate, gender, …
    systems, settings ────────────────────► what was spoken, by whose measures
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.schema import Cell, EvaluationError

GENERATION = "generation"
FORMAT = 1
# theirs → ours, in the order in which a report has them
METRICS = {"qwk": "qwk", "mae": "mae", "exact": "exact_match", "wer": "wer", "cer": "cer"}
_ALL = "all"


def read_generation(folder: str) -> dict[str, Any]:
    """What results hold of it: {"folder", "systems", "settings", "spread", "cells"}."""
    path = Path(folder) / "results.json"
    remedy = "give a folder that python -m data_prep.generation score has written"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise EvaluationError(
                f"{path} has format {found['format']}, and format {FORMAT} is read; score again"
            )
        cells = list(found["cells"])
        return {
            "folder": folder,
            "systems": found["systems"],
            "settings": found["settings"],
            "spread": _list_spread(cells),
            "cells": _make_cells(cells),
        }
    except OSError as error:
        raise EvaluationError(f"{path}: {error.strerror}; {remedy}") from None
    except (ValueError, LookupError, TypeError) as error:
        if isinstance(error, EvaluationError):
            raise
        raise EvaluationError(
            f"{path}: not the figures of spoken answers ({error!r}); {remedy}"
        ) from None


def _make_cells(cells: list[Mapping[str, Any]]) -> list[Cell]:
    """One language alone is all of them, too."""
    has_all = any(cell["language"] == _ALL for cell in cells)
    keys = list(dict.fromkeys(cell["key"] for cell in cells))
    known = [cell for cell in cells if cell["metric"] in METRICS]
    known.sort(key=lambda cell: (keys.index(cell["key"]), list(METRICS).index(cell["metric"])))
    made = []
    for cell in known:
        languages = (
            [""] if cell["language"] == _ALL else [cell["language"], *([] if has_all else [""])]
        )
        made += [
            Cell(
                suite=GENERATION,
                subset=cell["key"],
                language=language,
                facet="",
                metric=METRICS[cell["metric"]],
                system=cell["system"],
                value=cell["value"],
                low=cell["low"],
                high=cell["high"],
                n=cell["n"],
                of=cell["of"],
            )
            for language in languages
        ]
    return made


def _list_spread(cells: list[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """key → metric → the standard deviation over the model's runs, in all languages."""
    first = cells[0]["language"] if cells else _ALL
    found: dict[str, dict[str, float]] = {}
    for cell in cells:
        if cell["system"] == "model" and cell["language"] == first and cell["std"] is not None:
            found.setdefault(cell["key"], {})[METRICS.get(cell["metric"], cell["metric"])] = cell[
                "std"
            ]
    return found
