"""Files of raters, read with the key: what each gave to each task, by the item and the system.

ratings-anna.json   {"study": "3f2a…", "rater": "anna", "ratings": {"t001": {"score": 7}}, "seconds": {…}}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.human_eval.tasks import SCALES, HumanEvalError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rating:
    """One value that a rater gave."""

    rater: str
    task: str
    scale: str
    value: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """The key, and all ratings; `left_open` counts by rater the tasks without a whole rating."""

    title: str
    # task → {"kind", "item", "language", "systems", "judged"}
    tasks: dict[str, dict[str, Any]]
    ratings: tuple[Rating, ...]
    left_open: dict[str, int]

    @property
    def kind(self) -> str:
        return str(next(iter(self.tasks.values()))["kind"])


def read_study(key_path: Path, files: Sequence[Path]) -> Study:
    """Each rater once, every value on its scale, all of one study; what is not is an error that
    names the file."""
    key = _read_json(key_path)
    if missing := [name for name in ("study", "title", "tasks") if name not in key]:
        raise HumanEvalError(
            f"{key_path} has no {missing[0]!r}, so it is not a key; give the key.json that was "
            "written with the page"
        )
    tasks, ratings, left_open = key["tasks"], [], {}
    for path in files:
        told = _read_json(path)
        if told.get("study") != key["study"]:
            raise HumanEvalError(
                f"{path} is of the study {told.get('study')}, and {key_path} of {key['study']}; "
                "leave it out"
            )
        rater = str(told.get("rater", "")).strip()
        if not rater or rater in left_open:
            reason = f"is a second file of {rater}" if rater else "names no rater"
            raise HumanEvalError(f"{path} {reason}; leave it out, or change its name")
        found = list(_check_ratings(path, rater, told.get("ratings", {}), tasks))
        ratings += found
        given = {task: {each.scale for each in found if each.task == task} for task in tasks}
        left_open[rater] = sum(
            given[task] < set(SCALES[entry["kind"]]) for task, entry in tasks.items()
        )
    if not ratings:
        raise HumanEvalError(f"none of {len(files)} files holds a rating; ask the raters to save")
    return Study(title=key["title"], tasks=tasks, ratings=tuple(ratings), left_open=left_open)


def _check_ratings(
    path: Path, rater: str, told: dict[str, dict[str, Any]], tasks: dict[str, dict[str, Any]]
) -> list[Rating]:
    found = []
    for task, values in told.items():
        if task not in tasks:
            raise HumanEvalError(
                f"{path}: there is no task {task} in the key; is it another page's?"
            )
        if not isinstance(values, dict):
            raise HumanEvalError(f"{path}: {task} holds {values!r}, and no ratings; fix it")
        scales = SCALES[tasks[task]["kind"]]
        for scale, value in values.items():
            low, high = scales.get(scale, (1, 0))
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not low <= value <= high:
                raise HumanEvalError(
                    f"{path}: {task} has {scale} = {value!r}, which is on no scale of it; fix it"
                )
            found.append(Rating(rater=rater, task=task, scale=scale, value=float(value)))
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HumanEvalError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(told, dict):
        raise HumanEvalError(f"{path} holds no object; take the file that the page saved")
    return told
