"""Charts of the report: plain SVG text, coloured by the page's CSS classes so that light and dark
themes both fit.

draw_score_groups   ▌▖_  ▌▖_      model, constant answer, untrained for each category
draw_score_rows     ━━━━━┃━━ 62   one kind a row: the model's bar, a tick for the constant, a ring for the untrained
draw_lines          ╲__           series over steps
draw_shares         ▒▒░░▓▓        counts as shares of a bar, one bar a language
draw_histogram      ▂▅▇▃          counts over edges
draw_waveform       ~∿~           the outline of a recording
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sift_jax.evaluation.report.number_format import (
    MISSING,
    SYSTEM_TITLES,
    Metric,
    format_count,
    is_number,
    name_system,
)
from sift_jax.evaluation.report.score_index import Systems, find_baseline, read_value
from sift_jax.evaluation.scores.schema import BASELINES, MAJORITY, MODEL, UNTRAINED
from sift_jax.pages.markup import escape_text

# Red, green, blue from low over neutral to high, at equal distances; they read on both themes.
RAMP = (
    (47, 102, 144),
    (107, 156, 194),
    (179, 205, 224),
    (229, 225, 216),
    (241, 198, 153),
    (223, 145, 79),
    (169, 82, 26),
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart; `css` names its look (raw, train, dev, gain)."""

    name: str
    css: str
    points: list[tuple[float, float]]
    has_dots: bool = False


def pick_ramp(count: int) -> list[tuple[str, str]]:
    """`count` colours spread over the ramp, each with the ink that reads on it; few ones keep off
    the dark ends."""
    edge = 0.0 if count > 3 else 1.0
    picked = []
    for place in np.linspace(edge, 6 - edge, count):
        red, green, blue = (
            round(np.interp(place, range(7), channel)) for channel in zip(*RAMP, strict=True)
        )
        is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 125
        picked.append((f"#{red:02x}{green:02x}{blue:02x}", "#fff" if is_dark else "#10202c"))
    return picked


