"""Figures of obedience: mean absolute error in class steps and quadratic-weighted kappa, over runs.

    outcomes of a key ─► runs × texts × (16 × 16 table) ─► a figure a run ─► mean, std;  texts drawn again ─► interval

A run is one sample of each item; the figure is the mean over runs, ± their standard deviation. The
interval draws texts: what is said of one text, in all runs, stands or falls together. Beside a
model stand three floors: the constant class that costs least, the model's own recordings matched
with other requests of the same language, and a model that was not told (recordings of its own).
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.generation.classify import Outcome
from sift_jax.evaluation.scores.bootstrap import (
    BootstrapConfig,
    average,
    bound_unanimous,
    find_interval,
    make_generator,
    resample,
)
from sift_jax.evaluation.scores.ordinal_scores import MOST_CLASSES, make_qwk
from sift_jax.sift.labels import LABELS

METRICS = ("mae", "qwk", "exact")
_PERMUTATIONS = 200
_STEPS = np.abs(np.subtract.outer(np.arange(MOST_CLASSES), np.arange(MOST_CLASSES))).ravel()
_EXACT = (_STEPS == 0).astype(float)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure. `of` counts what was asked for in all runs, `n` what of it was measured,
    `missing` why not all."""

    system: str
    language: str
    key: str
    metric: str
    value: float | None
    # over runs; None of a single one
    std: float | None
    low: float | None
    high: float | None
    runs: Sequence[float | None]
    n: int
    of: int
    missing: dict[str, int]


def make_mae(sums: np.ndarray) -> np.ndarray:
    """Class steps between asked and found, of tables laid flat."""
    return _divide(sums @ _STEPS, sums)


def make_exact(sums: np.ndarray) -> np.ndarray:
    """The share that is in the class asked for."""
    return _divide(sums @ _EXACT, sums)


def _divide(total: np.ndarray, sums: np.ndarray) -> np.ndarray:
    count = sums.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def make_all(sums: np.ndarray) -> np.ndarray:
    """All of METRICS, along a new last axis."""
    return np.stack([make_mae(sums), make_qwk(sums), make_exact(sums)], axis=-1)


def make_tables(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Counts [runs, texts, classes asked × classes found] of what was measured; runs and texts in
    their order."""
    samples = sorted({outcome.sample for outcome in outcomes})
    texts = list(dict.fromkeys(outcome.text for outcome in outcomes))
    run_of, text_of = (
        {name: place for place, name in enumerate(names)} for names in (samples, texts)
    )
    tables = np.zeros((len(samples), len(texts), MOST_CLASSES * MOST_CLASSES))
    for outcome in outcomes:
        if outcome.found is not None:
            cell = outcome.asked * MOST_CLASSES + outcome.found
            tables[run_of[outcome.sample], text_of[outcome.text], cell] += 1
    return tables


def score_outcomes(
    system: str, language: str, key: str, outcomes: Sequence[Outcome], bootstrap: BootstrapConfig
) -> list[Cell]:
    """The figures of one key."""
    tables = make_tables(outcomes)
    missing = Counter(str(outcome.reason) for outcome in outcomes if outcome.found is None)
    figures, drawn = make_all(tables.sum(axis=1)), np.full((0, len(METRICS)), np.nan)
    if bootstrap.samples and tables.any():
        rng = make_generator(bootstrap.seed, f"{system}/{language}/{key}")
        drawn = resample(list(tables), make_all, rng, bootstrap.samples)
    cells = []
    for place, metric in enumerate(METRICS):
        low, high = find_interval(drawn[:, place], bootstrap.confidence)
        if metric == "exact" and low == high and low in (0.0, 1.0):
            low, high = bound_unanimous(low, tables.shape[1], bootstrap.confidence)
        cells.append(
            make_cell(
                system=system,
                language=language,
                key=key,
                metric=metric,
                figures=figures[:, place],
                low=low,
                high=high,
                n=int(tables.sum()),
                of=len(outcomes),
                missing=dict(missing),
            )
        )
    return cells


def make_cell(*, figures: np.ndarray, **fields: Any) -> Cell:
    """Of a figure a run: the mean of those that are there, and their spread."""
    known = figures[~np.isnan(figures)]
    runs = [None if np.isnan(figure) else round(float(figure), 6) for figure in figures]
    return Cell(
        value=float(average(figures)) if len(known) else None,
        std=float(np.std(known, ddof=1)) if len(known) > 1 else None,
        runs=runs,
        **fields,
    )


def score_constant(language: str, key: str, outcomes: Sequence[Outcome]) -> list[Cell]:
    """A speaker that always speaks in the one class that costs the fewest steps: no effort, no
    obedience."""
    asked = np.array([outcome.asked for outcome in outcomes])
    costs = [np.abs(asked - place).sum() for place in range(len(LABELS[key]))]
    best = int(np.argmin(costs))
    steady = [dataclasses.replace(outcome, found=best, reason=None) for outcome in outcomes]
    figures = make_all(make_tables(steady).sum(axis=1))
    return [
        make_cell(
            system="constant",
            language=language,
            key=key,
            metric=metric,
            figures=figures[:, place],
            low=None,
            high=None,
            n=len(steady),
            of=len(steady),
            missing={},
        )
        for place, metric in enumerate(METRICS)
    ]


def score_permuted(
    language: str, key: str, outcomes: Sequence[Outcome], bootstrap: BootstrapConfig
) -> list[Cell]:
    """The recordings matched with requests of others, drawn many times: its interval is what
    chance gives."""
    known = [outcome for outcome in outcomes if outcome.found is not None]
    groups: dict[tuple[int, str], list[int]] = {}
    for place, outcome in enumerate(known):
        groups.setdefault((outcome.sample, outcome.language), []).append(place)
    asked, found = (
        np.array([getattr(outcome, side) for outcome in known], int) for side in ("asked", "found")
    )
    samples = sorted({outcome.sample for outcome in known})
    run = np.array([samples.index(outcome.sample) for outcome in known], int)
    rng = make_generator(bootstrap.seed, f"permuted/{language}/{key}")
    drawn = np.zeros((_PERMUTATIONS, len(samples), MOST_CLASSES * MOST_CLASSES))
    for tables in drawn:
        mixed = asked.copy()
        for places in groups.values():
            mixed[places] = rng.permutation(asked[places])
        np.add.at(tables, (run, mixed * MOST_CLASSES + found), 1)
    cells, figures = [], make_all(drawn)
    for place, metric in enumerate(METRICS):
        of_metric = figures[..., place] if samples else np.full((_PERMUTATIONS, 1), np.nan)
        low, high = find_interval(average(of_metric.T), bootstrap.confidence)
        cells.append(
            make_cell(
                system="permuted",
                language=language,
                key=key,
                metric=metric,
                figures=average(of_metric),
                low=low,
                high=high,
                n=len(known),
                of=len(outcomes),
                missing={},
            )
        )
    return cells


def count_confusions(key: str, outcomes: Sequence[Outcome]) -> list[list[int]]:
    """Asked by found, over all runs, for the classes that there are."""
    size = len(LABELS[key])
    table = make_tables(outcomes).sum(axis=(0, 1)).reshape(MOST_CLASSES, MOST_CLASSES)
    return table[:size, :size].astype(int).tolist()
