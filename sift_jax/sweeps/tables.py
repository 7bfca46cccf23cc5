"""What the tables of a sweep have in them, from one JSON file that is written before the runs.

    {"source": "arXiv …, table 7",                                   whose figures are published
     "columns": {"closed": {"title": "EvalSIFT closed", "suite": "evalsift", "subsets": ["closed_ended/…", …],
                            "languages": ["en"], "metric": "judge_closed", "least": 1.0, "measured_by": ""}},
     "tables": [{"title": "…", "lead": "…", "columns": ["closed", …], "arms": []}],      no arms: all
     "published": {"default": {"closed": 45.4}, "no_comparison": {"closed": 34.3}},
     "expected": {"unit_input": {"closed": "none"}}}                             of arms that nobody has published

A column is the plain mean of its subsets' figures, each pooled over its languages (none: all). It can
be measured where the arm `measured_by`, or else the sweep's baseline, is above the commonest answer
by more than its interval; elsewhere no difference has a sign. Published figures
and `least` are as printed: shares in percent. A published difference of more than `least` has a
sign, which is what the sweep expects to see; a smaller one has none. Of an arm without published
figures "expected" may say the sign of its difference from the baseline: lower, none or higher.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from sift_jax.config_files import ROOT
from sift_jax.evaluation.report.number_format import Metric, find_metric

LOWER, NONE, HIGHER = -1, 0, 1
SIGNS = {"lower": LOWER, "none": NONE, "higher": HIGHER}


class TableError(ValueError):
    """A file of tables that cannot be used; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    title: str
    suite: str
    subsets: tuple[str, ...]
    languages: tuple[str, ...]
    metric: str
    # in our units, shares as fractions of 1
    least: float
    # an arm; "" is the sweep's baseline
    measured_by: str

    @property
    def writing(self) -> Metric:
        return find_metric(self.metric)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TablePlan:
    title: str
    lead: str
    columns: tuple[str, ...]
    # () for all
    arms: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    source: str
    columns: dict[str, Column]
    tables: tuple[TablePlan, ...]
    # row → column → figure in our units
    published: dict[str, dict[str, float]]
    # arm → column → sign, where nothing is published
    expected: dict[str, dict[str, int]]

    def expect(self, first: str, second: str, column: str) -> int | None:
        """The sign of the published difference, second minus first; NONE where it is too small to
        have one. Where nothing is published it is what the file says of `second`, or None."""
        figures = [self.published.get(arm, {}).get(column) for arm in (first, second)]
        if figures[0] is None or figures[1] is None:
            return self.expected.get(second, {}).get(column)
        difference = figures[1] - figures[0]
        # 42.3 − 41.3 is 1 and no more, whatever the last binary digit says
        if abs(difference) <= self.columns[column].least + 1e-9:
            return NONE
        return HIGHER if difference > 0 else LOWER


def read_tables(name: str) -> Tables:
    """A file of the working directory, or of the project."""
    path = next((p for p in (Path(name), ROOT / name) if p.is_file()), None)
    if path is None:
        raise TableError(f"{name} is not there; ResultsConfig.tables names a JSON file of tables")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        columns = {name: _read_column(name, given) for name, given in told["columns"].items()}
        tables = tuple(
            TablePlan(
                title=table["title"],
                lead=table["lead"],
                columns=tuple(table["columns"]),
                arms=tuple(table["arms"]),
            )
            for table in told["tables"]
        )
        for used in (
            *tables,
            *(
                TablePlan(title="published", lead="", columns=tuple(row), arms=())
                for row in told["published"].values()
            ),
        ):
            if unknown := sorted(set(used.columns) - columns.keys()):
                raise TableError(
                    f"{path}: {used.title!r} has a column {unknown[0]!r}, which is not among its "
                    f"columns: {', '.join(columns)}"
                )
        published = {
            arm: {name: float(value) / _scale(columns[name].writing) for name, value in row.items()}
            for arm, row in told["published"].items()
        }
        expected = {
            arm: {columns[name].name: SIGNS[sign] for name, sign in row.items()}
            for arm, row in told.get("expected", {}).items()
        }
        return Tables(
            source=told["source"],
            columns=columns,
            tables=tables,
            published=published,
            expected=expected,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(
            f"{path} is not a file of tables ({type(error).__name__}: {error}); see "
            "configs/sweeps/tables/"
        ) from error


def _read_column(name: str, given: dict[str, Any]) -> Column:
    metric = find_metric(given["metric"])
    return Column(
        name=name,
        title=given["title"],
        suite=given["suite"],
        subsets=tuple(given["subsets"]),
        languages=tuple(given["languages"]),
        metric=given["metric"],
        least=float(given["least"]) / _scale(metric),
        measured_by=given["measured_by"],
    )


def _scale(metric: Metric) -> int:
    return 100 if metric.is_share else 1