def pick_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover [low, high]."""
    high = high if high > low else low + 1
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def wrap_svg(width: float, height: float, body: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" '
        f'aria-label="{escape_text(label)}">'
        f"{''.join(body)}</svg>"
    )


def put_text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" '
        f'text-anchor="{anchor}">{escape_text(text)}</text>'
    )


def put_rect(
    x: float, y: float, width: float, height: float, css: str, tip: str = "", style: str = ""
) -> str:
    title = f"<title>{escape_text(tip)}</title>" if tip else ""
    look = f' style="{style}"' if style else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
        f'rx="2" class="{css}"{look}>{title}</rect>'
    )


def put_line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def draw_score_groups(
    groups: Sequence[tuple[str, Systems]], *, metric: Metric, systems: Sequence[str], label: str
) -> str:
    """Vertical bars, the systems side by side in each group, with the interval of the model's
    figure."""
    left, roof, plot, bar, step = 44, 22, 220, 34, 46 + 31 * max(len(systems), 2)
    width, floor, top = left + step * len(groups) + 4, roof + plot, metric.top
    body = []
    for tick in np.linspace(0, top, 5):
        y = floor - plot * tick / top
        body += [
            put_line(left, y, width, y, "grid"),
            put_text(
                left - 8,
                y + 4,
                f"{100 * tick:.0f} %" if metric.is_share else f"{tick:g}",
                "axis",
                "end",
            ),
        ]
    for g, (title, cells) in enumerate(groups):
        x = left + step * g + (step - (bar + 4) * len(systems) + 4) / 2
        for s, system in enumerate(systems):
            value, at = read_value(cells, system), x + s * (bar + 4)
            if value is None:
                body.append(put_text(at + bar / 2, floor - 6, MISSING, "axis", "middle"))
                continue
            y = floor - plot * min(max(value / top, 0), 1)
            look = MAJORITY if system in BASELINES else system
            written, css = metric.write(value), look if system in SYSTEM_TITLES else "untrained"
            body.append(
                put_rect(at, y, bar, floor - y, css, f"{title}, {name_system(system)}: {written}")
            )
            lift = y
            cell = cells[system]
            if system == MODEL and is_number(cell.low) and is_number(cell.high):
                low, high = (
                    floor - plot * min(max(edge / top, 0), 1) for edge in (cell.low, cell.high)
                )
                body.append(put_line(at + bar / 2, low, at + bar / 2, high, "whisker"))
                lift = min(y, high)
            short = f"{100 * value:.0f}" if metric.is_share else f"{value:.1f}"
            body.append(put_text(at + bar / 2, lift - 6, short, f"value {css}-ink", "middle"))
        centre = left + step * (g + 0.5)
        n = cells[MODEL].n if MODEL in cells else None
        body += [
            put_text(centre, floor + 19, title, "name", "middle"),
            put_text(centre, floor + 35, f"n {format_count(n)}", "axis", "middle"),
        ]
    body.append(put_line(left, floor, width, floor, "base"))
    return wrap_svg(width, floor + 42, body, label)


def draw_score_rows(
    rows: Sequence[tuple[str, Systems]], *, metric: Metric, label: str, is_wide: bool = False
) -> str:
    """Horizontal bars, one kind of question a row, baselines as marks on it."""
    left, plot, step, longest = (410, 380, 22, 54) if is_wide else (164, 176, 25, 22)
    body = []
    for r, (title, cells) in enumerate(rows):
        y = 4 + r * step
        model, majority, untrained = (
            read_value(cells, system) for system in (MODEL, find_baseline(cells), UNTRAINED)
        )
        shown = title if len(title) <= longest else title[: longest - 1] + "…"
        body += [
            f"<g><title>{escape_text(title)}</title>{put_text(left - 10, y + 13, shown, 'name', 'end')}</g>",
            put_rect(left, y + 3, plot, 12, "track"),
        ]
        model_x, majority_x, untrained_x = (
            None if value is None else left + plot * min(max(value / metric.top, 0), 1)
            for value in (model, majority, untrained)
        )
        if model_x is not None:
            body.append(
                put_rect(
                    left,
                    y + 3,
                    model_x - left,
                    12,
                    "model",
                    f"{title}, model: {metric.write(model)}",
                )
            )
        if majority_x is not None:
            body.append(put_line(majority_x, y - 1, majority_x, y + 19, "tick"))
        if untrained_x is not None:
            body.append(f'<circle cx="{untrained_x:.1f}" cy="{y + 9}" r="3.5" class="ring"/>')
        value = (
            f"{100 * model:.0f} %" if metric.is_share and model is not None else metric.write(model)
        )
        n = cells[MODEL].n if MODEL in cells else None
        body += [
            put_text(left + plot + 44, y + 13, value, "value", "end"),
            put_text(left + plot + 52, y + 13, f"n {format_count(n)}", "axis"),
        ]
    return wrap_svg(left + plot + 104, 8 + step * len(rows), body, label)


def draw_lines(
    series: Sequence[Series], *, label: str, roof: float | None = None, width: float = 460
) -> str:
    """Lines over steps; values above `roof` are cut off, the scale always holds zero."""
    left, top, plot_w, plot_h = 44, 10, width - 60, 190
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points]
    x_ticks, y_ticks = (
        pick_ticks(0, max(xs)),
        pick_ticks(min(0, *ys), roof if roof is not None else max(0, *ys)),
    )
    x_high, (y_low, y_high) = max(xs), (y_ticks[0], y_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        share = (min(y, y_high) - y_low) / (y_high - y_low)
        return left + plot_w * x / (x_high or 1), top + plot_h * (1 - share)

    body = []
    for tick in y_ticks:
        y = place(0, tick)[1]
        body += [
            put_line(left, y, left + plot_w, y, "base" if tick == 0 else "grid"),
            put_text(left - 8, y + 4, f"{tick:g}", "axis", "end"),
        ]
    for tick in x_ticks:
        if tick <= x_high:
            body.append(
                put_text(place(tick, 0)[0], top + plot_h + 18, f"{tick:,g}", "axis", "middle")
            )
    body.append(put_text(left + plot_w, top + plot_h + 34, "step", "axis", "end"))
    for line in series:
        points = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" class="line {line.css}"/>')
        if line.has_dots:
            body += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot {line.css}">'
                f"<title>{escape_text(line.name)}, step {a:g}: {b:.3f}</title></circle>"
                for (x, y), (a, b) in zip(points, line.points, strict=True)
            ]
    return wrap_svg(width, top + plot_h + 40, body, label)


def draw_shares(
    rows: Sequence[tuple[str, Sequence[int]]], names: Sequence[str], *, label: str
) -> str:
    """One bar of full width a row, cut by the shares of its counts; a wide enough piece carries its
    percentage."""
    left, plot, step = 66, 330, 24
    colours = pick_ramp(len(names))
    body = []
    for r, (title, counts) in enumerate(rows):
        y, x, total = 2 + r * step, float(left), sum(counts) or 1
        body.append(put_text(left - 10, y + 13, title, "name", "end"))
        for name, count, (fill, ink) in zip(names, counts, colours, strict=True):
            span, share = plot * count / total, count / total
            if not count:
                continue
            body.append(
                put_rect(
                    x,
                    y,
                    span - 1,
                    18,
                    "",
                    f"{title}, {name}: {count:,} ({share:.0%})",
                    f"fill:{fill}",
                )
            )
            if span > 26:
                body.append(
                    f'<text x="{x + span / 2:.1f}" y="{y + 13}" class="inside" '
                    f'text-anchor="middle" style="fill:{ink}">{100 * share:.0f}</text>'
                )
            x += span
        body.append(put_text(left + plot + 6, y + 13, f"n {sum(counts):,}", "axis"))
    return wrap_svg(left + plot + 62, 4 + step * len(rows), body, label)


def draw_histogram(edges: Sequence[float], counts: Sequence[int], *, label: str, unit: str) -> str:
    width, left, top, plot = 164, 2, 6, 80
    span, high = (width - 2 * left) / max(len(counts), 1), max([*counts, 1])
    body = []
    for i, count in enumerate(counts):
        height = plot * count / high
        tip = f"{edges[i]:.3g} to {edges[i + 1]:.3g} {unit}: {count:,}"
        body.append(
            put_rect(left + i * span, top + plot - height, span - 1.5, height, "model", tip)
        )
    body.append(put_line(left, top + plot, width - left, top + plot, "base"))
    middle = (edges[0] + edges[-1]) / 2
    for value, x, anchor in (
        (edges[0], left, "start"),
        (middle, width / 2, "middle"),
        (edges[-1], width - left, "end"),
    ):
        body.append(put_text(x, top + plot + 16, f"{value:.3g} {unit}", "axis", anchor))
    return wrap_svg(width, top + plot + 22, body, label)


def draw_waveform(samples: np.ndarray, *, label: str, columns: int = 140) -> str:
    """The outline of a recording, drawn at its own peak: it shows where the words are, not how loud
    they are."""
    width, height = 2 * columns, 40
    edges = np.linspace(0, len(samples), columns + 1).astype(int)
    peaks = np.array(
        [np.abs(samples[a:b]).max(initial=0.0) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    )
    peaks = peaks / (peaks.max() or 1.0) * (height / 2 - 1)
    path = "".join(
        f"M{2 * i + 1} {height / 2 - p:.1f}v{2 * p + 0.5:.1f}" for i, p in enumerate(peaks)
    )
    svg = wrap_svg(width, height, [f'<path d="{path}" class="wave"/>'], label)
    return svg.replace("<svg ", '<svg preserveAspectRatio="none" ', 1)
