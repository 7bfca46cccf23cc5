"""A page in parts that can be written as HTML and, but for pictures and recordings, as Markdown.

Document ── Section ── Table · Note · Tiles · Drawing ─► write_html ─► one page that loads nothing, runs no script
                                                       └► write_markdown: the same texts and figures

The HTML is in templates/, a macro a part.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from sift_jax.pages.markup import escape_markdown
from sift_jax.pages.templating import render_page, render_part

# rows that are read at a glance
MOST_OPEN = 16
STYLE_PATH = Path(__file__).with_name("style.css")
_TEMPLATE = Path(__file__).parent / "templates" / "document.html"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a table with its small print; `tint` from −1, bad, to 1, good."""

    # Markup, such as a bar, is put in as it is
    text: str
    notes: tuple[str, ...] = ()
    tint: float | None = None
    # share of a row of counts, 0 to 1
    heat: float | None = None
    # grey: a published figure
    is_quoted: bool = False
    css: str = ""

    @property
    def classes(self) -> str:
        return " ".join(filter(None, (self.css, "quoted" if self.is_quoted else "")))

    @property
    def background(self) -> str:
        """A colour of the page's, thinned out by how much there is of it; "" for none."""
        if self.heat:
            return f"color-mix(in srgb, var(--model) {60 * self.heat:.0f}%, transparent)"
        if self.tint:
            tone = "--good" if self.tint > 0 else "--bad"
            share = 34 * min(abs(self.tint), 1.0)
            return f"color-mix(in srgb, var({tone}) {share:.0f}%, transparent)"
        return ""

    def write_markdown(self) -> str:
        notes = (
            f" ({'; '.join(escape_markdown(note) for note in self.notes)})" if self.notes else ""
        )
        text = escape_markdown(self.text)
        return f"*{text}*{notes}" if self.is_quoted else f"{text}{notes}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    title: str
    figures: Sequence[Figure | str]
    is_total: bool = False
    is_quoted: bool = False

    @property
    def cells(self) -> list[Figure]:
        return [
            figure if isinstance(figure, Figure) else Figure(text=figure) for figure in self.figures
        ]

    @property
    def classes(self) -> str:
        names = (("total", self.is_total), ("quoted", self.is_quoted))
        return " ".join(name for name, has in names if has)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    title: str
    # of the first column, then of the figures
    columns: Sequence[str]
    rows: Sequence[Row]
    note: str = ""
    # a table that few will want is shut
    is_open: bool = True
    css: str = ""

    def write_html(self) -> Markup:
        return render_part("table", self)

    def write_markdown(self) -> str:
        lines = [
            f"**{escape_markdown(self.title)}**",
            "",
            _join_cells(self.columns),
            "|" + " --- |" + " ---: |" * (len(self.columns) - 1),
        ]
        for row in self.rows:
            cells = [cell.write_markdown() for cell in row.cells]
            title = escape_markdown(row.title)
            title = f"**{title}**" if row.is_total else f"*{title}*" if row.is_quoted else title
            lines.append("| " + " | ".join([title, *cells]) + " |")
        note = ["", escape_markdown(self.note)] if self.note else []
        return "\n".join([*lines, *note])


def fold_long(table: Table, most: int = MOST_OPEN) -> list[Table]:
    """A table; of a long one the sums stand open, and the rest is behind a fold."""
    if len(table.rows) <= most:
        return [table]
    sums = [row for row in table.rows if row.is_total]
    whole = dataclasses.replace(
        table, is_open=False, title=f"{table.title}: all {len(table.rows)} rows"
    )
    return [*([dataclasses.replace(table, rows=sums, note="")] if sums else []), whole]


def _join_cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape_markdown(cell) for cell in cells) + " |"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence; an alarm cannot be overlooked."""

    text: str
    kind: str = "note"

    def write_html(self) -> Markup:
        return render_part("note", self)

    def write_markdown(self) -> str:
        text = escape_markdown(self.text)
        return f"> **{text}**" if self.kind == "alarm" else text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heading:
    text: str

    def write_html(self) -> Markup:
        return render_part("heading", self)

    def write_markdown(self) -> str:
        return f"### {escape_markdown(self.text)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """HTML that is already escaped: charts, players, cards. What they say beyond the tables is
    their Markdown."""

    html: str
    markdown: str = ""

    def write_html(self) -> Markup:
        return Markup(self.html)

    def write_markdown(self) -> str:
        return self.markdown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    title: str
    value: str
    unit: str
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiles:
    """The few figures that come first, large."""

    tiles: Sequence[Tile]

    def write_html(self) -> Markup:
        return render_part("tiles", self.tiles)

    def write_markdown(self) -> str:
        lines = [
            f"* {escape_markdown(t.title)}: **{escape_markdown(f'{t.value} {t.unit}'.strip())}**"
            + (f" ({escape_markdown('; '.join(t.notes))})" if t.notes else "")
            for t in self.tiles
        ]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Parts side by side; with a summary they are shut until somebody opens them."""

    parts: Sequence[Table | Note | Heading | Drawing | Tiles]
    css: str = "grid wide"
    summary: str = ""

    def write_html(self) -> Markup:
        return render_part("group", self)

    def write_markdown(self) -> str:
        return "\n\n".join(text for text in (part.write_markdown() for part in self.parts) if text)


Part = Table | Note | Heading | Drawing | Tiles | Group


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    anchor: str
    title: str
    lead: str
    parts: Sequence[Part]

    @property
    def link(self) -> str:
        """A suite's name may hold what an address does not."""
        return re.sub(r"[^\w-]+", "-", self.anchor)

    def write_html(self) -> Markup:
        return render_part("section", self)

    def write_markdown(self) -> str:
        """Nothing, where all of it is to be seen or heard."""
        texts = [text for text in (part.write_markdown() for part in self.parts) if text]
        return (
            "\n\n".join([f"## {escape_markdown(self.title)}", escape_markdown(self.lead), *texts])
            if texts
            else ""
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    title: str
    intro: str
    # under the title, before any section: what must be seen first
    top: Sequence[Part]
    sections: Sequence[Section]
    footer: str
    # a sheet of its own beside the report's
    style: str = ""

    def write_html(self) -> str:
        style = STYLE_PATH.read_text(encoding="utf-8") + self.style
        return render_page(_TEMPLATE, title=self.title, style=style, document=self)

    def write_markdown(self) -> str:
        top = [text for text in (part.write_markdown() for part in self.top) if text]
        sections = [section.write_markdown() for section in self.sections]
        parts = [
            f"# {escape_markdown(self.title)}",
            escape_markdown(self.intro),
            *top,
            *sections,
            escape_markdown(self.footer),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def say(sentence: str) -> str:
    """A sentence in the place of something that is not there."""
    return str(render_part("absent", sentence))


def wrap_chart(svg: str, legend: str = "") -> str:
    """A drawing with its legend above."""
    return str(render_part("chart", svg, legend))


def make_legend(entries: list[tuple[str, str]]) -> str:
    """(class of the key, what it stands for) of each entry."""
    return str(render_part("legend", entries))
