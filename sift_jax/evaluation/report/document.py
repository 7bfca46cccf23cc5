"""A page in parts that can be written as HTML and, but for pictures and recordings, as Markdown.

Document ── Section ── Table · Note · Tiles · Drawing ─► write_html ─► one page that loads nothing, runs no script
                                                       └► write_markdown: the same texts and figures
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from sift_jax.pages.markup import escape_markdown, escape_text

# rows that are read at a glance
MOST_OPEN = 16
STYLE_PATH = Path(__file__).with_name("style.css")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a table with its small print; `tint` from −1, bad, to 1, good."""

    text: str
    notes: tuple[str, ...] = ()
    tint: float | None = None
    # share of a row of counts, 0 to 1
    heat: float | None = None
    # grey: a published figure
    is_quoted: bool = False

    def write_html(self) -> str:
        small = "".join(f"<small>{escape_text(note)}</small>" for note in self.notes)
        style = ""
        if self.tint:
            tone = "--good" if self.tint > 0 else "--bad"
            share = 34 * min(abs(self.tint), 1.0)
            style = f' style="background:color-mix(in srgb, var({tone}) {share:.0f}%, transparent)"'
        if self.heat:
            style = (
                f' style="background:color-mix(in srgb, var(--model) {60 * self.heat:.0f}%, '
                'transparent)"'
            )
        css = ' class="quoted"' if self.is_quoted else ""
        text = f"<b>{escape_text(self.text)}</b>" if self.notes else escape_text(self.text)
        return f"<td{css}{style}>{text}{small}</td>"

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

    def write_html(self) -> str:
        # what heads nothing is no header
        head = "".join(
            f'<th scope="col"><span>{escape_text(column)}</span></th>' if column else "<td></td>"
            for column in self.columns
        )
        body = "".join(self._write_row(row) for row in self.rows)
        table = (
            f'<div class="sheet" tabindex="0" role="region" aria-label="{escape_text(self.title)}">'
            f'<table class="figures {self.css}"><caption>{escape_text(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )
        note = f'<p class="note">{escape_text(self.note)}</p>' if self.note else ""
        if self.is_open:
            return table + note
        return f"<details><summary>{escape_text(self.title)}</summary>{table}{note}</details>"

    def _write_row(self, row: Row) -> str:
        names = " ".join(
            name for name, has in (("total", row.is_total), ("quoted", row.is_quoted)) if has
        )
        css = f' class="{names}"' if names else ""
        cells = "".join(_figure(f).write_html() for f in row.figures)
        return f'<tr{css}><th scope="row">{escape_text(row.title)}</th>{cells}</tr>'

    def write_markdown(self) -> str:
        lines = [
            f"**{escape_markdown(self.title)}**",
            "",
            _join_cells(self.columns),
            "|" + " --- |" + " ---: |" * (len(self.columns) - 1),
        ]
        for row in self.rows:
            cells = [_figure(f).write_markdown() for f in row.figures]
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


def _figure(value: Figure | str) -> Figure:
    return value if isinstance(value, Figure) else Figure(text=value)


def _join_cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape_markdown(cell) for cell in cells) + " |"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence; an alarm cannot be overlooked."""

    text: str
    kind: str = "note"

    def write_html(self) -> str:
        role = ' role="alert"' if self.kind == "alarm" else ""
        return f'<p class="{self.kind}"{role}>{escape_text(self.text)}</p>'

    def write_markdown(self) -> str:
        text = escape_markdown(self.text)
        return f"> **{text}**" if self.kind == "alarm" else text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heading:
    text: str

    def write_html(self) -> str:
        return f"<h3>{escape_text(self.text)}</h3>"

    def write_markdown(self) -> str:
        return f"### {escape_markdown(self.text)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """HTML that is already escaped: charts, players, cards. What they say beyond the tables is
    their Markdown."""

    html: str
    markdown: str = ""

    def write_html(self) -> str:
        return self.html

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

    def write_html(self) -> str:
        made = []
        for tile in self.tiles:
            notes = "".join(f"<div>{escape_text(note)}</div>" for note in tile.notes)
            made.append(
                f'<div class="tile"><div class="tile-title">{escape_text(tile.title)}</div>'
                f'<div class="tile-value">{escape_text(tile.value)} '
                f"<span>{escape_text(tile.unit)}</span></div>"
                f'<div class="tile-note">{notes}</div></div>'
            )
        return f'<div class="tiles">{"".join(made)}</div>'

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

    def write_html(self) -> str:
        made = "".join(f"<div>{part.write_html()}</div>" for part in self.parts)
        body = f'<div class="{self.css}">{made}</div>'
        return (
            f"<details><summary>{escape_text(self.summary)}</summary>{body}</details>"
            if self.summary
            else body
        )

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

    def write_html(self) -> str:
        body = "".join(part.write_html() for part in self.parts)
        return (
            f'<section id="{escape_text(self.link)}"><h2>{escape_text(self.title)}</h2>'
            f'<p class="lead">{escape_text(self.lead)}</p>{body}</section>'
        )

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
        links = "".join(
            f'<a href="#{escape_text(s.link)}">{escape_text(s.title)}</a>' for s in self.sections
        )
        top, body = (
            "".join(part.write_html() for part in parts) for parts in (self.top, self.sections)
        )
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width, '
            f'initial-scale=1"><title>{escape_text(self.title)}</title>'
            f"<style>{STYLE_PATH.read_text(encoding='utf-8')}{self.style}</style></head><body><main>"
            f'<header class="page"><h1>{escape_text(self.title)}</h1><nav '
            f'aria-label="Sections">{links}</nav>'
            f'</header><p class="intro">{escape_text(self.intro)}</p>{top}{body}'
            f"<footer>{escape_text(self.footer)}</footer></main></body></html>\n"
        )

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
    return f'<p class="absent">{escape_text(sentence)}</p>'


def wrap_chart(svg: str, legend: str = "") -> str:
    # a narrow screen scrolls it, by keys too
    return f'{legend}<div class="chart" tabindex="0" role="group" aria-label="chart">{svg}</div>'


def make_legend(entries: list[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><span class="key {css}"></span>{escape_text(name)}</li>' for css, name in entries
    )
    return f'<ul class="legend">{items}</ul>'
