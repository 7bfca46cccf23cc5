"""The metadata of a corpus, checked line by line and read again where it is needed.

    metadata.jsonl ─ index ─►  {(split, language): [byte offset of each good line]}    lines with faults, skipped

Only offsets stay in memory: a corpus may have millions of utterances.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.instructions.llm.instruction_sets import SETS
from data_prep.instructions.llm.requests import (
    Request,
    Skipped,
    Utterance,
    list_differences,
    make_request,
)
from sift_jax.sift.labels import LANGUAGE_NAMES
from sift_jax.sift.rows import SPLITS

_TEXTS = ("gender", "age_category", "accent", "phonemes")
_WORD_NUMBERS = ("position", "start", "end", "average_pitch", "average_intensity")
# The next so many on the ring are tried for one that differs.
_TRIES = 4
_LONGEST_LINE = 2**22


class Sources:
    """The utterances of a metadata file by split and language; `rejected` has its other lines."""

    def __init__(self, path: str | Path):
        self.path, self.lines = Path(path), 0
        self.rejected: list[dict[str, Any]] = []
        self._places: dict[tuple[str, str], list[int]] = {}
        self._index()

    def __len__(self) -> int:
        return sum(len(places) for places in self._places.values())

    def draw(self, split: str, language: str, limit: int | None, seed: int) -> list[int]:
        """The utterances of a split and language, or as many of them as wanted, in the file's
        order."""
        places = self._places.get((split, language), [])
        if limit is None or len(places) <= limit:
            return places
        return sorted(random.Random(f"{seed}/{split}/{language}").sample(places, limit))

    def list_rejected(self, shard: int, shards: int) -> list[dict[str, Any]]:
        """The lines skipped that a shard answers for: each has one."""
        return [entry for entry in self.rejected if entry["line"] % shards == shard]

    def make_requests(self, name: str, places: list[int], seed: int) -> Iterator[Request | Skipped]:
        """The requests of one set: one for each utterance, or for each pair of neighbours on a
        shuffled ring."""
        with self.path.open("rb") as file:
            if SETS[name].clips == 1:
                for place in places:
                    yield make_request(name, [_load(file, place)])
                return
            ring = random.Random(f"{seed}/{name}").sample(places, len(places))
            for number in range(len(ring) if len(ring) > 1 else 0):
                first = _load(file, ring[number])
                steps = range(1, min(_TRIES, len(ring) - 1) + 1)
                others = (_load(file, ring[(number + step) % len(ring)]) for step in steps)
                yield make_request(name, _choose_pair(first, others))

    def _index(self) -> None:
        seen: set[bytes] = set()
        place = 0
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        self.lines += 1
                        try:
                            utterance = parse_line(line)
                            identity = hashlib.sha256(utterance["id"].encode()).digest()[:12]
                            if identity in seen:
                                raise ValueError(f"the id {utterance['id']} was there before")
                        except ValueError as error:
                            self.rejected.append(
                                {
                                    "line": number,
                                    "reason": "bad metadata",
                                    "detail": str(error)[:300],
                                    "item": {
                                        "text": line[:2000].decode("utf-8", "replace").strip()
                                    },
                                }
                            )
                        else:
                            seen.add(identity)
                            self._places.setdefault(
                                (utterance["split"], utterance["language"]), []
                            ).append(place)
                    place += len(line)
        except OSError as error:
            raise ValueError(
                f"{self.path}: {error.strerror}; measure a corpus first: "
                "python -m data_prep.build writes metadata.jsonl"
            ) from None


def parse_line(line: bytes) -> Utterance:
    """One line of metadata; raises ValueError with what is wrong with it."""
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"the line has {len(line)} bytes")
    try:
        value = json.loads(line.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    for key in ("id", "language", "split", "transcript"):
        if not isinstance(value.get(key), str):
            raise ValueError(f"no {key}")
    if not value["id"] or any(
        letter in '/\\"' or not letter.isprintable() for letter in value["id"]
    ):
        raise ValueError("the id is not a file name")
    # Of languages without templates nobody asks anything here, but they are no fault.
    if value["language"] not in LANGUAGE_NAMES or value["split"] not in SPLITS:
        raise ValueError(
            f"language {value['language'][:20]!r} or split {value['split'][:20]!r} is none of ours"
        )
    _check_types(value)
    # half a surrogate pair passes for a string and fails in every file
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _check_types(value: dict[str, Any]) -> None:
    for key in _TEXTS:
        if not isinstance(value.get(key), str | None):
            raise ValueError(f"{key} is not text")
    labels, values, words = (value.get(key) for key in ("labels", "values", "words"))
    labels, values, words = labels or {}, values or {}, words or []
    if not isinstance(labels, dict) or not all(
        isinstance(label, str | None) for label in labels.values()
    ):
        raise ValueError("labels are no texts")
    if not isinstance(values, dict) or not all(_is_number(number) for number in values.values()):
        raise ValueError("values are no numbers")
    if not _is_number(value.get("duration")):
        raise ValueError("duration is not a number")
    for word in words if isinstance(words, list) else [None]:
        if not isinstance(word, dict) or not isinstance(word.get("word"), str):
            raise ValueError("words are no list of words")
        # every number is there, but may be null
        if not all(key in word and _is_number(word[key]) for key in _WORD_NUMBERS):
            raise ValueError(f"word {word['word'][:30]!r} lacks a number")
        if word["average_pitch"] is not None and word["average_pitch"] <= 0:
            raise ValueError(f"word {word['word'][:30]!r} has no possible pitch")


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) < 1e9)


def _load(file: Any, place: int) -> Utterance:
    file.seek(place)
    return parse_line(file.readline())


def _choose_pair(first: Utterance, others: Iterator[Utterance]) -> list[Utterance]:
    """The first of the others that audibly differs; if none does, the last, which is skipped for
    that."""
    other = first
    for other in others:
        if list_differences(first, other):
            break
    return [first, other]
