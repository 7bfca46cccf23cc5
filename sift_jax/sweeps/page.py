"""The page of a sweep: its tables with the published figures in grey, the curve, and the differences
with the sign that was expected and the one that was seen.

results.json ─► report.html  report.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.number_format import MISSING, Metric, find_metric, minus
from sift_jax.pages.document import (
    Document,
    Figure,
    Note,
    Part,
    Row,
    Section,
    Table,
)
from sift_jax.storage.whole_files import write_whole
from sift_jax.sweeps.curve import make_curve_section
from sift_jax.sweeps.results import NOT_MEASURABLE

SIGNS = {1: "higher", -1: "lower", 0: "none"}


def write_page(results: Mapping[str, Any], out: Path) -> Path:
    document = make_document(results)
    write_whole(out / "report.md", document.write_markdown())
    return write_whole(out / "report.html", document.write_html())


def make_document(results: Mapping[str, Any]) -> Document:
    sections = [
        _make_table_section(results, table, number)
        for number, table in enumerate(results["tables"])
        if _list_arms(results, table)
    ]
    sections += [make_curve_section(results)] if results["curve"]["places"] else []
    sections += [_make_differences_section(results)] if results["differences"] else []
    sections.append(_make_runs_section(results))
    seeds = len(results["seeds"])
    return Document(
        title=results["title"],
        intro=f"{len(results['arms'])} arms, {seeds} {'seed' if seeds == 1 else 'seeds'} each. "
        f"Intervals of {results['confidence']:.0%} are over "
        f"recordings{' and seeds' if seeds > 1 else ', of one run'}.",
        top=_list_notes(results),
        sections=sections,
        footer="",
    )


def _list_notes(results: Mapping[str, Any]) -> list[Part]:
    notes: list[Part] = [
        Note(
            text="A sign is an interval of a difference that does not hold zero, and says no more "
            "than that. Of few seeds an interval knows little of how runs differ: the figures of "
            "each seed stand beside it."
        )
    ]
    if results["missing"]:
        lacking = Counter(run.rpartition(".")[0] for run in results["missing"])
        seeds = len(results["seeds"])
        told = ", ".join(f"{arm} ({seeds - count} of {seeds})" for arm, count in lacking.items())
        notes.append(
            Note(kind="alarm", text=f"Left out, since not all of their seeds are there: {told}.")
        )
    unmeasured = [c["title"] for c in results["columns"].values() if c["is_measurable"] is False]
    if unmeasured:
        notes.append(
            Note(
                text=f"Not measurable at this size: {', '.join(unmeasured)}. There the model is "
                "not above the majority-class baseline by more than its interval, and no difference has "
                "a sign."
            )
        )
    return notes


def _list_arms(results: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, str]:
    """Arm → title, of the table's arms that are there."""
    return {
        arm: title
        for arm, title in results["rows"].items()
        if arm in results["arms"] and (not table["arms"] or arm in table["arms"])
    }


def _find_writing(results: Mapping[str, Any], column: str) -> Metric:
    return find_metric(results["columns"][column]["metric"])


def _write_figure(results: Mapping[str, Any], arm: str, column: str) -> Figure:
    told = results["arms"][arm].get(column)
    if told is None:
        return Figure(text=MISSING)
    metric = _find_writing(results, column)
    notes = []
    if told["low"] is not None:
        notes.append(f"{metric.write_bare(told['low'])} to {metric.write_bare(told['high'])}")
    if len(told["of_seeds"]) > 1:
        notes.append("seeds " + ", ".join(metric.write_bare(x) for x in told["of_seeds"]))
    return Figure(text=metric.write(told["figure"]), notes=tuple(notes))


def _make_table_section(
    results: Mapping[str, Any], table: Mapping[str, Any], number: int
) -> Section:
    columns, arms = table["columns"], _list_arms(results, table)
    rows = []
    for arm, title in arms.items():
        rows.append(
            Row(title=title, figures=[_write_figure(results, arm, name) for name in columns])
        )
        published = results["published"].get(arm, {})
        if any(name in published for name in columns):
            rows.append(
                Row(
                    title="published",
                    is_quoted=True,
                    figures=[
                        Figure(
                            text=_find_writing(results, name).write(published.get(name)),
                            is_quoted=True,
                        )
                        for name in columns
                    ],
                )
            )
    rows += _list_majorities(results, arms, columns)
    has_published = any(row.is_quoted for row in rows)
    body = Table(
        title=table["title"],
        columns=["arm", *(results["columns"][name]["title"] for name in columns)],
        rows=rows,
        note=f"In grey: published in {results['source']}." if has_published else "",
        css="scores",
    )
    return Section(anchor=f"table-{number}", title=table["title"], lead=table["lead"], parts=[body])


