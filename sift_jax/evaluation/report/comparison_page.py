"""A comparison as a page, as Markdown and as JSON.

Comparison ─► the papers' tables, published rows in grey · each suite by part, language and facet, a run a column
           ─► paired tests · what flipped, with recordings ─► compare.html  compare.md  compare.json
"""

from __future__ import annotations

import dataclasses
import json
import os
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.comparison import Comparison, Flip, Pair, describe
from sift_jax.evaluation.report.measured_speech import GENERATION
from sift_jax.evaluation.report.number_format import (
    CLOSED_ORDER,
    MISSING,
    find_metric,
    format_count,
    is_number,
    name_subset,
    name_title,
)
from sift_jax.evaluation.report.players import AudioShelf
from sift_jax.evaluation.report.published_figures import (
    Run,
    list_protocols,
    make_paper_table,
    read_paper,
    write_figure,
)
from sift_jax.evaluation.report.samples_section import (
    SAMPLE_SEED,
    collect_utterances,
    make_badge,
    make_heard,
    make_tags,
    make_terms,
    shuffle,
)
from sift_jax.evaluation.report.score_index import Place, read_value
from sift_jax.evaluation.scores.schema import MODEL
from sift_jax.pages.document import (
    Document,
    Drawing,
    Figure,
    Heading,
    Note,
    Part,
    Row,
    Section,
    Table,
    fold_long,
)
from sift_jax.pages.markup import escape_text
from sift_jax.storage.whole_files import write_whole

FLIP_COUNT = 6


def write_comparison(comparison: Comparison, out: str | Path) -> Path:
    """Writes compare.html, compare.md and compare.json into a folder; returns the page."""
    out = Path(out)
    document = make_document(comparison, out)
    write_whole(
        out / "compare.json",
        json.dumps(list_figures(comparison), indent=1, ensure_ascii=False) + "\n",
    )
    write_whole(out / "compare.md", document.write_markdown())
    return write_whole(out / "compare.html", document.write_html())


