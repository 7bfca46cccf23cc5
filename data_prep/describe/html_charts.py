"""Pieces of the page: tables, bars, stacks and histograms, in plain HTML that needs no script.

[("train", 3), …] ─► a Table      {"en": {"softly": 10, …}} ─► a stack of shares a language, with a legend
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sift_jax.pages.document import Drawing, Figure, Row, Table
from sift_jax.pages.markup import escape_text

# the sheet of what is drawn here, beside that of all pages
STYLE_PATH = Path(__file__).with_name("charts.css")
# Low to high along a scale; labels without order go round.
_RAMP = ("#3b4cc0", "#5f7fe8", "#7fa3d8", "#8d9a8f", "#d6a35c", "#dd7a4a", "#b5322f")
# Beyond so many, what is rarest is drawn as one.
_MOST_LABELS = 10
# A share as wide as this has room for its figure.
_WRITTEN_SHARE = 0.08


def make_table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    texts: frozenset[int] = frozenset(),
    is_open: bool = True,
) -> Table:
    """The first cell of a row names it; cells of `texts` are words; markup comes as `Markup`."""
    return Table(
        title=title,
        columns=head,
        rows=[
            Row(
                title=str(row[0]),
                figures=[
                    _make_cell(cell, number in texts) for number, cell in enumerate(row[1:], 1)
                ],
            )
            for row in rows
        ],
        is_open=is_open,
    )


def join_charts(figures: Sequence[str]) -> Drawing:
    """Charts side by side, as far as the page is wide."""
    return Drawing(html=f'<div class="grid wide">{"".join(figures)}</div>')


def make_bars(own: float, paper: float, most: float) -> Markup:
    """A share here above the share there, on one scale."""
    wide = [100 * share / most if most else 0 for share in (own, paper)]
    return Markup(
        f'<span class="bar" style="width:{wide[0]:.1f}%" title="here {100 * own:.1f} %"></span>'
        f'<span class="bar paper" style="width:{wide[1]:.1f}%" title="SIFT-50M {100 * paper:.1f} '
        '%"></span>'
    )


def make_stacks(title: str, by_language: Mapping[str, Mapping[str, int]]) -> str:
    """The shares of labels, a line a language; labels in the order in which they come."""
    labels = [
        label
        for label in dict.fromkeys(itertools.chain(*by_language.values()))
        if any(counts.get(label) for counts in by_language.values())
    ]
    totals = {
        label: sum(counts.get(label, 0) for counts in by_language.values()) for label in labels
    }
    kept = labels
    if len(labels) > _MOST_LABELS:
        common = sorted(labels, key=lambda label: -totals[label])[: _MOST_LABELS - 1]
        kept = [label for label in labels if label in common]
    colours = [
        _RAMP[round(place * (len(_RAMP) - 1) / max(len(kept) - 1, 1))] for place in range(len(kept))
    ]
    lines = []
    for language, counts in by_language.items():
        total = sum(counts.values())
        spans = (
            "".join(
                _make_share(counts.get(label, 0) / total, colour, label)
                for label, colour in zip(kept, colours, strict=True)
            )
            if total
            else ""
        )
        lines.append(f'<span>{escape_text(language)}</span><div class="stack">{spans}</div>')
    names = list(zip(kept, colours, strict=True)) + (
        [("others", "var(--track)")] if len(kept) < len(labels) else []
    )
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape_text(name)}</span>'
        for name, colour in names
    )
    return (
        f"<figure><figcaption>{escape_text(title)}</figcaption><div "
        f'class="shares">{"".join(lines)}</div>'
        f'<div class="legend">{legend}</div></figure>'
    )


def make_histogram(title: str, edges: Sequence[float], counts: Sequence[int], unit: str) -> str:
    most = max(counts, default=0) or 1
    bars = "".join(
        (
            f'<span style="height:{100 * count / most:.1f}%" title="{low:g}–{high:g} {unit}: '
            f'{count:,}"></span>'
        )
        for count, (low, high) in zip(counts, itertools.pairwise(edges), strict=True)
    )
    return (
        f'<figure><figcaption>{escape_text(title)}</figcaption><div class="histogram">{bars}</div>'
        f'<div class="axis"><span>{edges[0]:g} {unit}</span><span>{edges[-1]:g} '
        f"{unit}</span></div></figure>"
    )


def _make_cell(cell: Any, is_text: bool) -> Figure:
    if isinstance(cell, Figure):
        return cell
    if isinstance(cell, Markup):
        return Figure(text=cell, css="bars")
    shown = f"{cell:,}" if isinstance(cell, int) else str("–" if cell is None else cell)
    return Figure(text=shown, css="text" if is_text else "")


def _make_share(share: float, colour: str, label: str) -> str:
    written = f"{100 * share:.0f}" if share >= _WRITTEN_SHARE else ""
    return (
        f'<span style="width:{100 * share:.2f}%;background:{colour};color:{_choose_ink(colour)}" '
        f'title="{escape_text(label)}: {100 * share:.1f} %">'
        f"{written}</span>"
    )


def _choose_ink(colour: str) -> str:
    """Black or white, whichever is told apart better from a colour (WCAG's relative luminance)."""
    linear = [
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
        for level in (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # against white (1.05) / (L + .05), against black (L + .05) / .05: equal at L = .179
    return "#fff" if luminance < 0.179 else "#000"
