"""The papers' tables: their columns, and the figures that they print.

    paper.json ─► PaperTable: columns (suite, subset, language, metric) and published rows
    boards ─────► the same columns of our runs
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

from sift_jax.evaluation.items import MODEL, Cell
from sift_jax.evaluation.report.board import Board, Place
from sift_jax.evaluation.report.format import find_metric

PAPER_PATH = Path(__file__).with_name("paper.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    suite: str
    subset: str
    language: str
    metric: str

    def find(self, board: Board) -> Cell | None:
        """The column's figure of a run; a suite may be there under a longer name ("evalsift:home")."""
        for suite in (self.suite, *(s for s in board.suites if s.partition(":")[0] == self.suite)):
            cells = board.find(suite, Place(subset=self.subset, metric=self.metric), language=self.language)
            if MODEL in cells:
                return cells[MODEL]
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperTable:
    title: str
    # where the published rows are from; empty where there are none
    source: str
    columns: tuple[Column, ...]
    # name → figures in our units: shares as fractions of 1
    rows: dict[str, tuple[float, ...]]


@functools.cache
def read_paper() -> tuple[str, tuple[PaperTable, ...]]:
    """What is to be said of the published figures, and the tables."""
    paper = json.loads(PAPER_PATH.read_text(encoding="utf-8"))
    tables = []
    for table in paper["tables"]:
        columns = tuple(Column(**column) for column in table["columns"])
        scales = [100 if find_metric(column.metric).is_share else 1 for column in columns]
        rows = {row["name"]: tuple(value / scale for value, scale in zip(row["values"], scales, strict=True))
                for row in table["rows"]}
        tables.append(PaperTable(title=table["title"], source=table["source"], columns=columns, rows=rows))
    return paper["note"], tuple(tables)
