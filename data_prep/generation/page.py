"""report.html: how well a speaker followed instructions, in one file without a script.

results.json ─►  kappa of each key on one scale, with ceiling and floors · tables · asked against measured · words
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.describe.html_charts import STYLE_PATH, join_charts
from data_prep.describe.html_charts import make_table as draw_table
from data_prep.describe.paper import PAPER_OBEDIENCE
from data_prep.generation.report import (
    KEYS,
    MEANINGS,
    PAPER_NOTE,
    SYSTEMS,
    TITLES,
    find_warnings,
    index_cells,
    list_languages,
    list_missing,
    list_systems,
    make_field_table,
    make_markdown,
    make_table,
    make_terminal,
    make_words_table,
    name_language,
    say_size,
    write_figure,
)
from sift_jax.pages.document import Document, Drawing, Figure, Note, Part, Section, say
from sift_jax.pages.markup import escape_text
from sift_jax.sift.labels import LABELS
from sift_jax.storage.whole_files import write_whole

_HERE = Path(__file__).parent
# the scale of kappa on the page
_LOW, _HIGH = -0.2, 1.0


def read_css() -> str:
    """The charts of all pages of the data preparation, and what these add."""
    own = (_HERE / "page.css").read_text(encoding="utf-8")
    return STYLE_PATH.read_text(encoding="utf-8") + own


def write_report(results: Mapping[str, Any], out: Path) -> str:
    """Writes report.md and report.html; returns what the terminal shows."""
    write_whole(out / "report.md", make_markdown(results))
    write_whole(out / "report.html", make_page(results))
    return (
        f"{make_terminal(results)}\n\nresults {out}/results.json   report {out}/report.html, "
        f"{out}/report.md   each recording {out}/measured"
    )


def make_page(results: Mapping[str, Any]) -> str:
    languages = list_languages(results)
    sections = [
        _make_headline(results, languages[0]),
        _make_tables(results, languages),
        _make_confusions(results),
        _make_fields(results),
        _make_words(results),
        _make_missing(results),
    ]
    settings = results["settings"]
    experts, draws = ", ".join(settings["experts"].values()), settings["bootstrap"]["samples"]
    return Document(
        title="Controllable generation",
        intro=(
            f"{say_size(results)}. What was asked for is set beside what the corpus’s own experts "
            "measure on the recordings, in the corpus’s own classes."
        ),
        top=[Note(text=text, kind="warning") for text in find_warnings(results)],
        sections=[section for section in sections if section.parts],
        footer=(
            f"Bins of {settings['build']}; measured by {experts}; gender by {settings['gender']}; "
            f"intervals by {draws:,} draws of texts. results.json has these figures for a program, "
            "measured/ each recording."
        ),
        style=read_css(),
    ).write_html()


def _make_headline(results: Mapping[str, Any], language: str) -> Section:
    """Kappa of every key on one scale: the model's dot and interval, marks for the others, chance
    as a band."""
    cells, rows = index_cells(results), []
    for key in KEYS:
        own = cells.get(("model", language, key, "qwk"))
        if own is None:
            continue
        marks = [_make_span("band", cells.get(("permuted", language, key, "qwk")), "chance")]
        for units, table in PAPER_OBEDIENCE.items():
            if key in table:
                marks.append(_make_mark("paper", table[key][1], f"paper, {units}"))
        for system in ("constant", "untold", "ceiling", "recordings"):
            cell = cells.get((system, language, key, "qwk"))
            if cell is not None and cell["value"] is not None and system != "constant":
                marks.append(_make_mark(system, cell["value"], SYSTEMS[system]))
        marks.append(_make_span("whisker", own, "model"))
        if own["value"] is not None:
            marks.append(_make_mark("model", own["value"], "model"))
        rows.append(
            f'<span class="what">{TITLES[key]}</span><div class="track">{"".join(marks)}</div>'
            f'<span class="kappa">{write_figure(own)}</span>'
        )
    ticks = "".join(
        f'<span style="left:{_place(tick):.2f}%">{tick:g}</span>'
        for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    shown = [system for system in list_systems(results) if system not in ("constant", "permuted")]
    legend = "".join(
        f'<span><i class="mark {system}"></i>{SYSTEMS[system]}</span>' for system in shown
    )
    legend += (
        '<span><i class="mark paper"></i>paper, both units</span><span><i '
        'class="band"></i>chance</span>'
    )
    figure = (
        f"<figure><figcaption>Quadratic-weighted kappa, {name_language(language)}</figcaption>"
        f'<div class="kappas">{"".join(rows)}<span></span><div '
        f'class="ticks">{ticks}</div><span></span></div>'
        f'<div class="legend">{legend}</div></figure>'
    )
    lead = "1 is a speaker that always hits the class asked for, 0 one that does not listen."
    return Section(
        anchor="obedience", title="Controllability", lead=lead, parts=[Drawing(html=figure)]
    )


def _place(value: float) -> float:
    return 100 * (min(max(value, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW)


def _make_mark(css: str, value: float, name: str) -> str:
    return (
        f'<i class="mark {css}" style="left:{_place(value):.2f}%" title="{escape_text(name)}: '
        f'{value:.2f}"></i>'
    )


def _make_span(css: str, cell: Mapping[str, Any] | None, name: str) -> str:
    if cell is None or cell["low"] is None:
        return ""
    low, high = _place(cell["low"]), _place(cell["high"])
    return (
        f'<i class="{css}" style="left:{low:.2f}%;width:{high - low:.2f}%" '
        f'title="{escape_text(name)}: {cell["low"]:.2f} to {cell["high"]:.2f}"></i>'
    )


def _make_tables(results: Mapping[str, Any], languages: Sequence[str]) -> Section:
    meanings = "".join(
        f"<li><b>{SYSTEMS[system]}</b>: {MEANINGS[system]}</li>" for system in list_systems(results)
    )
    parts: list[Part] = [Drawing(html=f'<ul class="meanings">{meanings}</ul>')]
    for language in languages:
        head, rows = make_table(results, language)
        is_grey = [name.startswith("paper") for name in head]
        cells = [
            [
                Figure(text=cell, is_quoted=True) if grey else cell
                for cell, grey in zip(row, is_grey, strict=True)
            ]
            for row in rows
        ]
        name = name_language(language)
        # the first is open
        parts.append(
            draw_table(f"{name[:1].upper()}{name[1:]}", head, cells, is_open=len(parts) == 1)
        )
    lead = (
        "Mean absolute error in class steps / quadratic-weighted kappa; ± is the standard "
        f"deviation over runs. {PAPER_NOTE}"
    )
    return Section(anchor="figures", title="Figures", lead=lead, parts=parts)


def _make_confusions(results: Mapping[str, Any]) -> Section:
    figures = []
    for key in KEYS:
        table = results["confusions"]["model"].get(key)
        if table:
            figures.append(_draw_confusion(key, table))
    lead = (
        "All runs of the model; a row is a class asked for, low to high, and its cells say in per "
        "cent which class came out."
    )
    return Section(
        anchor="confusions", title="Asked and measured", lead=lead, parts=[join_charts(figures)]
    )


def _draw_confusion(key: str, table: Sequence[Sequence[int]]) -> str:
    labels, lines = LABELS[key], []
    for asked, row in enumerate(table):
        total = sum(row)
        cells = []
        for found, count in enumerate(row):
            share = count / total if total else 0.0
            css = f' class="{"hit" * (asked == found)} {"high" * (share > 0.55)}"'
            cells.append(
                f'<td{css} style="--share:{100 * share:.0f}%" title="asked '
                f"{escape_text(labels[asked])}, measured "
                f'{escape_text(labels[found])}: {count:,}">{f"{100 * share:.0f}" if count else ""}</td>'
            )
        lines.append(
            f'<tr><th scope="row">{escape_text(labels[asked])}</th>{"".join(cells)}<td '
            f'class="n">{total:,}</td></tr>'
        )
    top = "".join(
        f'<th scope="col" title="{escape_text(label)}">{place}</th>'
        for place, label in enumerate(labels, 1)
    )
    return (
        f'<figure><figcaption>{TITLES[key]}</figcaption><div class="scroll" tabindex="0" '
        f'role="group" aria-label="{TITLES[key]}"><table '
        'class="confusion"><thead><tr>'
        "<th>asked ↓ measured "
        f"→</th>{top}<th>n</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        "</figure>"
    )


def _make_fields(results: Mapping[str, Any]) -> Section:
    head, rows = make_field_table(results)
    lead = (
        "Of the recordings that were asked for in a class of a free field, the share that the "
        "expert of the field hears so. Read it beside the true recordings: an expert errs, too."
    )
    title = "In the class asked for"
    table = draw_table(title, head, rows, texts=frozenset({1}))
    return Section(anchor="fields", title=title, lead=lead, parts=[table] if rows else [])


def _make_words(results: Mapping[str, Any]) -> Section:
    head, rows = make_words_table(results)
    asr = results["settings"]["asr"] if rows else ""
    lead = (
        f"Word and letter error rates after Whisper’s normaliser, by {asr}. What it makes of the "
        "true recordings, and of these through the codec, is to be read beside it."
    )
    table = draw_table("Error rates", head, rows)
    parts = [table] if rows else []
    return Section(anchor="words", title="Can it be understood?", lead=lead, parts=parts)


def _make_missing(results: Mapping[str, Any]) -> Section:
    rows = list_missing(results)
    head = ["system", "what", "reason", "count"]
    table = draw_table("Not measured", head, rows, texts=frozenset({1, 2}))
    return Section(
        anchor="missing",
        title="What could not be measured",
        lead="What is not measured is in no figure; here is how much that is.",
        parts=[table] if rows else [Drawing(html=say("All was measured."))],
    )
