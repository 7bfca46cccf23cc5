"""Figures for readers: a table for the terminal, report.md and report.html.

results.json ─ make_table ─►  | what was asked | n | model | ceiling | … | paper |   MAE / QWK in each cell
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.describe.paper import PAPER_OBEDIENCE
from sift_jax.sift.labels import LABELS, LANGUAGE_NAMES

Cells = Mapping[tuple[str, str, str, str], Mapping[str, Any]]

TITLES = {
    "speaking_rate": "speaking rate",
    "average_intensity": "intensity",
    "pitch_variation": "pitch variation",
    "average_pitch": "average pitch",
    "gender": "gender",
}
# what the paper measures comes first
KEYS = tuple(TITLES)
SYSTEMS = {
    "model": "model",
    "recordings": "recordings",
    "ceiling": "ceiling",
    "untold": "not told",
    "permuted": "permuted",
    "constant": "constant",
}
MEANINGS = {
    "model": "what was asked of the model against what is measured on its recordings",
    "recordings": "the true recordings as they are, measured in the same way: the limit of measuring",
    "ceiling": "the true recordings through the codec and back: the limit of the units",
    "untold": "the model, reading the same texts without being told how",
    "permuted": "the model’s recordings matched with other requests of the language: what chance gives",
    "constant": "always the one class that costs the fewest steps",
}
PAPER_NOTE = (
    "In grey the paper’s figures (arXiv 2504.09081), made with its own corpora, bins and models: "
    "beside a home-made corpus they show where a model stands, no more."
)
MISSING = "–"
# so many times the units a second hardly any manner of speaking gives one codec
_ANOTHER = 1.6


def index_cells(results: Mapping[str, Any]) -> Cells:
    """(system, language, key, metric) ─► cell."""
    return {
        (cell["system"], cell["language"], cell["key"], cell["metric"]): cell
        for cell in results["cells"]
    }


def list_languages(results: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(cell["language"] for cell in results["cells"]))


def list_systems(results: Mapping[str, Any]) -> list[str]:
    present = {cell["system"] for cell in results["cells"]}
    return [system for system in SYSTEMS if system in present]


def name_language(language: str) -> str:
    return "all languages" if language == "all" else LANGUAGE_NAMES[language]


def write_figure(cell: Mapping[str, Any] | None, *, has_spread: bool = False) -> str:
    if cell is None or cell["value"] is None:
        return MISSING
    spread = f" ± {cell['std']:.2f}" if has_spread and cell["std"] is not None else ""
    # no "-0.00"
    return f"{round(cell['value'], 2) + 0.0:.2f}{spread}"


def write_interval(cell: Mapping[str, Any] | None) -> str:
    if cell is None or cell["low"] is None:
        return MISSING
    return f"{cell['low']:.2f} … {cell['high']:.2f}"


def make_table(results: Mapping[str, Any], language: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows, a key a row; a system's cell is MAE / QWK. The paper's figures stand in the
    first table alone."""
    cells, systems = index_cells(results), list_systems(results)
    confidence = round(100 * results["settings"]["bootstrap"]["confidence"])
    papers = PAPER_OBEDIENCE if language == list_languages(results)[0] else {}
    head = [
        "asked (classes)",
        "measured",
        "model",
        f"QWK {confidence} %",
        *(f"paper {units}" for units in papers),
        *(SYSTEMS[system] for system in systems[1:]),
    ]
    rows = []
    for key in KEYS:
        own = cells.get(("model", language, key, "qwk"))
        if own is None:
            continue
        pairs = [
            " / ".join(
                write_figure(
                    cells.get((system, language, key, metric)), has_spread=system == "model"
                )
                for metric in ("mae", "qwk")
            )
            for system in systems
        ]
        printed = [table.get(key) for table in papers.values()]
        theirs = [f"{pair[0]:.2f} / {pair[1]:.2f}" if pair else MISSING for pair in printed]
        rows.append(
            [
                f"{TITLES[key]} ({len(LABELS[key])})",
                f"{own['n']:,} of {own['of']:,}",
                pairs[0],
                write_interval(own),
                *theirs,
                *pairs[1:],
            ]
        )
    return head, rows


def make_field_table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The share of recordings that are heard in the class of a free field that was asked for, in
    per cent."""
    cells, systems = index_cells(results), list_systems(results)
    keys = dict.fromkeys(
        key for _, _, key, metric in cells if metric == "exact" and key not in KEYS
    )
    rows = []
    for language in list_languages(results):
        for key in keys:
            own = cells.get(("model", language, key, "exact"))
            if own is not None:
                found = [cells.get((system, language, key, "exact")) for system in systems]
                shares = [
                    MISSING
                    if cell is None or cell["value"] is None
                    else f"{100 * cell['value']:.1f}"
                    for cell in found
                ]
                rows.append(
                    [
                        name_language(language),
                        key.replace("_", " "),
                        f"{own['n']:,} of {own['of']:,}",
                        *shares,
                    ]
                )
    return ["language", "asked", "heard", *(f"{SYSTEMS[system]} %" for system in systems)], rows


def make_words_table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Word and letter error rates, in per cent, a language a row."""
    cells = index_cells(results)
    heard = {system for system, _, key, _ in cells if key == "words"}
    systems = [system for system in list_systems(results) if system in heard]
    rows = []
    for language in list_languages(results):
        row = [name_language(language)]
        for system in systems:
            for metric in ("wer", "cer"):
                cell = cells.get((system, language, "words", metric))
                row.append(
                    MISSING
                    if cell is None
                    else f"{100 * cell['value']:.1f}"
                    + (f" ± {100 * cell['std']:.1f}" if cell["std"] is not None else "")
                )
            row.append(MISSING if cell is None else f"{cell['n']:,} of {cell['of']:,}")
        if any(text != MISSING for text in row[1:]):
            rows.append(row)
    head = [
        "language",
        *(
            f"{SYSTEMS[system]} {what}"
            for system in systems
            for what in ("WER %", "CER %", "heard")
        ),
    ]
    return head, rows


