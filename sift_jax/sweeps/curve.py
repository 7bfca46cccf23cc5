"""The curve of a sweep: figures of some columns over where arms stand on an axis, such as the share
of the training data or a word error rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sift_jax.evaluation.report.charts import pick_ticks, put_line, put_text, wrap_svg
from sift_jax.evaluation.report.number_format import MISSING, find_metric
from sift_jax.pages.document import (
    Drawing,
    Figure,
    Part,
    Row,
    Section,
    Table,
    wrap_chart,
)
from sift_jax.pages.markup import escape_text

_LEFT, _TOP, _WIDTH, _HEIGHT = 56, 30, 420, 200


def make_curve_section(results: Mapping[str, Any]) -> Section:
    curve = results["curve"]
    points = sorted(curve["places"].items(), key=lambda pair: pair[1])
    columns = [
        name for name in curve["columns"] if any(name in results["arms"][arm] for arm, _ in points)
    ]
    parts: list[Part] = [
        Drawing(html=wrap_chart(draw_curve(results, name, points))) for name in columns
    ]
    rows = [
        Row(
            title=f"{results['rows'].get(arm, arm)}: {place:g}",
            figures=[_write_point(results, arm, name) for name in columns],
        )
        for arm, place in points
    ]
    parts.append(
        Table(
            title=f"By {curve['axis']}",
            columns=["arm", *(results["columns"][name]["title"] for name in columns)],
            rows=rows,
        )
    )
    return Section(
        anchor="curve", title=curve["title"], lead="Each point with its interval.", parts=parts
    )


def _write_point(results: Mapping[str, Any], arm: str, column: str) -> Figure:
    told = results["arms"][arm].get(column)
    metric = find_metric(results["columns"][column]["metric"])
    if told is None:
        return Figure(text=MISSING)
    low, high = (metric.write_bare(told[name]) for name in ("low", "high"))
    return Figure(text=metric.write(told["figure"]), notes=(f"{low} to {high}",))


def draw_curve(results: Mapping[str, Any], column: str, points: list[tuple[str, float]]) -> str:
    """Figures over places, with their intervals as bars and the commonest answer as a line."""
    metric = find_metric(results["columns"][column]["metric"])
    scale = 100 if metric.is_share else 1
    told = {
        arm: results["arms"][arm][column] for arm, _ in points if column in results["arms"][arm]
    }
    highest = max(
        scale * (one["figure"] if one["high"] is None else one["high"]) for one in told.values()
    )
    ys, xs = pick_ticks(0.0, highest), pick_ticks(0.0, max(place for _, place in points))

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + _WIDTH * x / xs[-1], _TOP + _HEIGHT * (1 - y / ys[-1])

    body = [put_text(_LEFT, 14, results["columns"][column]["title"], "axis", "start")]
    for tick in ys:
        y = place(0, tick)[1]
        body += [
            put_line(_LEFT, y, _LEFT + _WIDTH, y, "grid"),
            put_text(_LEFT - 8, y + 4, f"{tick:g}", "axis", "end"),
        ]
    body += [
        put_text(place(tick, 0)[0], _TOP + _HEIGHT + 18, f"{tick:g}", "axis", "middle")
        for tick in xs
    ]
    body.append(
        put_text(
            _LEFT + _WIDTH / 2, _TOP + _HEIGHT + 36, results["curve"]["axis"], "axis", "middle"
        )
    )
    majority = next((one["majority"] for one in told.values() if one["majority"] is not None), None)
    if majority is not None:
        y = place(0, scale * majority)[1]
        body.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDTH}" y2="{y:.1f}" '
            'style="stroke:var(--majority);stroke-dasharray:4 4"/>'
        )
        body.append(put_text(_LEFT + _WIDTH, y - 5, "majority-class baseline", "axis", "end"))
    line = []
    for arm, where in points:
        if arm not in told:
            continue
        one = told[arm]
        x, y = place(where, scale * one["figure"])
        line.append(f"{x:.1f},{y:.1f}")
        if one["low"] is not None:
            low, high = (place(where, scale * one[name])[1] for name in ("low", "high"))
            body.append(
                f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" '
                'style="stroke:var(--model)"/>'
            )
        tip = escape_text(f"{arm}, {where:g}: {metric.write(one['figure'])}")
        body.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" style="fill:var(--model)"><title>{tip}</title>'
            "</circle>"
        )
    body.append(f'<polyline points="{" ".join(line)}" style="fill:none;stroke:var(--model)"/>')
    label = f"{results['columns'][column]['title']} by {results['curve']['axis']}"
    return wrap_svg(_LEFT + _WIDTH + 16, _TOP + _HEIGHT + 46, body, label)
