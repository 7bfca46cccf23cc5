"""From the answers of all runs to figures with intervals, and to the differences that the sweep
asks about.

    answers of arm × seed ─► (seeds, recordings, [sum, n]) for each test set
    a draw: recordings, and seeds, each with replacement; the same draw for both arms of a
    difference

An interval that does not hold zero is a sign; one that does is none. Of few seeds an interval knows
little of how runs differ: their own figures stand beside it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.evaluation.scores.aggregate import cluster_of, count_items
from sift_jax.evaluation.scores.bootstrap import (
    BootstrapConfig,
    draw_weights,
    find_interval,
    make_generator,
    sum_clusters,
)
from sift_jax.evaluation.scores.schema import MODEL
from sift_jax.field_ranges import CheckedConfig, MayBeEmpty, NotNegative, Text
from sift_jax.sweeps.plan import SweepConfig, place_evaluation

# set → recordings' names, sums (seeds, recordings, 2)
Counted = dict[str, tuple[list[str], np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionsConfig(CheckedConfig):
    """What the sweep is to answer."""

    title: MayBeEmpty
    metric: Text
    # arm → its training data in words, in the order of the table
    rows: Mapping[Text, Text]
    # arm → word error rate in percent; the name of a key of `rates` reads it from the file there
    curve: Mapping[Text, NotNegative | Text]
    # a JSON file with {"word_error_rates": {arm: share}}, {out} filled in; empty for none
    rates: MayBeEmpty
    # what is asked → (first arm, second arm): the second minus the first
    differences: Mapping[Text, tuple[Text, Text]]
    # test set → the published figure
    published: Mapping[Text, NotNegative]

    def check(self, sweep: SweepConfig) -> None:
        named = {
            *self.rows,
            *self.curve,
            *(arm for pair in self.differences.values() for arm in pair),
        }
        if unknown := sorted(named - sweep.arms.keys()):
            raise ValueError(
                f"QuestionsConfig asks about {unknown[0]!r}, which is no arm of this sweep; they "
                f"are {', '.join(sweep.arms)}"
            )


def gather_results(
    sweep: SweepConfig, questions: QuestionsConfig, bootstrap: BootstrapConfig
) -> dict[str, Any]:
    chosen = sweep.chosen
    counted = {arm: _count(sweep, arm, questions.metric) for arm in chosen}
    sets = list(next(iter(counted.values())))
    arms = {
        arm: {name: _describe(counted[arm][name][1], bootstrap, f"{arm} {name}") for name in sets}
        for arm in chosen
    }
    differences = [
        {
            "question": asked,
            "first": first,
            "second": second,
            "sets": {
                name: _compare(
                    counted[first][name], counted[second][name], bootstrap, f"{asked} {name}"
                )
                for name in sets
            },
        }
        for asked, (first, second) in questions.differences.items()
        if {first, second} <= chosen.keys()
    ]
    return {
        "format": 1,
        "title": questions.title,
        "metric": questions.metric,
        "seeds": list(sweep.seeds),
        "sets": sets,
        "confidence": bootstrap.confidence,
        "rows": {arm: title for arm, title in questions.rows.items() if arm in chosen},
        "published": dict(questions.published),
        "curve": {arm: rate for arm, rate in read_rates(sweep, questions).items() if arm in chosen},
        "arms": arms,
        "differences": differences,
    }


def read_rates(sweep: SweepConfig, questions: QuestionsConfig) -> dict[str, float]:
    """Arm → word error rate in percent; those that were measured come from the file that the data
    was made with."""
    measured: Mapping[str, float] = {}
    if questions.rates:
        path = Path(questions.rates.format(out=sweep.out_dir))
        measured = json.loads(path.read_text(encoding="utf-8"))["word_error_rates"]
    found = {}
    for arm, rate in questions.curve.items():
        if isinstance(rate, str):
            if rate not in measured:
                raise ValueError(
                    f"{questions.rates} has no word error rate of {rate!r}; make the data again, "
                    "or give QuestionsConfig.curve a number"
                )
            found[arm] = 100 * float(measured[rate])
        else:
            found[arm] = float(rate)
    return found


def _count(sweep: SweepConfig, arm: str, metric: str) -> Counted:
    """Sums of an arm's runs by test set and recording."""
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    for seed in sweep.seeds:
        evaluation = read_evaluation(place_evaluation(sweep, arm, seed))
        predictions = evaluation.predictions[MODEL]
        for name in sorted({one.item.subset for one in predictions}):
            own = [one for one in predictions if one.item.subset == name]
            items = [one.item for one in own]
            counts = next((c for c in count_items(items, own, ()) if c.name == metric), None)
            if counts is None:
                raise ValueError(
                    f"{evaluation.folder} has no {metric} of {name}; evaluate by a suite that has"
                )
            names = [cluster_of(counts.items[place]) for place in counts.places]
            keys = list(dict.fromkeys(names))
            index = np.asarray([keys.index(one) for one in names])
            sums = sum_clusters(counts.counts, index, len(keys))
            found.setdefault(name, []).append(dict(zip(keys, sums, strict=True)))
    result: Counted = {}
    for name, runs in found.items():
        keys = sorted(set.intersection(*(set(run) for run in runs)))
        result[name] = keys, np.stack([[run[key] for key in keys] for run in runs])
    return result


def _figure(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-9)


def _draw(sums: list[np.ndarray], bootstrap: BootstrapConfig, name: str) -> list[np.ndarray]:
    """The figure of each draw, of each of several arms by the same draws."""
    seeds, size = sums[0].shape[:2]
    rng = make_generator(bootstrap.seed, name)
    figures: list[list[np.ndarray]] = [[] for _ in sums]
    for weights in draw_weights(rng, size, bootstrap.samples):
        runs = np.concatenate(list(draw_weights(rng, seeds, len(weights))))
        for place, one in enumerate(sums):
            drawn = np.einsum("dr,srk->dsk", weights, one)
            figures[place].append(_figure(np.einsum("ds,dsk->dk", runs, drawn)))
    return [np.concatenate(one) for one in figures]


def _describe(sums: np.ndarray, bootstrap: BootstrapConfig, name: str) -> dict[str, Any]:
    low, high = find_interval(_draw([sums], bootstrap, name)[0], bootstrap.confidence)
    return {
        "figure": float(_figure(sums.sum((0, 1)))),
        "low": low,
        "high": high,
        "of_seeds": [float(x) for x in _figure(sums.sum(1))],
        "recordings": sums.shape[1],
    }


def _compare(
    first: tuple[list[str], np.ndarray],
    second: tuple[list[str], np.ndarray],
    bootstrap: BootstrapConfig,
    name: str,
) -> dict[str, Any]:
    shared = [key for key in first[0] if key in set(second[0])]
    a, b = (sums[:, [keys.index(key) for key in shared]] for keys, sums in (first, second))
    drawn_a, drawn_b = _draw([a, b], bootstrap, name)
    low, high = find_interval(drawn_b - drawn_a, bootstrap.confidence)
    difference = float(_figure(b.sum((0, 1))) - _figure(a.sum((0, 1))))
    sign = 0 if low is None or low <= 0 <= high else 1 if difference > 0 else -1
    of_seeds = [float(x) for x in _figure(b.sum(1)) - _figure(a.sum(1))]
    return {"difference": difference, "low": low, "high": high, "sign": sign, "of_seeds": of_seeds}