def format_comparison(comparison: Comparison) -> str:
    """The figures of all runs as a table for a terminal, and of two runs their difference where the
    paired test has one."""
    rows = [("", *comparison.names, *(["difference", "95 %"] if len(comparison.runs) == 2 else []))]
    for suite in dict.fromkeys(suite for board in comparison.boards for suite in board.suites):
        rows.append((name_title(suite), *("" for _ in rows[0][1:])))
        boards = comparison.boards
        for place in dict.fromkeys(place for board in boards for place in board.places(suite)):
            metric = find_metric(place.metric)
            figures = [
                metric.write(read_value(board.find(suite, place), MODEL)) for board in boards
            ]
            title = f"  {name_subset(place.subset) or 'all'}, {metric.title}"
            rows.append((title, *figures, *_write_difference(comparison, suite, place)))
    widths = [max(len(row[i]) for row in rows) + (2 if i else 0) for i in range(len(rows[0]))]
    lines = [
        row[0].ljust(widths[0])
        + "".join(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def _write_difference(comparison: Comparison, suite: str, place: Place) -> list[str]:
    """Of two runs: the second less the first, and its interval."""
    if len(comparison.runs) != 2:
        return []
    metric, wanted = find_metric(place.metric), (suite, place.subset, place.metric)
    for pair in comparison.pairs:
        if (pair.suite, pair.subset, pair.metric) == wanted:
            interval = f"{metric.write_gap(pair.low, 0)} to {metric.write_gap(pair.high, 0)}"
            return [metric.write_gap(pair.second, pair.first), interval]
    return [MISSING, MISSING]


def make_document(comparison: Comparison, out: Path) -> Document:
    note, tables = read_paper()
    suites = list(dict.fromkeys(suite for board in comparison.boards for suite in board.suites))
    runs = [
        Run(name=name, board=board, protocols=list_protocols(run.results))
        for name, board, run in zip(
            comparison.names, comparison.boards, comparison.runs, strict=True
        )
    ]
    sections = [
        Section(
            anchor="tables",
            title="The papers’ tables",
            lead=note,
            parts=[make_paper_table(table, runs) for table in tables],
        )
    ]
    sections += [make_suite_section(comparison, suite) for suite in suites]
    if comparison.flips:
        sections.append(make_flips_section(comparison))
    sections.append(make_runs_section(comparison, out))
    return Document(
        title="sift_jax · comparison",
        intro=" · ".join(comparison.names),
        top=[Note(text=text, kind=kind) for kind, text in comparison.warnings],
        sections=sections,
        footer=(
            f"{len(comparison.runs)} evaluations; each is compared with the first that has the "
            "suite."
        ),
    )


def make_suite_section(comparison: Comparison, suite: str) -> Section:
    boards = comparison.boards
    places = list(dict.fromkeys(place for board in boards for place in board.places(suite)))
    parts: list[Part] = [
        *fold_long(make_runs_table(comparison, suite, "by part", [(p, "", "") for p in places]))
    ]
    languages = sorted({x for board in boards for x in board.languages(suite)})
    if len(languages) > 1:
        parts.append(
            make_runs_table(
                comparison,
                suite,
                "by language",
                [(p, x, "") for p in places for x in languages],
                is_open=False,
            )
        )
    facets: dict[str, dict[tuple[Place, str], None]] = {}
    for board in boards:
        for place in places:
            for name, values in board.facets(suite, place).items():
                facets.setdefault(name, {}).update(
                    dict.fromkeys((place, value) for value in values)
                )
    parts += [
        make_runs_table(
            comparison,
            suite,
            f"by {name_title(name).lower()}",
            [(place, "", f"{name}={value}") for place, value in found],
            is_open=False,
        )
        for name, found in facets.items()
    ]
    pairs = [pair for pair in comparison.pairs if pair.suite == suite]
    for run in dict.fromkeys(pair.run for pair in pairs):
        parts += fold_long(
            make_pair_table(comparison, run, [pair for pair in pairs if pair.run == run])
        )
    return Section(
        anchor=suite, title=name_title(suite), parts=parts, lead=describe_share(comparison, suite)
    )


def describe_share(comparison: Comparison, suite: str) -> str:
    share = next((s for s in comparison.shares if s.suite == suite), None)
    if suite == GENERATION:
        return (
            "Each run’s own recordings, measured by its own corpus’s classes; nothing is compared "
            "one by one."
        )
    if share is None:
        return "One run alone has answers to this suite: nothing is compared question by question."
    of = (
        "all that they were asked"
        if share.is_whole
        else (
            f"of {' and '.join(format_count(size) for size in share.sizes)}, and only these are "
            "compared"
        )
    )
    return f"{format_count(len(share.ids))} questions are shared, {of}."


def make_runs_table(
    comparison: Comparison,
    suite: str,
    what: str,
    keys: Sequence[tuple[Place, str, str]],
    *,
    is_open: bool = True,
) -> Table:
    """A run a column; a key is a place with a language or a facet."""
    rows = []
    for place, language, facet in keys:
        metric = find_metric(place.metric)
        cells = [
            board.find(suite, place, language=language, facet=facet).get(MODEL)
            for board in comparison.boards
        ]
        if not any(cells):
            continue
        more = (
            name_title(language)
            if language
            else name_title(facet.partition("=")[2])
            if facet
            else ""
        )
        title = ", ".join(x for x in (name_subset(place.subset), more, metric.title) if x)
        rows.append(
            Row(
                title=title,
                figures=[write_figure(metric, cell, first=cells[0]) for cell in cells],
                is_total=any(b.is_group(suite, place) for b in comparison.boards)
                and not language + facet,
            )
        )
    return Table(
        title=f"{name_title(suite)} {what}",
        columns=["Part", *comparison.names],
        rows=rows,
        is_open=is_open,
        css="runs",
    )


def write_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def make_pair_table(comparison: Comparison, run: int, pairs: Sequence[Pair]) -> Table:
    # the first run may not have this suite
    first, name = comparison.names[pairs[0].base], comparison.names[run]
    rows = []
    for pair in pairs:
        metric = find_metric(pair.metric)
        interval = (
            f"{metric.write_gap(pair.low, 0)} to {metric.write_gap(pair.high, 0)}"
            if is_number(pair.low)
            else MISSING
        )
        better = 0.6 if (pair.difference < 0) == metric.is_lower_better else -0.6
        gap = Figure(
            text=metric.write_gap(pair.second, pair.first), tint=better if pair.p < 0.05 else None
        )
        title = ", ".join(
            (name_subset(pair.subset) + ("" if pair.subset else " together"), metric.title)
        )
        rows.append(
            Row(
                title=title,
                is_total=not pair.subset,
                figures=[
                    metric.write(pair.first),
                    metric.write(pair.second),
                    gap,
                    interval,
                    format_count(pair.only_first),
                    format_count(pair.only_second),
                    write_p(pair.p),
                    format_count(pair.n),
                ],
            )
        )
    tests = ", ".join(dict.fromkeys(pair.test for pair in pairs))
    return Table(
        title=f"{name} against {first}, question by question",
        rows=rows,
        columns=[
            "Part",
            first,
            name,
            "Difference",
            "95 % interval",
            "First better",
            "Second better",
            "p",
            "n shared",
        ],
        note=f"p of a paired test ({tests}), not corrected for the number of rows: one row in "
        "twenty is below 0.05 by chance. All parts together are pooled, every question counting "
        "alike. Tinted where p is below 0.05.",
    )


def choose_flips(flips: Sequence[Flip], count: int = FLIP_COUNT) -> list[Flip]:
    """The largest changes, among equals by lot, spread over parts and languages."""
    order = {
        s.item.id: n for n, s in enumerate(shuffle([flip.first for flip in flips], SAMPLE_SEED))
    }
    pool = sorted(flips, key=lambda flip: order[flip.first.item.id])
    subsets: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    chosen: list[Flip] = []
    while pool and len(chosen) < count:
        place = min(
            range(len(pool)),
            key=lambda i: (
                -round(abs(pool[i].gain), 6),
                subsets[pool[i].first.item.subset],
                languages[pool[i].first.item.language],
            ),
        )
        pick = pool.pop(place)
        subsets[pick.first.item.subset] += 1
        languages[pick.first.item.language] += 1
        chosen.append(pick)
    return chosen


def make_flips_section(comparison: Comparison) -> Section:
    """What was lost and what was gained from the first run to the second, counted and shown."""
    first, second = comparison.names
    lost, gained = (
        [flip for flip in comparison.flips if (flip.gain > 0) is is_gain]
        for is_gain in (False, True)
    )
    order = {share.suite: place for place, share in enumerate(comparison.shares)}
    places = sorted(
        {(f.first.item.suite, f.first.item.subset) for f in comparison.flips},
        key=lambda place: (
            order[place[0]],
            CLOSED_ORDER.get(place[1], len(CLOSED_ORDER)),
            place[1],
        ),
    )
    counts = [
        Counter((f.first.item.suite, f.first.item.subset) for f in flips)
        for flips in (lost, gained)
    ]
    rows = [
        Row(
            title=f"{name_title(suite)}, {name_subset(subset)}",
            figures=[format_count(count[suite, subset]) for count in counts],
        )
        for suite, subset in places
    ]
    rows.append(
        Row(
            title="All", figures=[format_count(len(lost)), format_count(len(gained))], is_total=True
        )
    )
    titles = [f"Better in {first}", f"Better in {second}"]
    parts: list[Part] = [
        Table(title="Questions with another score", columns=["Part", *titles], rows=rows)
    ]
    folder = comparison.runs[0].results.get("data") or comparison.runs[1].results.get("data")
    data_dir = Path(folder) if folder else None
    shelf = AudioShelf(data_dir)
    for title, flips, share in zip(titles, (lost, gained), (0.5, 1.0), strict=True):
        shelf.grant(share)
        chosen = choose_flips(flips)
        utterances = collect_utterances([flip.first for flip in chosen], data_dir)
        cards = "".join(
            make_flip_card(flip, comparison.names, utterances, shelf) for flip in chosen
        )
        if cards:
            parts += [
                Heading(text=f"{title}: {len(chosen)} of {len(flips):,}"),
                Drawing(html=f'<div class="cards">{cards}</div>'),
            ]
    return Section(
        anchor="flips",
        title="What flipped",
        parts=parts,
        lead="Questions that one run answers better than the other: the largest changes, among "
        f"equals drawn with the seed {SAMPLE_SEED}. compare.json has all of them.",
    )


def make_flip_card(
    flip: Flip, names: Sequence[str], utterances: dict[str, dict], shelf: AudioShelf
) -> str:
    item = flip.first.item
    asked = make_terms(
        [
            ("Question", "question", item.asked or "–"),
            ("Reference", "reference", " / ".join(item.references) or "–"),
        ],
        item.language,
    )
    said = []
    for name, sample in zip(names, (flip.first, flip.second), strict=True):
        rows = [("Answer", "answer", sample.prediction.answer or "(nothing)")]
        if sample.verdict is not None and sample.verdict.reason:
            rows.append(("Reason", "reason", sample.verdict.reason))
        said.append(
            '<header class="run"><span '
            f'class="tag">{escape_text(name)}</span>{make_badge(sample)}</header>'
            f"{make_terms(rows, item.language)}"
        )
    return (
        "<article "
        f'class="card"><header>{make_tags(item)}</header>{make_heard(item, utterances, shelf)}'
        f"{asked}{''.join(said)}</article>"
    )


def make_runs_section(comparison: Comparison, out: Path) -> Section:
    keys = list(
        dict.fromkeys(key for run in comparison.runs for key in run.results.get("model") or {})
    )
    rows = [Row(title="Folder", figures=[str(run.folder) for run in comparison.runs])]
    rows += [
        Row(
            title=name_title(key),
            figures=[
                describe((run.results.get("model") or {}).get(key)) for run in comparison.runs
            ],
        )
        for key in keys
    ]
    rows.append(
        Row(
            title="Judge",
            figures=[
                describe({k: v for k, v in run.judge.items() if k != "planted"})
                for run in comparison.runs
            ],
        )
    )
    links = [
        (name, run.folder / "report.html")
        for name, run in zip(comparison.names, comparison.runs, strict=True)
    ]
    found = "".join(
        f'<li><a href="{escape_text(make_link(path, out))}">{escape_text(name)}</a></li>'
        for name, path in links
        if path.is_file()
    )
    parts: list[Part] = [
        Table(title="The runs", columns=["", *comparison.names], rows=rows, css="facts")
    ]
    parts += [Drawing(html=f"<p>Their own reports:</p><ul>{found}</ul>")] if found else []
    return Section(
        anchor="runs", title="The runs", lead="What was compared, and who judged.", parts=parts
    )


def make_link(path: Path, out: Path) -> str:
    """From a page in `out` to a file. "./" keeps a folder's name from being a scheme; # ? % are
    letters of names."""
    return "./" + urllib.parse.quote(os.path.relpath(path, out))


def list_figures(comparison: Comparison) -> dict[str, Any]:
    """All figures of a comparison, for programs."""
    runs = [
        {
            "name": name,
            "folder": str(run.folder),
            "model": run.results.get("model"),
            "judge": run.judge,
            "cells": [dataclasses.asdict(cell) for cell in board.cells],
        }
        for name, run, board in zip(
            comparison.names, comparison.runs, comparison.boards, strict=True
        )
    ]
    tables = [
        {
            "title": table.title,
            "source": table.source,
            "columns": [dataclasses.asdict(column) for column in table.columns],
            "published": {name: list(values) for name, values in table.rows.items()},
        }
        for table in read_paper()[1]
    ]
    shared = {
        share.suite: {
            "runs": [comparison.names[place] for place in share.runs],
            "shared": len(share.ids),
            "asked": list(share.sizes),
            "reworded": share.reworded,
        }
        for share in comparison.shares
    }
    flips = [
        {
            "suite": flip.first.item.suite,
            "subset": flip.first.item.subset,
            "id": flip.first.item.id,
            "metric": flip.first.metric,
            "first": flip.first.score,
            "second": flip.second.score,
            "answers": [flip.first.prediction.answer, flip.second.prediction.answer],
        }
        for flip in comparison.flips
    ]
    names = comparison.names
    pairs = [
        {**dataclasses.asdict(pair), "base": names[pair.base], "run": names[pair.run]}
        for pair in comparison.pairs
    ]
    return {
        "format": 1,
        "warnings": [text for _, text in comparison.warnings],
        "shared": shared,
        "runs": runs,
        "paper": tables,
        "flips": flips,
        "pairs": pairs,
    }
