"""The page of a sweep: the paper's table, the curve over word error rates, and the questions with
their signs.

results.json ─► report.html  report.md
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.charts import pick_ticks, put_line, put_text, wrap_svg
from sift_jax.evaluation.report.document import (
    Document,
    Drawing,
    Figure,
    Note,
    Row,
    Section,
    Table,
    wrap_chart,
)
from sift_jax.evaluation.report.number_format import find_metric, name_title
from sift_jax.pages.markup import escape_text
from sift_jax.storage.whole_files import write_whole

# as the paper writes them
SETS = {"speech_msmarco": "Speech-MSMARCO", "spokenqa_ls": "SpokenQA-LS"}
SIGNS = {1: "better", -1: "worse", 0: "no sign"}
_COLOURS = ("var(--model)", "var(--warn, #a9521a)", "#6b9cc2")


def _name_set(name: str) -> str:
    return SETS.get(name, name_title(name))


def write_page(results: Mapping[str, Any], out: Path) -> Path:
    document = make_document(results)
    write_whole(out / "report.md", document.write_markdown())
    return write_whole(out / "report.html", document.write_html())


def make_document(results: Mapping[str, Any]) -> Document:
    sections = [_make_table_section(results)]
    sections += [_make_curve_section(results)] if results["curve"] else []
    sections += [_make_questions_section(results)] if results["differences"] else []
    seeds = len(results["seeds"])
    return Document(
        title=results["title"],
        intro=f"{len(results['arms'])} arms, {seeds} {'seed' if seeds == 1 else 'seeds'} each. "
        f"Intervals of {results['confidence']:.0%} are over "
        f"recordings{' and seeds' if seeds > 1 else ', of one run'}.",
        top=[
            Note(
                text=(
                    "A sign is an interval of a difference that does not hold zero, and says no "
                    "more than that."
                )
            )
        ],
        sections=sections,
        footer="",
    )


def _write(found: Mapping[str, Any]) -> Figure:
    notes = [f"{found['low']:.3f} … {found['high']:.3f}"] if found["low"] is not None else []
    if len(found["of_seeds"]) > 1:
        notes.append("seeds " + ", ".join(f"{value:.3f}" for value in found["of_seeds"]))
    return Figure(text=f"{found['figure']:.3f}", notes=tuple(notes))


def _make_table_section(results: Mapping[str, Any]) -> Section:
    sets, rows = results["sets"], []
    for arm, title in results["rows"].items():
        rows.append(Row(title=title, figures=[_write(results["arms"][arm][name]) for name in sets]))
    if results["published"]:
        figures = [
            Figure(
                text=f"{results['published'][name]:.2f}" if name in results["published"] else "–",
                is_quoted=True,
            )
            for name in sets
        ]
        rows.append(Row(title="published: both sets, full size", figures=figures, is_quoted=True))
    table = Table(
        title=(
            f"{find_metric(results['metric']).title} by training data (rows) and test set (columns)"
        ),
        columns=["training data", *map(_name_set, sets)],
        rows=rows,
    )
    return Section(
        anchor="table",
        title="Training data and test sets",
        lead="As the paper prints it.",
        parts=[table],
    )


def _make_curve_section(results: Mapping[str, Any]) -> Section:
    curve = sorted(results["curve"].items(), key=lambda pair: pair[1])
    rows = [
        Row(
            title=f"{arm}, {rate:.1f} %",
            figures=[_write(results["arms"][arm][name]) for name in results["sets"]],
        )
        for arm, rate in curve
    ]
    table = Table(
        title="By word error rate of the transcripts that questions were written from",
        columns=["arm, word error rate", *map(_name_set, results["sets"])],
        rows=rows,
    )
    return Section(
        anchor="curve",
        title="How far the word error rate matters",
        lead="Each point with its interval.",
        parts=[Drawing(html=wrap_chart(draw_curve(results, curve))), table],
    )


def draw_curve(results: Mapping[str, Any], curve: list[tuple[str, float]]) -> str:
    """Figures over word error rates, a line a test set, with their intervals as bars."""
    left, top, width, height = 48, 12, 460, 220
    arms = results["arms"]
    highest = max(
        arms[arm][name]["high"] or arms[arm][name]["figure"]
        for arm, _ in curve
        for name in results["sets"]
    )
    ys, xs = pick_ticks(0.0, highest), pick_ticks(0.0, max(rate for _, rate in curve))

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * x / xs[-1], top + height * (1 - y / ys[-1])

    body = []
    for tick in ys:
        y = place(0, tick)[1]
        body += [
            put_line(left, y, left + width, y, "grid"),
            put_text(left - 8, y + 4, f"{tick:g}", "axis", "end"),
        ]
    body += [
        put_text(place(tick, 0)[0], top + height + 18, f"{tick:g} %", "axis", "middle")
        for tick in xs
    ]
    for number, name in enumerate(results["sets"]):
        colour = _COLOURS[number % len(_COLOURS)]
        points = []
        for arm, rate in curve:
            found = arms[arm][name]
            x, y = place(rate, found["figure"])
            points.append(f"{x:.1f},{y:.1f}")
            tip = (
                f"<title>{escape_text(f'{name}, {arm}, {rate:.1f} %')}: "
                f"{found['figure']:.3f}</title>"
            )
            body.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" style="fill:{colour}">{tip}</circle>'
            )
            if found["low"] is not None:
                low, high = place(rate, found["low"])[1], place(rate, found["high"])[1]
                body.append(
                    f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" '
                    f'style="stroke:{colour}"/>'
                )
        body.append(f'<polyline points="{" ".join(points)}" style="fill:none;stroke:{colour}"/>')
        body.append(
            f'<text x="{left + width - 4}" y="{top + 14 + 16 * number}" text-anchor="end" '
            f'style="fill:{colour}">{escape_text(_name_set(name))}</text>'
        )
    return wrap_svg(left + width + 16, top + height + 28, body, "figures over word error rates")


def _make_questions_section(results: Mapping[str, Any]) -> Section:
    rows = []
    for asked in results["differences"]:
        figures = []
        for name in results["sets"]:
            found = asked["sets"][name]
            notes = (
                [f"{found['low']:+.3f} … {found['high']:+.3f}"] if found["low"] is not None else []
            )
            if len(found["of_seeds"]) > 1:
                notes.append("seeds " + ", ".join(f"{x:+.3f}" for x in found["of_seeds"]))
            figures.append(
                Figure(
                    text=f"{found['difference']:+.3f} {SIGNS[found['sign']]}",
                    notes=tuple(notes),
                    tint=0.6 * found["sign"] or None,
                )
            )
        rows.append(
            Row(
                title=f"{asked['question']} ({asked['second']} − {asked['first']})", figures=figures
            )
        )
    table = Table(
        title=f"Differences in {find_metric(results['metric']).title}, the second minus the first",
        columns=["question", *map(_name_set, results["sets"])],
        rows=rows,
    )
    return Section(
        anchor="questions",
        title="The questions",
        lead="Both arms by the same draws.",
        parts=[table],
    )