def _list_majorities(
    results: Mapping[str, Any], arms: Mapping[str, str], columns: Sequence[str]
) -> list[Row]:
    """A row of the commonest answer's figures, of the first arm that has them."""
    found: list[float | None] = []
    for name in columns:
        told = [results["arms"][arm][name] for arm in arms if name in results["arms"][arm]]
        found.append(told[0]["majority"] if told else None)
    if all(value is None for value in found):
        return []
    figures = [
        Figure(
            text=_find_writing(results, name).write(value),
            notes=(NOT_MEASURABLE,) if results["columns"][name]["is_measurable"] is False else (),
        )
        for name, value in zip(columns, found, strict=True)
    ]
    return [Row(title="majority-class baseline", figures=figures)]


def _make_differences_section(results: Mapping[str, Any]) -> Section:
    parts: list[Part] = []
    for table in results["tables"]:
        shown = [
            asked
            for asked in results["differences"]
            if not table["arms"] or {asked["first"], asked["second"]} <= set(table["arms"])
        ]
        columns = [
            name for name in table["columns"] if any(name in asked["columns"] for asked in shown)
        ]
        if not columns:
            continue
        rows = [
            Row(
                title=asked["question"],
                figures=[_write_difference(results, asked, name) for name in columns],
            )
            for asked in shown
        ]
        parts.append(
            Table(
                title=f"Differences: {table['title']}",
                columns=["question", *(results["columns"][name]["title"] for name in columns)],
                rows=rows,
                css="scores",
            )
        )
    return Section(
        anchor="differences",
        title="What each arm changes",
        lead="The second arm minus the first, by the same draws of seeds and recordings. Expected "
        "is the sign of the published difference, where it is larger than a point (or .3 of 10); "
        "p is two-sided, of the same draws.",
        parts=parts,
    )


def _write_difference(results: Mapping[str, Any], asked: Mapping[str, Any], column: str) -> Figure:
    told = asked["columns"].get(column)
    if told is None:
        return Figure(text=MISSING)
    metric = _find_writing(results, column)

    def write(value: float) -> str:
        return minus(f"{(100 if metric.is_share else 1) * value:+.{metric.digits}f}")

    notes = []
    if told["low"] is not None:
        notes.append(f"{write(told['low'])} to {write(told['high'])}, p {told['p']:.3f}")
    if len(told["of_seeds"]) > 1:
        notes.append("seeds " + ", ".join(write(x) for x in told["of_seeds"]))
    if told["seen"] is None:
        notes.append(NOT_MEASURABLE)
    else:
        expected = "nothing" if told["expected"] is None else SIGNS[told["expected"]]
        notes.append(f"expected {expected}, seen {SIGNS[told['seen']]}: {told['verdict']}")
    tint = 0.6 * told["seen"] if told["seen"] else None
    return Figure(text=write(told["difference"]), notes=tuple(notes), tint=tint)


def _make_runs_section(results: Mapping[str, Any]) -> Section:
    rows = []
    for arm, runs in results["runs"].items():
        for run in runs:
            minutes = sum(run["seconds"].values()) / 60
            rows.append(
                Row(
                    title=f"{results['rows'].get(arm, arm)}, seed {run['seed']}",
                    figures=[
                        run["commit"] or MISSING,
                        run["digest"],
                        f"{minutes:.1f}",
                        run["processor"],
                    ],
                )
            )
    table = Table(
        title="Runs",
        columns=["run", "commit", "config", "minutes", "processor"],
        rows=rows,
        is_open=False,
    )
    return Section(
        anchor="runs",
        title="How it was made",
        lead="The same digest of the config is the same training and evaluation but for the seed; a "
        "+ behind a commit says that files were changed since.",
        parts=[table],
    )