def list_missing(results: Mapping[str, Any]) -> list[list[str]]:
    """[system, what, reason, count] of all that was not measured."""
    unheard = "asked for in so many items; no expert here hears it"
    rows = [
        [SYSTEMS["model"], key.replace("_", " "), unheard, f"{count:,}"]
        for key, count in results["systems"]["model"]["asked_not_measured"].items()
    ]
    for system, found in results["systems"].items():
        for reason, count in found["nothing_measured"].items():
            rows.append([SYSTEMS[system], "whole recordings", reason, f"{count:,}"])
        if found["stopped_at_limit"]:
            rows.append(
                [
                    SYSTEMS[system],
                    "whole recordings",
                    "stopped at the limit, and measured as they are",
                    f"{found['stopped_at_limit']:,}",
                ]
            )
    first = list_languages(results)[0]
    for cell in results["cells"]:
        is_free = cell["key"] not in KEYS and cell["metric"] == "exact"
        is_first = cell["language"] == first and (cell["metric"] in ("mae", "wer") or is_free)
        if is_first and cell["system"] in results["systems"]:
            name = TITLES.get(cell["key"], cell["key"])
            rows += [
                [SYSTEMS[cell["system"]], name, reason, f"{count:,}"]
                for reason, count in cell["missing"].items()
            ]
    return rows


def say_size(results: Mapping[str, Any]) -> str:
    """What was spoken, in a sentence."""
    own = results["systems"]["model"]
    minutes = own["seconds"] / 60
    runs = f"{own['runs']} run{'s' if own['runs'] != 1 else ''}"
    return (
        f"{own['items']:,} requests, {runs}: {own['samples']:,} recordings of {minutes:,.1f} "
        "minutes"
    )


def find_warnings(results: Mapping[str, Any]) -> list[str]:
    """What makes figures beside each other doubtful."""
    rates = {
        system: found["units_per_second"]
        for system, found in results["systems"].items()
        if found["units_per_second"]
    }
    items = {system: found["items"] for system, found in results["systems"].items()}
    lacking = [
        (
            f"{SYSTEMS[system]}: has {count:,} of the {items['model']:,} items; its figures are "
            "about these alone"
        )
        for system, count in items.items()
        if count < items["model"]
    ]
    own = rates.get("model")
    strange = [
        (
            f"{SYSTEMS[system]}: {rate:g} units a second, and the model has {own:g}; was it "
            "another codec?"
        )
        for system, rate in rates.items()
        if own and max(rate / own, own / rate) > _ANOTHER
    ]
    return lacking + strange


def make_terminal(results: Mapping[str, Any]) -> str:
    parts = [say_size(results) + "; MAE in class steps / quadratic-weighted kappa"]
    for language in list_languages(results):
        head, rows = make_table(results, language)
        parts.append(f"{name_language(language)}\n" + _align([head, *rows]))
    head, rows = make_field_table(results)
    if rows:
        parts.append("in the class asked for, as the expert hears it\n" + _align([head, *rows]))
    head, rows = make_words_table(results)
    if rows:
        parts.append(f"words, by {results['settings']['asr']}\n" + _align([head, *rows]))
    if missing := list_missing(results):
        parts.append("not measured\n" + _align(missing))
    parts += [f"warning: {text}" for text in find_warnings(results)]
    return "\n\n".join(parts)


def _align(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  "
        + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def make_markdown(results: Mapping[str, Any]) -> str:
    parts = [
        "# Controllable generation",
        say_size(results) + ". Each cell is the mean absolute error in class steps (0 is best) "
        "and the quadratic-weighted kappa (1 obeys, 0 does not listen); ± is the standard "
        "deviation over runs.",
    ]
    parts += [f"* *{SYSTEMS[system]}*: {MEANINGS[system]}" for system in list_systems(results)]
    parts.append(PAPER_NOTE)
    for language in list_languages(results):
        parts += [
            f"## {name_language(language).capitalize()}",
            _make_grid(*make_table(results, language)),
        ]
    head, rows = make_field_table(results)
    if rows:
        parts += ["## In the class asked for, as the expert hears it", _make_grid(head, rows)]
    head, rows = make_words_table(results)
    if rows:
        parts += [f"## Words, by {results['settings']['asr']}", _make_grid(head, rows)]
    if missing := list_missing(results):
        parts += [
            "## What could not be measured",
            _make_grid(["system", "what", "reason", "count"], missing),
        ]
    parts += [f"**{text}**" for text in find_warnings(results)]
    parts += [
        "## How it was measured",
        f"```json\n{json.dumps(results['settings'], indent=1)}\n```",
    ]
    return "\n\n".join(parts).replace("\n\n* *", "\n* *") + "\n"


def _make_grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
