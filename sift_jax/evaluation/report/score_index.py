"""The figures of an evaluation, to be found by name and in the order of the tables.

cells ─► Board ─► rows of a suite: (subset, metric), parts before the figure that sums them up
               ─► the cells of all systems in one place: {"model": Cell, "majority": Cell, …}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from sift_jax.evaluation.report.number_format import CLOSED_ORDER, is_number
from sift_jax.evaluation.scores.schema import (
    BASELINES,
    MODEL,
    TEXT_MODEL,
    UNTRAINED,
    Cell,
)
from sift_jax.sift.labels import LABELS

Systems = dict[str, Cell]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a figure stands in a suite."""

    subset: str
    metric: str

    @property
    def root(self) -> str:
        return self.subset.split("/")[0]


class Board:
    def __init__(self, cells: Iterable[Cell]):
        self.cells = tuple(cells)
        self._found: dict[tuple[str, str, str, str, str], Systems] = {}
        for cell in self.cells:
            key = (cell.suite, cell.subset, cell.metric, cell.language, cell.facet)
            self._found.setdefault(key, {})[cell.system] = cell

    @property
    def suites(self) -> list[str]:
        return list(dict.fromkeys(cell.suite for cell in self.cells))

    def find(self, suite: str, place: Place, *, language: str = "", facet: str = "") -> Systems:
        return self._found.get((suite, place.subset, place.metric, language, facet), {})

    def places(self, suite: str) -> list[Place]:
        """Rows of a suite's table: groups as they come, their parts first, all of the suite last.

        Where there is one part alone, it is all of the suite."""
        found = dict.fromkeys(
            Place(subset=c.subset, metric=c.metric)
            for c in self.cells
            if c.suite == suite and not c.facet and not c.language
        )
        if len({place.subset for place in found if place.subset}) == 1:
            found = {
                place: None
                for place in found
                if not place.subset or Place(subset="", metric=place.metric) not in found
            }
        roots = list(dict.fromkeys(place.root for place in found))
        metrics = list(dict.fromkeys(place.metric for place in found))

        def rank(place: Place) -> tuple:
            is_group = any(other.subset.startswith(f"{place.subset}/") for other in found)
            known = CLOSED_ORDER.get(place.subset, len(CLOSED_ORDER))
            return (
                not place.subset,
                roots.index(place.root),
                is_group,
                known,
                place.subset,
                metrics.index(place.metric),
            )

        return sorted(found, key=rank)

    def is_group(self, suite: str, place: Place) -> bool:
        """Whether the figure sums up others of the table."""
        others = {p.subset for p in self.places(suite)} - {place.subset}
        return any(not place.subset or other.startswith(f"{place.subset}/") for other in others)

    def heads(self, suite: str) -> list[Place]:
        """The figures that stand for the suite: all of it, or its groups, each by its first
        metric."""
        places = self.places(suite)
        whole = [p for p in places if not p.subset]
        tops = whole or [p for p in places if "/" not in p.subset] or places
        return [p for n, p in enumerate(tops) if p.subset not in {q.subset for q in tops[:n]}]

    def systems(self, suite: str = "") -> list[str]:
        return sort_systems(
            dict.fromkeys(c.system for c in self.cells if not suite or c.suite == suite)
        )

    def languages(self, suite: str) -> list[str]:
        return sorted({c.language for c in self.cells if c.suite == suite and c.language})

    def facets(self, suite: str, place: Place) -> dict[str, list[str]]:
        """Facets at a place that split it: name → values, of a scale from low to high, else those
        with most first.

        A sum has none that its parts have: the mean over parts with and without a kind says nothing
        of the kind."""
        is_group = self.is_group(suite, place)
        below = {
            facet.partition("=")[0]
            for of, subset, _, _, facet in self._found
            if is_group
            and of == suite
            and subset != place.subset
            and subset.startswith(place.subset)
        }
        found: dict[str, dict[str, int]] = {}
        for (of, subset, metric, language, facet), systems in self._found.items():
            if (
                of == suite
                and facet
                and not language
                and (subset, metric) == (place.subset, place.metric)
            ):
                name, _, value = facet.partition("=")
                found.setdefault(name, {})[value] = max(cell.n for cell in systems.values())
        return {
            name: _order_values(name, counts)
            for name, counts in found.items()
            if len(counts) > 1 and name not in below
        }


def _order_values(name: str, counts: dict[str, int]) -> list[str]:
    scale = LABELS.get(name, ())
    return sorted(
        counts, key=lambda v: (scale.index(v) if v in scale else len(scale), -counts[v], v)
    )


def sort_systems(found: Iterable[str]) -> list[str]:
    """The model first, then the baselines, then whatever else was asked."""
    named, found = (MODEL, TEXT_MODEL, *BASELINES, UNTRAINED), list(found)
    return [s for s in named if s in found] + [s for s in found if s not in named]


def find_baseline(found: Iterable[str]) -> str:
    """The constant answer that stands beside the model: the majority of the training data where
    there is one."""
    found = set(found)
    return next((system for system in BASELINES if system in found), BASELINES[0])


def read_value(systems: Systems, system: str) -> float | None:
    cell = systems.get(system)
    return cell.value if cell is not None and is_number(cell.value) else None
