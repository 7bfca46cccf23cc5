"""Items, answers and verdicts to figures, grouped as the suites' own tables are.

    counts of each item ─┬─ subset × language, facet ──────────► a figure of the group's pooled items
                         └─ PARENTS: the mean of several ──────► EvalSIFT closed_ended = mean of its sub-categories,
                                                                 Dynamic-SUPERB dimension = mean of its tasks
    an item without an answer or a score is in `of`, not in `n`

A rate over pooled items (WER of a language) is errors of all over words of all, as published; an
empty answer is an answer, and a wrong one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from sift_jax.evaluation.scores.bootstrap import (
    BootstrapConfig,
    average,
    bound_unanimous,
    find_interval,
    make_generator,
    resample,
    sum_clusters,
)
from sift_jax.evaluation.scores.metrics import Metric, get_metric
from sift_jax.evaluation.scores.schema import Cell, Item, Prediction, Verdict

# subset → the parts that its parents' figures are the mean of: (parent subset, the part's name)
Parents = Callable[[Item], tuple[tuple[str, str], ...]]


def _pool(item: Item) -> tuple[tuple[str, str], ...]:
    """All items count alike in the figure over everything."""
    return (("", ""),)


def _mean_of_siblings(item: Item) -> tuple[tuple[str, str], ...]:
    """closed_ended/word_align is a part of closed_ended; what has no parent is in no figure but its
    own."""
    parent = item.subset.rpartition("/")[0]
    return ((parent, item.subset),) if parent else ()


def _mean_of_subsets(item: Item) -> tuple[tuple[str, str], ...]:
    return (("", item.subset),)


# How a suite's figures over several subsets are made; others pool their items. AIR-Bench's speech
# figure is pooled.
PARENTS: dict[str, Parents] = {"evalsift": _mean_of_siblings, "dynamic_superb": _mean_of_subsets}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """The items of one metric with their counts: `places` says which of the items the rows of
    `counts` are."""

    items: Sequence[Item]
    metric: Metric
    name: str
    counts: np.ndarray
    places: np.ndarray

    @functools.cached_property
    def rows(self) -> dict[int, int]:
        """The row of counts that an item has, if it has one."""
        return {place: row for row, place in enumerate(self.places.tolist())}

    @functools.cached_property
    def clusters(self) -> np.ndarray:
        """For each row a number that the items of one recording share."""
        numbers: dict[str, int] = {}
        names = [cluster_of(self.items[place]) for place in self.places]
        return np.asarray([numbers.setdefault(name, len(numbers)) for name in names], int)


def cluster_of(item: Item) -> str:
    """What an item stands or falls with: its first recording, or itself where it has none."""
    return item.audio[0] if item.audio else f"item {item.id}"


def count_items(
    items: Sequence[Item], predictions: Iterable[Prediction], verdicts: Iterable[Verdict]
) -> Iterator[Counts]:
    """For each metric of the items, in order of appearance, what was counted."""
    answers = {prediction.item.id: prediction.answer for prediction in predictions}
    scores = {(verdict.id, verdict.metric): verdict.score for verdict in verdicts}
    for name in dict.fromkeys(name for item in items for name in item.metrics):
        metric = get_metric(name)
        chosen = [item for item in items if name in item.metrics]
        rows, places = [], []
        for place, item in enumerate(chosen):
            if item.id not in answers:
                continue
            if metric.count is not None:
                row = metric.count(item, answers[item.id])
            else:
                score = scores.get((item.id, name))
                row = None if score is None else [score, 1.0]
            if row is not None:
                rows.append(row)
                places.append(place)
        counts = np.asarray(rows, float) if rows else np.zeros((0, 2))
        yield Counts(
            items=chosen, metric=metric, name=name, counts=counts, places=np.asarray(places, int)
        )


def make_cells(
    items: Sequence[Item],
    predictions: Iterable[Prediction],
    verdicts: Iterable[Verdict],
    *,
    system: str,
    bootstrap: BootstrapConfig,
) -> list[Cell]:
    """All figures of a system on a suite. `items` are all that were to be answered; verdicts those
    of the judge."""
    cells = []
    for counted in count_items(items, predictions, verdicts):
        # a suite in one language has the same items in several groups
        figures: dict[tuple[tuple[int, ...], ...], Figure] = {}
        for group, parts in _group(counted.items).items():
            members = tuple(map(tuple, parts.values()))
            if (
                counted.metric.is_ordered
                and len({counted.items[n].labels for part in members for n in part}) > 1
            ):
                continue
            if members not in figures:
                figures[members] = _measure(counted, members, bootstrap)
            cells.append(_make_cell(counted, group, members, system, figures[members]))
    return cells


# (subset, language, facet) → part → numbers of its items
Groups = dict[tuple[str, str, str], dict[str, list[int]]]


def _group(items: Sequence[Item]) -> Groups:
    """Where each item counts. A group with one part pools it; a group of several is their mean."""
    groups: Groups = {}
    for number, item in enumerate(items):
        facets = ["", *(f"{name}={value}" for name, value in item.facets.items() if value)]
        languages = ["", item.language] if item.language else [""]
        # "evalsift:dev" is an EvalSIFT by another name
        parents = PARENTS.get(item.suite.partition(":")[0], _pool)
        places = dict.fromkeys(((item.subset, ""), *parents(item)))
        for subset, part in places:
            for language in languages:
                for facet in facets:
                    groups.setdefault((subset, language, facet), {}).setdefault(part, []).append(
                        number
                    )
    # a facet that all items of a subset share says nothing there: a task's dimension is no figure
    # of the task
    return {
        group: parts
        for group, parts in groups.items()
        if not (group[0] and group[2]) or parts != groups[group[0], group[1], ""]
    }


# value, low, high, items scored
Figure = tuple[float | None, float | None, float | None, int]


def _make_cell(
    counted: Counts,
    group: tuple[str, str, str],
    members: tuple[tuple[int, ...], ...],
    system: str,
    figure: Figure,
) -> Cell:
    subset, language, facet = group
    value, low, high, n = figure
    return Cell(
        suite=counted.items[members[0][0]].suite,
        subset=subset,
        language=language,
        facet=facet,
        metric=counted.name,
        system=system,
        value=value,
        low=low,
        high=high,
        n=n,
        of=sum(map(len, members)),
    )


def _measure(
    counted: Counts, members: tuple[tuple[int, ...], ...], bootstrap: BootstrapConfig
) -> Figure:
    """The mean over the parts of what their items' counts make, and its interval."""
    parts = [
        [counted.rows[number] for number in part if number in counted.rows] for part in members
    ]
    parts = [part for part in parts if part]
    rows = [row for part in parts for row in part]
    if not rows:
        return None, None, None, 0
    make = counted.metric.make
    figure = float(average(np.stack([make(counted.counts[part].sum(axis=0)) for part in parts])))
    if np.isnan(figure):
        return None, None, None, len(rows)
    found, index = np.unique(counted.clusters[rows], return_inverse=True)
    size = len(found)
    if size < 2 or not bootstrap.samples:
        return figure, None, None, len(rows)
    sums, start = [], 0
    for part in parts:
        sums.append(sum_clusters(counted.counts[part], index[start : start + len(part)], size))
        start += len(part)
    # the same items give the same interval wherever their figure stands
    names = [counted.name, *(counted.items[counted.places[row]].id for row in rows)]
    rng = make_generator(bootstrap.seed, "|".join(names))
    low, high = find_interval(resample(sums, make, rng, bootstrap.samples), bootstrap.confidence)
    if counted.metric.is_binary and figure in (0.0, 1.0):
        low, high = bound_unanimous(figure, size, bootstrap.confidence)
    return figure, low, high, len(rows)
