"""What was spoken, as a section of the report: did the recordings come out as the instructions
asked?

results["generation"], cells of the suite "generation" ─► figures by key, by language, over runs ─► Section
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sift_jax.evaluation.report.measured_speech import GENERATION
from sift_jax.evaluation.report.number_format import (
    find_metric,
    format_count,
    name_system,
    name_title,
)
from sift_jax.evaluation.report.score_index import Board, read_value
from sift_jax.evaluation.report.suite_section import make_language_table, make_summary
from sift_jax.evaluation.scores.schema import MODEL
from sift_jax.pages.document import Note, Part, Row, Section, Table

# of the systems that are there, what each is
_MEANINGS = {
    "constant": "always the one class that costs the fewest steps",
    "permuted": "the model’s recordings matched with other requests, which is chance",
    "recordings": "the true recordings, measured in the same way",
    "ceiling": "the true recordings through the codec and back",
    "untold": "the model, not told how to speak",
}


def make_generation_section(board: Board, generation: Mapping[str, Any]) -> Section:
    spoken = generation["systems"][MODEL]
    runs = spoken["runs"]
    lead = (
        f"{format_count(spoken['items'])} instructions to speak, {format_count(runs)} "
        f"run{'s' * (runs != 1)}: {format_count(spoken['samples'])} recordings. What was asked "
        "for is set beside what the corpus’s own measures make of the recordings, in the "
        "corpus’s classes: QWK, 1 for who always obeys and 0 for who does not listen, and the "
        "mean error in class steps (MAE)."
    )
    places = board.places(GENERATION)
    meant = [
        f"{name_system(system)}: {_MEANINGS[system]}"
        for system in board.systems(GENERATION)
        if system in _MEANINGS
    ]
    parts: list[Part] = [
        *make_summary(board, GENERATION, places),
        *make_spread(board, generation["spread"]),
        *make_language_table(board, GENERATION, places),
    ]
    experts = ", ".join(dict.fromkeys(generation["settings"]["experts"].values()))
    parts.append(
        Note(
            text=f"{'. '.join(meant)}. Measured by {experts}; recordings and confusions are in "
            f"{generation['folder']}/report.html."
        )
    )
    return Section(anchor=GENERATION, title=name_title(GENERATION), lead=lead, parts=parts)


def make_spread(board: Board, spread: Mapping[str, Mapping[str, float]]) -> list[Part]:
    """Mean ± standard deviation over runs, as the paper prints it; nothing of a single run."""
    rows = []
    for place in board.places(GENERATION):
        metric, value = find_metric(place.metric), read_value(board.find(GENERATION, place), MODEL)
        std = spread.get(place.subset, {}).get(place.metric)
        if value is not None and std is not None:
            rows.append(
                Row(
                    title=f"{name_title(place.subset)}, {metric.title}",
                    figures=[f"{metric.write(value)} ± {metric.write_bare(std)}"],
                )
            )
    return (
        [
            Table(
                title="Over runs", columns=["", "Mean ± standard deviation"], rows=rows, css="facts"
            )
        ]
        if rows
        else []
    )
