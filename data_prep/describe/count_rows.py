"""SIFT files counted by what their rows are about, with some to look at; one pass, nothing held.

sift/{split}/{category}/{lang}/split*.jsonl
  ─► counts {split: {category: {language: rows}}}, sources {split: {category: {data_source: rows}}}, samples
"""

import dataclasses
import json
import random
import re
from collections import Counter
from pathlib import Path

from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.released.read_rows import parse_line
from data_prep.released.sift_paths import Place, list_places
from sift_jax.sift.rows import ALL_CATEGORIES, Row

_SOURCE = re.compile(rb'"data_source"\s*:\s*"([^"\\]*)"')
# Samples are drawn from so many rows at the head of a file.
_HEAD = 200

Counts = dict[str, dict[str, dict[str, int]]]


@dataclasses.dataclass(kw_only=True)
class Survey:
    """`samples` has a row of each category and language, unseen in training where there is one;
    `folders` the names that the splits have on disk: the hub calls dev `validation`."""

    counts: Counts = dataclasses.field(default_factory=dict)
    sources: Counts = dataclasses.field(default_factory=dict)
    samples: dict[tuple[str, str], Row] = dataclasses.field(default_factory=dict)
    folders: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    bytes: int = 0


def survey_files(sift_dir: Path, seed: int = 0) -> Survey:
    """All SIFT files under a folder."""
    found = Survey()
    places = sorted(list_places(sift_dir), key=_rank)
    for place in places:
        head: list[bytes] = []
        sources: Counter[str] = Counter()
        with place.path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    sources[_read_source(line)] += 1
                    if len(head) < _HEAD:
                        head.append(line)
        found.bytes += place.path.stat().st_size
        folder = place.path.relative_to(sift_dir).parts[0]
        if folder not in found.folders.setdefault(place.split, []):
            found.folders[place.split].append(folder)
        _add(found.counts, place, {place.language: sources.total()})
        _add(found.sources, place, sources)
        if (place.category, place.language) not in found.samples:
            random.Random(f"{seed}/{place.category}/{place.language}").shuffle(head)
            rows = (parse_line(0, line).row for line in head)
            row = next((row for row in rows if row), None)
            if row:
                found.samples[place.category, place.language] = row
    order = {split: found.counts.get(split) for split in (TRAIN, DEV, EVALUATION)}
    found.counts = {split: counts for split, counts in order.items() if counts}
    return found


def _rank(place: Place) -> tuple[int, int]:
    """What training has not seen comes first, for the samples; categories in the order of the
    release."""
    is_known = place.category in ALL_CATEGORIES
    return (
        (EVALUATION, DEV, TRAIN).index(place.split),
        ALL_CATEGORIES.index(place.category) if is_known else len(ALL_CATEGORIES),
    )


def _read_source(line: bytes) -> str:
    """In JSON a quotation mark inside a text is escaped, so that none of them is taken for the
    key."""
    matches = _SOURCE.findall(line)
    return json.loads(b'"%s"' % matches[-1]) if matches else "not known"


def _add(table: Counts, place: Place, rows: dict[str, int]) -> None:
    cell = table.setdefault(place.split, {}).setdefault(place.category, {})
    for key, count in rows.items():
        cell[key] = cell.get(key, 0) + count
