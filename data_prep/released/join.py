"""SIFT rows brought together by utterance, with the audio that they need; what cannot be used is
skipped.

    sift/{split}/*/{lang}/split*.jsonl ─► rows ─┬─► Groups: id ─► its turns in all categories
                                                └─► rejected.jsonl: {"id", "reason", "rows", "data_source", "file", …}

Files of a split and language that are small are grouped in memory. Larger ones are first dealt out
to files on disk by a hash of the id, each small enough to be grouped by itself: held is one of
them, whatever the size of the release.
"""

import dataclasses
import functools
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from data_prep.released.audio_roots import AudioRoots
from data_prep.released.parallel_packer import Packer
from data_prep.released.read_rows import Line, parse_line, read_sift_lines
from data_prep.released.row_checks import find_form_faults
from data_prep.released.sift_paths import (
    KNOWN_FAULT,
    Place,
    find_place_fault,
    has_known_fault,
    list_places,
)
from sift_jax.sift.rows import ALL_CATEGORIES, Row, audio_ids

# Rows of a bucket take five to six times their bytes in memory.
BUCKET_BYTES = 128 << 20
NO_AUDIO = "no audio file of that name"
_REMEMBERED_LOOKUPS = 65_536
# Faults that leave nothing to train on; the others are for `data_prep.validate` to name.
_UNUSABLE = ("empty text", "no audio", "roles do not alternate")

Turns = list[dict[str, Any]]
# Rows with their categories, held or on disk.
Bucket = list[tuple[str, Row]] | Path


@dataclasses.dataclass(kw_only=True)
class Account:
    """Rows by corpus (data_source): all, those that go on, and those skipped, by reason."""

    entered: Counter[str] = dataclasses.field(default_factory=Counter)
    joined: Counter[str] = dataclasses.field(default_factory=Counter)
    rejected: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)

    def add(self, other: "Account") -> None:
        self.entered.update(other.entered)
        self.joined.update(other.joined)
        for source, reasons in other.rejected.items():
            self.rejected.setdefault(source, Counter()).update(reasons)


class Rejections:
    """Writes what is skipped; rows of one id that follow each other are one line."""

    def __init__(self, out: TextIO):
        self._out, self._rows = out, 0
        self._last: dict[str, Any] = {}

    def add(self, rejection: dict[str, Any], line: int) -> None:
        if rejection != self._last:
            self.flush()
            self._last, self._line = rejection, line
        self._rows += 1

    def flush(self) -> None:
        if self._rows:
            line = {**self._last, "line": self._line, "rows": self._rows}
            self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._last, self._rows = {}, 0


class Join:
    """One language of a release: its `group` is what `write_language` asks for."""

    def __init__(
        self,
        places: Sequence[Place],
        roots: AudioRoots,
        scratch: Path,
        out: TextIO,
        packer: Packer | None = None,
    ):
        self.places, self.scratch, self.packer = places, scratch, packer
        self.account, self.grouped = Account(), 0
        self._rejections = Rejections(out)
        self._has = functools.lru_cache(_REMEMBERED_LOOKUPS)(
            lambda name: roots.find(name) is not None
        )

    def set_aside(self) -> None:
        """Enters the rows of places that have a fault."""
        list(self._read(self.places))

    def group(self, sift_dir: Path, split: str, language: str) -> "Groups":
        """The rows of a split and language that can be used."""
        places = [
            place for place in self.places if (place.split, place.language) == (split, language)
        ]
        # The order of the categories is that of the release's own names, wherever the folders
        # stand.
        places = sorted(places, key=lambda place: ALL_CATEGORIES.index(place.category))
        size = sum(place.path.stat().st_size for place in places)
        buckets = 1 + size // BUCKET_BYTES
        if buckets == 1:
            return Groups(
                self, [[(place.category, line.row) for place, line in self._read(places)]]
            )
        folder = self.scratch / f"{split}_{language}"
        folder.mkdir(parents=True)
        files = [(folder / f"{number:05d}").open("wb") for number in range(buckets)]
        rows = 0
        for place, line in self._read(places):
            file = files[zlib.crc32(line.row["id"].encode()) % buckets]
            file.write(b"%d\t%s\n" % (ALL_CATEGORIES.index(place.category), line.raw.rstrip()))
            rows += 1
        for file in files:
            file.close()
        return Groups(self, [Path(file.name) for file in files] if rows else [])

    def _read(self, places: Sequence[Place]) -> Iterator[tuple[Place, Line]]:
        for place in places:
            place_fault = find_place_fault(place)
            for line in read_sift_lines(place.path):
                source = line.row["data_source"] if line.row else "not known"
                self.account.entered[source] += 1
                reason, detail = place_fault or self._find_reason(place, line)
                if reason is None:
                    self.account.joined[source] += 1
                    yield place, line
                    continue
                self.account.rejected.setdefault(source, Counter())[reason] += 1
                # All rows of such a place are one line.
                identity = line.row["id"] if line.row and not place_fault else None
                self._rejections.add(
                    {
                        "id": identity,
                        "language": place.language,
                        "split": place.split,
                        "reason": reason,
                        "detail": detail,
                        "data_source": source,
                        "file": str(place.path),
                    },
                    line.number,
                )
            self._rejections.flush()

    def _find_reason(self, place: Place, line: Line) -> tuple[str | None, str]:
        if line.fault:
            return line.fault
        row: Row = line.row
        if has_known_fault(row, place):
            return KNOWN_FAULT, ""
        for fault in find_form_faults(row, place):
            if fault.kind in _UNUSABLE:
                return fault
        missing = [name for name in dict.fromkeys(audio_ids(row)) if not self._has(name)]
        return (NO_AUDIO, ", ".join(missing)) if missing else (None, "")


class Groups:
    """Ids with their turns, a bucket at a time; empty or not is all that its length says."""

    def __init__(self, join: Join, buckets: Sequence[Bucket]):
        self._join = join
        self._buckets = [bucket for bucket in buckets if bucket]

    def __len__(self) -> int:
        return len(self._buckets)

    def items(self) -> Iterator[tuple[str, Turns]]:
        packer = self._join.packer
        return self._read() if packer is None else packer.look_ahead(self._read(), _list_clips)

    def _read(self) -> Iterator[tuple[str, Turns]]:
        while self._buckets:
            bucket = self._buckets.pop(0)
            groups: dict[str, Turns] = {}
            for category, row in _read_bucket(bucket):
                groups.setdefault(row["id"], []).append(
                    {"category": category, "messages": row["messages"]}
                )
            if isinstance(bucket, Path):
                bucket.unlink()
            del bucket
            self._join.grouped += len(groups)
            yield from groups.items()


def _list_clips(group: tuple[str, Turns]) -> list[str]:
    return list(dict.fromkeys(name for turn in group[1] for name in audio_ids(turn)))


def list_usable_places(sift_dir: Path) -> list[Place]:
    """The files whose category and language are known."""
    return [place for place in list_places(sift_dir) if place.is_known]


def _read_bucket(bucket: Bucket) -> Iterator[tuple[str, Row]]:
    if not isinstance(bucket, Path):
        yield from bucket
        return
    with bucket.open("rb") as lines:
        for raw in lines:
            category, _, text = raw.partition(b"\t")
            yield ALL_CATEGORIES[int(category)], parse_line(0, text).row
