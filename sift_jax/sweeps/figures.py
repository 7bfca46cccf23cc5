"""Figures of a column with their intervals, and differences between two arms, over seeds and
recordings.

    results of arm × seeds ─► sums (seeds, subsets, recordings, [sum, n])
    a draw: recordings with replacement, and seeds with replacement; the same draw for both arms of a difference

All seeds answer the same items, so the two are crossed: a recording that is drawn twice counts twice
in every seed. Of few seeds an interval knows little of how runs differ, and with one seed nothing:
their own figures stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sift_jax.evaluation.scores.bootstrap import (
    BootstrapConfig,
    average,
    draw_weights,
    find_interval,
    make_generator,
)
from sift_jax.sweeps.result_files import Part, RunResult
from sift_jax.sweeps.tables import HIGHER, LOWER, NONE, Column

# recording → (sum, number), of a subset in a run
Sums = dict[str, tuple[float, float]]


def find_parts(result: RunResult, column: Column) -> list[list[Part]]:
    """The parts of each subset, a language each; empty where the run was not asked one of them."""
    found = []
    for subset in column.subsets:
        parts = [
            part
            for part in result.parts
            if (part.suite, part.subset, part.metric) == (column.suite, subset, column.metric)
            and (not column.languages or part.language in column.languages)
        ]
        if not parts:
            return []
        found.append(parts)
    return found


def stack_sums(runs: Sequence[Sequence[RunResult]], column: Column) -> list[np.ndarray] | None:
    """For each arm its sums (seeds, subsets, recordings, 2), the recordings in one order for all;
    None where a run lacks the column."""
    gathered: list[list[list[Sums]]] = []
    for arm in runs:
        seeds = []
        for result in arm:
            parts = find_parts(result, column)
            if not parts:
                return None
            seeds.append([_join(subset) for subset in parts])
        gathered.append(seeds)
    names = sorted({name for arm in gathered for seed in arm for own in seed for name in own})
    place = {name: number for number, name in enumerate(names)}
    stacked = []
    for seeds in gathered:
        sums = np.zeros((len(seeds), len(column.subsets), len(names), 2))
        for s, seed in enumerate(seeds):
            for p, own in enumerate(seed):
                for name, counts in own.items():
                    sums[s, p, place[name]] = counts
        stacked.append(sums)
    return stacked


def _join(parts: Sequence[Part]) -> Sums:
    """Languages have recordings of their own."""
    joined: Sums = {}
    for part in parts:
        for name, (total, number) in part.sums.items():
            before = joined.get(name, (0.0, 0.0))
            joined[name] = before[0] + total, before[1] + number
    return joined


def make_figure(sums: np.ndarray) -> np.ndarray:
    """(…, subsets, 2) to the plain mean of the subsets' figures; one of which nothing is there is
    left out."""
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)
    return average(np.moveaxis(figures, -1, 0))


def draw_figures(
    stacked: Sequence[np.ndarray], bootstrap: BootstrapConfig, name: str
) -> list[np.ndarray]:
    """The figure of each draw, of each of several arms by the same draws."""
    seeds, _, recordings, _ = stacked[0].shape
    rng = make_generator(bootstrap.seed, name)
    figures: list[list[np.ndarray]] = [[] for _ in stacked]
    for weights in draw_weights(rng, recordings, bootstrap.samples):
        runs = np.concatenate(list(draw_weights(rng, seeds, len(weights))))
        for place, sums in enumerate(stacked):
            drawn = np.einsum("dr,sprk->dspk", weights, sums)
            figures[place].append(make_figure(np.einsum("ds,dspk->dpk", runs, drawn)))
    return [np.concatenate(one) for one in figures]


def describe_figure(
    results: Sequence[RunResult], column: Column, bootstrap: BootstrapConfig
) -> dict[str, Any] | None:
    """An arm's figure of a column; None where a run was not asked it."""
    stacked = stack_sums([results], column)
    if stacked is None:
        return None
    [sums] = stacked
    drawn = draw_figures(stacked, bootstrap, f"{results[0].arm} {column.name}")
    low, high = find_interval(drawn[0], bootstrap.confidence)
    majorities = [
        np.mean([part.majority for part in subset])
        for subset in find_parts(results[0], column)
        if all(part.majority is not None for part in subset)
    ]
    return {
        "figure": float(make_figure(sums.sum((0, 2)))),
        "low": low,
        "high": high,
        "of_seeds": [float(x) for x in make_figure(sums.sum(2))],
        "recordings": int((sums[..., 1].sum((0, 1)) > 0).sum()),
        "items": int(sums[0, ..., 1].sum()),
        "majority": float(np.mean(majorities)) if len(majorities) == len(column.subsets) else None,
    }


def describe_difference(
    first: Sequence[RunResult],
    second: Sequence[RunResult],
    column: Column,
    bootstrap: BootstrapConfig,
) -> dict[str, Any] | None:
    """The second minus the first, of the seeds that both have, by the same draws. `p` is how often a
    draw has the other sign, twice: two-sided."""
    seeds = sorted({run.seed for run in first} & {run.seed for run in second})
    if not seeds:
        return None
    by_seed = [{run.seed: run for run in runs} for runs in (first, second)]
    stacked = stack_sums([[runs[seed] for seed in seeds] for runs in by_seed], column)
    if stacked is None:
        return None
    a, b = stacked
    drawn_a, drawn_b = draw_figures(
        stacked, bootstrap, f"{first[0].arm} {second[0].arm} {column.name}"
    )
    drawn = drawn_b - drawn_a
    low, high = find_interval(drawn, bootstrap.confidence)
    of_seeds = make_figure(b.sum(2)) - make_figure(a.sum(2))
    return {
        "difference": float(make_figure(b.sum((0, 2))) - make_figure(a.sum((0, 2)))),
        "low": low,
        "high": high,
        "p": _find_p(drawn),
        "seen": find_sign(low, high),
        "of_seeds": [float(x) for x in of_seeds],
        "seeds": seeds,
    }


def find_sign(low: float | None, high: float | None) -> int:
    """Of an interval that does not hold zero; one that does has none."""
    if low is None or high is None or low <= 0 <= high:
        return NONE
    return HIGHER if low > 0 else LOWER


def _find_p(drawn: np.ndarray) -> float | None:
    if not len(drawn):
        return None
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (len(drawn) + 1)))
