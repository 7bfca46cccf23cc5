"""The results of finished runs: a file of a few kB each, from which all tables are made.

    folder/<arm>.<seed>.json    {"arm", "seed", "digest", "commit", "processor", "seconds", "parts": [
        {"suite", "subset", "language", "metric", "n", "figure", "majority", "scores": "0f3a9c21=3/4 …"}]}

`scores` has, for each recording, the sum of its items' scores and their number, under the first
eight digits of a hash of its file's name: enough for any mean and any interval over recordings, and
the same on every machine. `majority` is the figure of the commonest answer on the same items.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np

from sift_jax.evaluation.report.read_results import Evaluation, read_evaluation
from sift_jax.evaluation.scores.aggregate import cluster_of, count_items
from sift_jax.evaluation.scores.schema import BASELINES, MODEL, Item, Prediction, Verdict
from sift_jax.storage.whole_files import write_whole

FORMAT = 1


class ResultError(ValueError):
    """A file of results that cannot be used; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """What is asked of a suite in one language and scored in one way."""

    suite: str
    subset: str
    language: str
    metric: str
    n: int
    figure: float | None
    majority: float | None
    scores: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        return self.suite, self.subset, self.language, self.metric

    @functools.cached_property
    def sums(self) -> dict[str, tuple[float, float]]:
        """Recording → (sum of scores, number of items)."""
        found = {}
        for word in self.scores.split():
            name, _, counts = word.partition("=")
            total, _, number = counts.partition("/")
            found[name] = float(total), float(number)
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run of an arm."""

    format: int
    arm: str
    seed: int
    digest: str
    commit: str
    processor: str
    # of its training and of its evaluation
    seconds: dict[str, float]
    parts: tuple[Part, ...]

    def find(self, suite: str, subset: str, language: str, metric: str) -> Part | None:
        place = (suite, subset, language, metric)
        return next((part for part in self.parts if part.place == place), None)


def place_result(folder: Path, arm: str, seed: int) -> Path:
    return folder / f"{arm}.{seed}.json"


def write_result(folder: Path, result: RunResult) -> Path:
    text = json.dumps(dataclasses.asdict(result), indent=1, ensure_ascii=False)
    return write_whole(place_result(folder, result.arm, result.seed), text + "\n")


def read_result(folder: Path, arm: str, seed: int) -> RunResult | None:
    """None where the run has no result yet."""
    path = place_result(folder, arm, seed)
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise ResultError(
                f"{path} has format {told['format']}, and format {FORMAT} is read; remove it, "
                "and the run is made again"
            )
        result = RunResult(**{**told, "parts": tuple(Part(**part) for part in told["parts"])})
        for part in result.parts:
            part.sums  # noqa: B018, a torn text of scores is found here
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(
            f"{path} is not a result of a run ({type(error).__name__}: {error}); remove it, and the "
            "run is made again"
        ) from error
    if (result.arm, result.seed) != (arm, seed):
        raise ResultError(
            f"{path} is of arm {result.arm!r}, seed {result.seed}; give it the name "
            f"{result.arm}.{result.seed}.json"
        )
    return result


def list_parts(folder: Path) -> tuple[Part, ...]:
    """The parts of an evaluation."""
    evaluation = read_evaluation(folder)
    baseline = next((name for name in BASELINES if name in evaluation.predictions), None)
    predictions = evaluation.predictions[MODEL]
    groups: dict[tuple[str, str, str], list[Prediction]] = collections.defaultdict(list)
    for one in predictions:
        groups[one.item.suite, one.item.subset, one.item.language].append(one)
    found = []
    for (suite, subset, language), own in groups.items():
        items = [one.item for one in own]
        constant: dict[str, Sequence[Prediction]] = {}
        if baseline is not None:
            ids = {item.id for item in items}
            constant[baseline] = [
                one
                for one in evaluation.predictions[baseline]
                if one.item.suite == suite and one.item.id in ids
            ]
        majority = {
            name: _figure(sums)
            for system, answers in constant.items()
            for name, sums in _sum_recordings(evaluation, system, items, answers).items()
        }
        for name, sums in _sum_recordings(evaluation, MODEL, items, own).items():
            found.append(
                Part(
                    suite=suite,
                    subset=subset,
                    language=language,
                    metric=name,
                    n=int(sum(number for _, number in sums.values())),
                    figure=_figure(sums),
                    majority=majority.get(name),
                    scores=" ".join(
                        f"{key}={_write(total)}/{_write(number)}"
                        for key, (total, number) in sorted(sums.items())
                    ),
                )
            )
    return tuple(found)


def _sum_recordings(
    evaluation: Evaluation, system: str, items: Sequence[Item], answers: Iterable[Prediction]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Metric → recording → (sum, number), of the metrics that two counts make."""
    verdicts: list[Verdict] = [
        found
        for item in items
        for metric in item.metrics
        if (found := evaluation.find_verdict(item, system, metric=metric)) is not None
    ]
    sums = {}
    for counted in count_items(items, answers, verdicts):
        if counted.counts.shape[1] != 2 or not len(counted.counts):
            continue
        own: dict[str, np.ndarray] = {}
        names: dict[str, str] = {}
        for place, counts in zip(counted.places, counted.counts, strict=True):
            name = PurePath(cluster_of(counted.items[place])).stem
            key = hashlib.sha256(name.encode()).hexdigest()[:8]
            if names.setdefault(key, name) != name:
                raise ResultError(
                    f"recordings {names[key]} and {name} have one hash; rename one of them"
                )
            own[key] = own.get(key, np.zeros(2)) + counts
        sums[counted.name] = {key: (float(a), float(b)) for key, (a, b) in own.items()}
    return sums


def _figure(sums: dict[str, tuple[float, float]]) -> float | None:
    number = sum(number for _, number in sums.values())
    return round(sum(total for total, _ in sums.values()) / number, 6) if number else None


def _write(number: float) -> str:
    """Few digits: 3, 0.3333."""
    return f"{round(number, 4):g}" if number < 1e4 else f"{number:.4f}"
