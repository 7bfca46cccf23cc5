"""README.md of the model that travels with the package, from its card.json and samples.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sift_jax.evaluation.report.number_format import (
    find_metric,
    format_count,
    name_subset,
    name_system,
)
from sift_jax.evaluation.report.score_index import Board, sort_systems
from sift_jax.evaluation.scores.schema import MODEL, Cell
from sift_jax.sift.labels import LANGUAGE_NAMES

CARD = """# The small model

{parameters} parameters, none of them pretrained, stored as {dtype}: the quickstart's size. `--checkpoint=small` and
`sift_jax.load()` find it.

It hears *how* something is said in recordings of up to {window:g} s (speaking rate, pitch, loudness, noise, room, and
which of two recordings has more of it) and is asked in {languages}. It was trained on synthetic voices alone: it is not
made for voices of people, it recognises no words, and it answers questions in the wordings of its training, such as
those of the table below; asked in other words it mostly guesses ("unseen" in the figures).

## Figures

EvalSIFT of the embedded corpus{asked_in}: voices and sentences that training never had; "unseen" is about the same
recordings in wordings that training never had. 95 % intervals are over the recordings, of one training.

{figures}

The figures are of the checkpoint in float32; these files are its weights, rounded. The majority-class baseline is the
commonest answer of the training data to each kind of question.

## What it answers to the samples

For rate, pitch and noise the first recording of the evaluation with the lowest class and the first with the highest,
chosen whatever the model answers. Of {asked} answers {same} are, letter for letter, what is right.

{answers}

## Made by

* `python -m sift_jax.pack` from a run at commit {commit}, packed on {processor}.
* Stages: {stages}; seeds: {seeds}; digest of their configs: `{configs}`; of the weights: `{weights}`.{chosen_as}
* Data: sentences of this project, spoken by espeak-ng, in simulated rooms and noise; no recording of a person.
  espeak-ng is under the GPL, which covers the program and not what it speaks.
* Licence of weights and samples: Apache-2.0, as that of the package.
"""


def make_card(about: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> str:
    """All of it is said by the two files, and nothing is typed in."""
    asked = [question for sample in samples for question in sample["asked"]]
    stages = ", ".join(f"{name} ({steps} steps)" for name, steps in about["stages"].items())
    return CARD.format(
        parameters=format_count(about["parameters"]),
        dtype=about["dtype"],
        window=about["window_seconds"],
        figures=write_figures([Cell(**cell) for cell in about["cells"]]),
        same=sum(question["answer"] == question["right"] for question in asked),
        asked=len(asked),
        languages=join_names(about["languages"]),
        asked_in=f" in {join_names(about['languages'])}" if len(about["languages"]) == 1 else "",
        answers=write_answers(samples),
        stages=stages,
        seeds=", ".join(map(str, about["seeds"])),
        chosen_as=f"\n* Chosen as {about['chosen_as']}." if about["chosen_as"] else "",
        **{name: about[name] for name in ("commit", "processor", "configs", "weights")},
    )


def join_names(languages: Sequence[str]) -> str:
    """en, de, fr ─► English, German or French"""
    *first, last = (LANGUAGE_NAMES[language] for language in languages)
    return f"{', '.join(first)} or {last}" if first else last


def write_figures(cells: Sequence[Cell]) -> str:
    """A row a figure, a column a system."""
    # of one language, where that is all it was taught
    board = Board(dataclasses.replace(cell, language="") for cell in cells)
    systems = sort_systems(dict.fromkeys(cell.system for cell in cells))
    names = [f"{name_system(systems[0])} (95 %)", *map(name_system, systems[1:])]
    lines = [f"| EvalSIFT | {' | '.join(names)} | n |", f"|{' --- |' * (len(names) + 2)}"]
    for suite in board.suites:
        for place in board.places(suite):
            found, metric = board.find(suite, place), find_metric(place.metric)
            if MODEL not in found:
                continue
            values = [metric.write(found[s].value) if s in found else "–" for s in systems]
            values[0] += f" ({metric.write_interval(found[MODEL])})"
            part = name_subset(place.subset) + (", unseen" if suite.endswith(":unseen") else "")
            title = f"{part}, {metric.title}"
            lines.append(f"| {title} | {' | '.join(values)} | {format_count(found[MODEL].n)} |")
    return "\n".join(lines)


def write_answers(samples: Sequence[Mapping[str, Any]]) -> str:
    """What was asked of each recording, what is right, and what the model says."""
    lines = ["| recording | question | right | its answer |", "| --- | --- | --- | --- |"]
    for sample in samples:
        for question in sample["asked"]:
            texts = (question[name] for name in ("question", "right", "answer"))
            cells = " | ".join(_join_lines(text) for text in texts)
            lines.append(f"| `sample:{sample['name']}` | {cells} |")
    return "\n".join(lines)


def _join_lines(text: str) -> str:
    return " · ".join(text.replace("|", "/").splitlines())
