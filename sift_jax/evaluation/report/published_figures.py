"""The papers' tables: their columns, the figures that they print, and ours beside them.

paper.json ─► PaperTable: columns (suite, part, language, protocol, metric) and published rows
runs ───────► the same columns of ours, where part and protocol agree ─► a Table: our rows, then the published, grey
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.number_format import (
    MISSING,
    Metric,
    find_metric,
    format_count,
    is_number,
    name_title,
)
from sift_jax.evaluation.report.score_index import Board, Place
from sift_jax.evaluation.scores.schema import MODEL, Cell
from sift_jax.pages.document import Figure, Row, Table

PAPER_PATH = Path(__file__).with_name("paper.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """An evaluation of ours: its name, its figures, and the protocol by which each of its suites
    was asked."""

    name: str
    board: Board
    protocols: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    suite: str
    subset: str
    language: str
    facet: str
    metric: str
    # the published figure's; empty where the suite is asked in one way alone
    protocol: str

    def find(self, run: Run) -> Cell | None:
        """The column's figure of a run; a suite may be there under a longer name
        ("evalsift:home")."""
        place = Place(subset=self.subset, metric=self.metric)
        for suite in self._list_suites(run):
            cells = run.board.find(suite, place, language=self.language, facet=self.facet)
            if MODEL in cells and run.protocols.get(suite, "") == self.protocol:
                return cells[MODEL]
        return None

    def find_other_protocol(self, run: Run) -> str:
        """How a run asked the suite, where that is another way than the published figure's."""
        asked = {run.protocols.get(suite, "") for suite in self._list_suites(run)}
        return "" if not asked or self.protocol in asked else next(iter(sorted(asked))) or "unknown"

    def _list_suites(self, run: Run) -> list[str]:
        found = [suite for suite in run.board.suites if suite.partition(":")[0] == self.suite]
        return sorted(found, key=lambda suite: suite != self.suite)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperTable:
    title: str
    # where the published rows are from
    source: str
    note: str
    columns: tuple[Column, ...]
    # name → figures in our units, shares as fractions of 1; None where the paper prints none
    rows: dict[str, tuple[float | None, ...]]


@functools.cache
def read_paper() -> tuple[str, tuple[PaperTable, ...]]:
    """What is to be said of the published figures, and the tables."""
    paper = json.loads(PAPER_PATH.read_text(encoding="utf-8"))
    tables = []
    for table in paper["tables"]:
        columns = tuple(Column(**column) for column in table["columns"])
        scales = [100 if find_metric(column.metric).is_share else 1 for column in columns]
        rows = {
            row["name"]: tuple(
                None if value is None else value / scale
                for value, scale in zip(row["values"], scales, strict=True)
            )
            for row in table["rows"]
        }
        tables.append(
            PaperTable(
                title=table["title"],
                source=table["source"],
                note=table["note"],
                columns=columns,
                rows=rows,
            )
        )
    return paper["note"], tuple(tables)


def list_protocols(results: Mapping[str, Any]) -> dict[str, str]:
    """By which protocol the suites of an evaluation were asked."""
    return {
        suite: entry.get("protocol", "") for suite, entry in (results.get("suites") or {}).items()
    }


def make_paper_table(table: PaperTable, runs: Sequence[Run]) -> Table:
    """All of a table of a paper, with our rows first; shut where no run has any of its figures."""
    rows: list[Row] = []
    other: dict[tuple[str, str], str] = {}
    for run in runs:
        found = [column.find(run) for column in table.columns]
        if any(found):
            rows.append(
                Row(
                    title=run.name,
                    figures=[
                        write_figure(find_metric(c.metric), cell)
                        for c, cell in zip(table.columns, found, strict=True)
                    ],
                )
            )
        other |= {
            (run.name, column.suite): column.find_other_protocol(run) for column in table.columns
        }
    is_open = bool(rows)
    rows += [
        Row(
            title=name,
            is_quoted=True,
            figures=[
                Figure(text=find_metric(c.metric).write(value), is_quoted=True)
                for c, value in zip(table.columns, values, strict=True)
            ],
        )
        for name, values in table.rows.items()
    ]
    strange = [
        f"{name} asked {name_title(suite)} by the {protocol} protocol, and the paper by its own: "
        "that figure of ours does not stand here."
        for (name, suite), protocol in other.items()
        if protocol
    ]
    note = " ".join(
        part for part in (f"In grey: published in {table.source}.", table.note, *strange) if part
    )
    return Table(
        title=table.title,
        columns=["Model", *(c.title for c in table.columns)],
        rows=rows,
        note=note,
        css="scores",
        is_open=is_open,
    )


def write_figure(metric: Metric, cell: Cell | None, *, first: Cell | None = None) -> Figure:
    """A run's figure with its interval and n, tinted by its distance from the first run's."""
    if cell is None or not is_number(cell.value):
        return Figure(text=MISSING)
    notes = [metric.write_interval(cell)] if is_number(cell.low) else []
    tint = None
    if first is not None and first is not cell and is_number(first.value):
        notes.insert(0, f"{metric.write_gap(cell.value, first.value)} on the first")
        tint = (cell.value - first.value) / (metric.top or max(abs(first.value), 1e-9)) * 4
        tint = -tint if metric.is_lower_better else tint
    return Figure(
        text=metric.write(cell.value), notes=(*notes, f"n {format_count(cell.n)}"), tint=tint
    )
