"""The rows of a build as they are: a sample of each category and language alike, each read and
judged."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.metadata.bins import Bins
from data_prep.released.sift_paths import list_texts
from data_prep.truth.known import Known, find_known, read_stated
from data_prep.truth.tally import Tally
from data_prep.truth.texts import read_claims
from sift_jax.audio.files import read_audio
from sift_jax.sift.rows import CATEGORIES, LANGUAGES, SPLITS, Row, audio_ids, list_files, read_rows

# (category, language, row)
Placed = tuple[str, str, Row]


def check_rows(build: Path, bins: Bins, count: int, emotions: Path | None, seed: int) -> Tally:
    """Judges so many rows by what is known of their recordings."""
    rows = draw_rows(build, count, seed)
    if not rows:
        raise ValueError(f"{build}/sift has no rows; finish the build first")
    names = {name for _, _, row in rows for name in audio_ids(row)}
    metadata, stated = read_metadata_of(build, names), read_stated(build, names)
    for name, emotion in _read_emotions(emotions).items():
        if name in stated:
            stated[name]["emotion"] = emotion
    known: dict[str, Known] = {}
    tally = Tally()
    for category, language, row in rows:
        clips = audio_ids(row)
        for name in clips:
            if name not in known:
                known[name] = find_known(metadata[name], stated[name], load_wave(build, name))
        question, *answer = list_texts(row)
        claims = read_claims(
            category,
            language,
            question,
            answer[0] if answer else None,
            metadata[clips[0]]["transcript"],
        )
        tally.add(
            claims,
            [known[name] for name in clips],
            bins,
            f"{row['id']} [{language}] {question} | {' ⏎ '.join(answer)}",
        )
    return tally


def draw_rows(build: Path, count: int, seed: int) -> list[Placed]:
    """At most so many, as many of each category and language as of any other where there are."""
    rng, cells = random.Random(seed), []
    for category in CATEGORIES:
        for language in LANGUAGES:
            files = [
                path
                for split in SPLITS
                for path in list_files(build / "sift", split, category, language)
            ]
            if files:
                cells.append((category, language, files))
    drawn: list[Placed] = []
    for place, (category, language, files) in enumerate(cells):
        share = (count - len(drawn)) // (len(cells) - place)
        rows = _draw(_read_all(files), share, rng)
        drawn += [(category, language, row) for row in rows]
    return drawn


def _draw(rows: Iterator[Row], count: int, rng: random.Random) -> list[Row]:
    """An even sample of rows that are read once."""
    kept: list[Row] = []
    for number, row in enumerate(rows):
        if len(kept) < count:
            kept.append(row)
        elif (place := rng.randrange(number + 1)) < count:
            kept[place] = row
    return kept


def _read_all(files: list[Path]) -> Iterator[Row]:
    return (row for path in files for row in read_rows(path))


def read_metadata_of(build: Path, names: set[str]) -> dict[str, dict[str, Any]]:
    """The measured lines of these utterances."""
    with (build / "metadata.jsonl").open(encoding="utf-8") as lines:
        return {row["id"]: row for row in map(json.loads, lines) if row["id"] in names}


def load_wave(build: Path, name: str) -> np.ndarray | None:
    """The recording, where the build still has it."""
    path = build / "audio" / f"{name}.flac"
    return read_audio(path) if path.is_file() else None


def _read_emotions(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    with path.open(encoding="utf-8") as lines:
        return {row["id"]: row["emotion"] for row in map(json.loads, lines) if row.get("emotion")}
