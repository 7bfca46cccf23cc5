"""The report of an evaluation: one self-contained HTML page, the same as Markdown, the first
figures for a terminal.

out/{results.json, predictions/, verdicts/}, and what results.json names: data, training
    ─► write_report ─► out/report.html  out/report.md
results ─► format_summary ─► a table of all systems
"""

from __future__ import annotations

from pathlib import Path

from sift_jax.evaluation.report.corpus_section import make_corpus_section, read_corpus
from sift_jax.evaluation.report.forgetting_section import make_forgetting_section
from sift_jax.evaluation.report.generation_section import make_generation_section
from sift_jax.evaluation.report.measured_speech import GENERATION
from sift_jax.evaluation.report.number_format import (
    JUDGED,
    SYSTEM_TITLES,
    find_metric,
    format_count,
    format_seconds,
    is_number,
    name_subset,
    name_system,
    name_title,
)
from sift_jax.evaluation.report.players import AudioShelf
from sift_jax.evaluation.report.published_figures import (
    Run,
    list_protocols,
    make_paper_table,
    read_paper,
)
from sift_jax.evaluation.report.read_results import Evaluation, read_evaluation
from sift_jax.evaluation.report.samples_section import make_samples_section
from sift_jax.evaluation.report.score_index import Board, read_value
from sift_jax.evaluation.report.suite_section import make_suite_section
from sift_jax.evaluation.report.summary_section import (
    make_alarms,
    make_facts_section,
    make_standing,
    make_tiles,
)
from sift_jax.evaluation.report.training_section import make_training_section
from sift_jax.evaluation.scores.schema import MODEL, Cell
from sift_jax.pages.document import MOST_OPEN, Document, Section
from sift_jax.storage.whole_files import write_whole


def write_report(out: Path) -> Path:
    """Writes report.html and report.md beside the results; returns the page."""
    out = Path(out)
    document = make_document(read_evaluation(out))
    write_whole(out / "report.md", document.write_markdown())
    return write_whole(out / "report.html", document.write_html())


def make_document(evaluation: Evaluation) -> Document:
    results, board = evaluation.results, Board(evaluation.cells)
    data_dir = Path(results["data"]) if results.get("data") else None
    shelf = AudioShelf(data_dir)
    corpus = read_corpus(data_dir) if data_dir else {}
    suites = dict.fromkeys([*results.get("suites", {}), *board.suites])
    sections = [
        make_suite_section(board, suite, results) for suite in suites if suite != GENERATION
    ]
    if results.get("forgetting"):
        sections.append(make_forgetting_section(results["forgetting"]))
    if results.get("generation"):
        sections.append(make_generation_section(board, results["generation"]))
    sections.append(make_published_section(evaluation, board))
    training = {name: Path(folder) for name, folder in (results.get("training") or {}).items()}
    sections += [make_training_section(training)] if training else []
    sections.append(make_samples_section(evaluation, data_dir, shelf))
    if corpus and data_dir:
        shelf.grant(1.0)
        sections.append(make_corpus_section(corpus, data_dir, shelf))
    sections.append(make_facts_section(results))
    return Document(
        title=f"sift_jax · {evaluation.name}",
        intro=(
            "A speech language model, questioned about recordings that were kept apart from its "
            "training."
        ),
        top=[*make_alarms(results), *make_standing(board), make_tiles(board, results, corpus)],
        sections=sections,
        footer=describe_model(results),
    )


def make_published_section(evaluation: Evaluation, board: Board) -> Section:
    """All tables of the papers, and our figures in those that have the same parts by the same
    protocol."""
    note, tables = read_paper()
    run = Run(name=evaluation.name, board=board, protocols=list_protocols(evaluation.results))
    is_judged = any(cell.metric.startswith(JUDGED) for cell in evaluation.cells)
    if is_judged and evaluation.judge.get("name") == "offline":
        note += " Here the offline rules judged, there a language model."
    return Section(
        anchor="published",
        title="Beside the papers’ tables",
        lead=note,
        parts=[make_paper_table(table, [run]) for table in tables],
    )


def describe_model(results: dict) -> str:
    """Which weights were evaluated."""
    model = results.get("model") or {}
    parts = [
        f"Checkpoint {model['checkpoint']}" if model.get("checkpoint") else "",
        f"step {model['step']:,}" if is_number(model.get("step")) else "",
        f"weights {model['weights']}" if model.get("weights") else "",
    ]
    return " · ".join(part for part in parts if part)


def format_summary(results: dict) -> str:
    """The figures of all suites, without languages and facets, as a table for a terminal; of many
    parts the sums."""
    board = Board(Cell(**cell) for cell in results.get("cells", []))
    # what is measured beside a speaker has columns on the page
    systems = [system for system in board.systems() if system in SYSTEM_TITLES] or [MODEL]
    rows = [
        ("", name_system(systems[0]), "95 %", *(name_system(s) for s in systems[1:]), "n of all")
    ]
    for suite in board.suites:
        rows.append((name_title(suite), "", *("" for _ in systems), ""))
        places = board.places(suite)
        sums = [place for place in places if board.is_group(suite, place)]
        for place in sums if sums and len(places) > MOST_OPEN else places:
            cells, metric = board.find(suite, place), find_metric(place.metric)
            first, *others = [metric.write(read_value(cells, system)) for system in systems]
            n = (
                f"{format_count(cells[MODEL].n)} of {format_count(cells[MODEL].of)}"
                if MODEL in cells
                else ""
            )
            rows.append(
                (
                    f"  {name_subset(place.subset)}, {metric.title}",
                    first,
                    metric.write_interval(cells.get(systems[0])),
                    *others,
                    n,
                )
            )
    widths = [max(len(row[i]) for row in rows) + (2 if i else 0) for i in range(len(rows[0]))]
    lines = [
        row[0].ljust(widths[0])
        + "".join(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    lines.insert(1, "─" * len(lines[0]))
    if not board.suites:
        lines.append("no figures yet")
    gain, seconds = results.get("audio_gain"), results.get("seconds") or {}
    if is_number(gain):
        lines.append(f"Audio gain {gain:+.2f} nats")
    if seconds:
        times = ", ".join(f"{name_title(k)} {format_seconds(v)}" for k, v in seconds.items())
        lines.append(
            f"Time {format_seconds(sum(v for v in seconds.values() if is_number(v)))} ({times})"
        )
    return "\n".join(lines)
