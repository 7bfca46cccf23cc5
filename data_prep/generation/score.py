"""All of it: folders of recordings to figures.

DIR/spoken.jsonl (model), --recordings, --ceiling, --floor ─ measure ─ classify ─►  out/measured/<system>.jsonl
outcomes ─ figures, words ─►  out/results.json {"settings", "systems", "cells", "confusions"}
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.beam_engine import Engine
from data_prep.engine.versions import hash_files
from data_prep.generation.classify import Outcome, classify, find_labels, read_build_bins
from data_prep.generation.field_figures import (
    classify_fields,
    list_heard,
    score_field,
    score_field_floors,
)
from data_prep.generation.figures import (
    Cell,
    count_confusions,
    score_constant,
    score_outcomes,
    score_permuted,
)
from data_prep.generation.measure_speech import Hearing, measure_folder
from data_prep.generation.requests import MEASURED
from data_prep.generation.spoken_folder import (
    Spoken,
    check_same_codec,
    check_same_items,
    read_spoken,
)
from data_prep.generation.word_errors import score_words
from data_prep.instructions.memory_shares import read_metadata
from data_prep.metadata.bins import Bins
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.sift.fields import Fields, read_build_fields
from sift_jax.storage.whole_files import open_whole, write_whole

FORMAT = 1
MODEL, RECORDINGS, CEILING, UNTOLD = "model", "recordings", "ceiling", "untold"
ALL = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scoring:
    """`recordings` are the true ones, `ceiling` these resynthesized, `floor` what a model makes of
    the same texts when it is not told how; `languages` of None are all that were spoken."""

    build: Path
    out: Path
    spoken: Path
    recordings: Path | None
    ceiling: Path | None
    floor: Path | None
    languages: tuple[str, ...] | None
    hearing: Hearing
    bootstrap: BootstrapConfig
    engine: Engine


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """A folder of recordings, measured."""

    folder: Path
    lines: Sequence[Spoken]
    rows: Sequence[dict[str, Any]]
    outcomes: Sequence[Outcome]


def score(scoring: Scoring) -> dict[str, Any]:
    """Writes results.json and what was measured; returns the results."""
    bins = read_build_bins(scoring.build)
    fields = list_heard(
        read_build_fields(scoring.build), [key for key, _ in scoring.hearing.experts]
    )
    others = {RECORDINGS: scoring.recordings, CEILING: scoring.ceiling, UNTOLD: scoring.floor}
    folders = {MODEL: scoring.spoken}
    folders |= {system: folder for system, folder in others.items() if folder is not None}
    spoken = _read_folders(folders, scoring.languages)
    scoring.out.mkdir(parents=True, exist_ok=True)
    phonemes = find_phonemes(scoring.build, spoken[MODEL])
    heard = {}
    for system, lines in spoken.items():
        rows = measure_folder(
            folders[system], lines, phonemes, scoring.hearing, scoring.out, system, scoring.engine
        )
        outcomes = [*classify(lines, rows, bins), *classify_fields(lines, rows, fields)]
        heard[system] = Heard(folder=folders[system], lines=lines, rows=rows, outcomes=outcomes)
        _write_measured(scoring.out / "measured" / f"{system}.jsonl", heard[system], bins)
    cells = _make_cells(heard, fields, scoring.bootstrap)
    if not cells:
        raise ValueError(
            f"{scoring.spoken}: no item asks for {', '.join(MEASURED)}, and no --asr hears the "
            "words; speak the items of `python -m data_prep.generation items`"
        )
    results = {
        "format": FORMAT,
        "settings": _describe(scoring),
        "systems": {system: _describe_system(found, fields) for system, found in heard.items()},
        "cells": [dataclasses.asdict(cell) for cell in cells],
        "confusions": {
            system: {
                key: count_confusions(key, outcomes)
                for key in MEASURED
                if (outcomes := _choose(found.outcomes, key, ALL))
            }
            for system, found in heard.items()
        },
    }
    write_whole(
        scoring.out / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    )
    return results


def _read_folders(
    folders: Mapping[str, Path], languages: Sequence[str] | None
) -> dict[str, list[Spoken]]:
    """The lines of each folder that is given, all of the same items."""
    lines = [
        line
        for line in read_spoken(folders[MODEL])
        if languages is None or line.request.language in languages
    ]
    if not lines:
        raise ValueError(
            f"{folders[MODEL]}: nothing is spoken in {', '.join(languages or ())}; give other "
            "--languages"
        )
    found = {MODEL: lines}
    for system, flag in ((RECORDINGS, "recordings"), (CEILING, "ceiling"), (UNTOLD, "floor")):
        if system in folders:
            check_same_codec(folders[MODEL], folders[system], flag=flag)
            found[system] = check_same_items(
                lines, read_spoken(folders[system]), folder=folders[system], flag=flag
            )
    return found


def find_phonemes(build: Path, lines: Sequence[Spoken]) -> dict[str, str]:
    """Those of the items' texts by the items' ids, as the build has them: of the same recording,
    else of the text."""
    requests = {line.request.id: line.request for line in lines}
    names = {request.utterance for request in requests.values()}
    texts = {(request.language, request.text) for request in requests.values()}
    of_name: dict[tuple[str, str, str], str] = {}
    of_text: dict[tuple[str, str], str] = {}
    languages: set[str] = set()
    for row in read_metadata(build / "metadata.jsonl"):
        languages.add(row["language"])
        text = (row["language"], row["transcript"])
        if row["phonemes"] and text in texts:
            of_text.setdefault(text, row["phonemes"])
            if row["id"] in names:
                of_name[row["id"], *text] = row["phonemes"]
    if strange := sorted({language for language, _ in texts} - languages):
        raise ValueError(
            f"{build}: has no recording in {', '.join(strange)}, so its bins do not say what is "
            f"fast or high there; score --languages={','.join(sorted(languages))}, or give a "
            "build that has them"
        )
    found = {}
    for name, request in requests.items():
        text = (request.language, request.text)
        phonemes = of_name.get((request.utterance, *text)) or of_text.get(text)
        if phonemes:
            found[name] = phonemes
    return found


def _make_cells(
    heard: Mapping[str, Heard], fields: Fields, bootstrap: BootstrapConfig
) -> list[Cell]:
    spoken = list(dict.fromkeys(line.request.language for line in heard[MODEL].lines))
    cells: list[Cell] = []
    for language in [ALL, *spoken] if len(spoken) > 1 else spoken:
        for key in MEASURED:
            own = _choose(heard[MODEL].outcomes, key, language)
            if not own:
                continue
            for system, found in heard.items():
                cells += score_outcomes(
                    system, language, key, _choose(found.outcomes, key, language), bootstrap
                )
            cells += score_permuted(language, key, own, bootstrap)
            cells += score_constant(language, key, own)
        cells += _make_field_cells(heard, fields, language, bootstrap)
        for system, found in heard.items():
            pairs = [
                (line, row)
                for line, row in zip(found.lines, found.rows, strict=True)
                if language in (ALL, line.request.language)
            ]
            cells += score_words(
                system, language, [line for line, _ in pairs], [row for _, row in pairs], bootstrap
            )
    return cells


def _make_field_cells(
    heard: Mapping[str, Heard], fields: Fields, language: str, bootstrap: BootstrapConfig
) -> list[Cell]:
    cells: list[Cell] = []
    for field in fields:
        if own := _choose(heard[MODEL].outcomes, field.name, language):
            for system, found in heard.items():
                outcomes = _choose(found.outcomes, field.name, language)
                cells += score_field(system, language, field.name, outcomes, bootstrap)
            cells += score_field_floors(language, field.name, own, bootstrap)
    return cells


def _choose(outcomes: Sequence[Outcome], key: str, language: str) -> list[Outcome]:
    return [
        outcome
        for outcome in outcomes
        if outcome.key == key and language in (ALL, outcome.language)
    ]


def _describe(scoring: Scoring) -> dict[str, Any]:
    hearing = scoring.hearing
    return {
        "build": str(scoring.build),
        "bins": hash_files(scoring.build / "bins.json"),
        "experts": dict(hearing.experts),
        "gender": str(hearing.gender_model) if hearing.gender_model else "pitch",
        "asr": hearing.asr and hearing.asr.title,
        "bootstrap": dataclasses.asdict(scoring.bootstrap),
    }


def _describe_system(found: Heard, fields: Fields) -> dict[str, Any]:
    """What was spoken; what was asked for and cannot be heard by a machine; what could not be
    measured, by reason."""
    items = {line.request.id: line.request for line in found.lines}
    measured = {*MEASURED, *(field.name for field in fields)}
    unheard = Counter(
        key
        for request in items.values()
        for key in (*request.asked, *request.fields)
        if key not in measured
    )
    whole = Counter(
        next(iter(row["missing"].values()))
        for row in found.rows
        if row["missing"] and not row["values"]
    )
    seconds = sum(row["seconds"] for row in found.rows)
    return {
        "folder": str(found.folder),
        "items": len(items),
        "samples": len(found.lines),
        "runs": len({line.sample for line in found.lines}),
        "seconds": round(seconds, 1),
        "units_per_second": round(sum(line.units for line in found.lines) / seconds, 2)
        if seconds
        else None,
        "stopped_at_limit": sum(not line.has_ended for line in found.lines),
        "nothing_measured": dict(whole),
        "asked_not_measured": dict(unheard),
    }


def _write_measured(path: Path, found: Heard, bins: Bins) -> None:
    """A line a recording: what was asked, what was measured, the classes, and why there are no
    others."""
    path.parent.mkdir(exist_ok=True)
    with open_whole(path) as out:
        for line, row in zip(found.lines, found.rows, strict=True):
            labels, reasons = find_labels(row, bins, line.request.asked.get("gender"))
            told = {
                "id": row["id"],
                "sample": row["sample"],
                "audio": line.audio,
                "asked": line.request.asked,
                "values": row["values"],
                "labels": labels,
                "missing": reasons,
                "seconds": row["seconds"],
                "said": row["said"],
            }
            out.write(json.dumps(told, ensure_ascii=False) + "\n")
