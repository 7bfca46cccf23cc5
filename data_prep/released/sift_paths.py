"""Where SIFT files lie, and which corpora their rows are about.

    sift/{train,dev,validation,EvalSIFT}/{category}/{lang}/split<N>.jsonl ─►  Place(split="train", category=…, …)
    data_source "common_voice_fr" ─►  "common_voice"            id "common_voice_fr_1842" ─►  "common_voice"

One fault of the release is known: its `common_voice_fr` rows of `open_ended/fr` are German.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.instructions.filters.language_id import score_languages
from data_prep.released.read_rows import Fault
from sift_jax.sift.rows import ALL_CATEGORIES, LANGUAGES, SPLITS, Row, list_files

KNOWN_FAULT = "German in French common_voice"
_KNOWN_PLACE = ("open_ended", "fr", "common_voice_fr")
# By the form of their ids; what has no such form may belong to any corpus.
_ID_FORMS = {
    "common_voice": re.compile(r"common_voice_[a-z]{2}(?:-[A-Za-z]+)?_\d+"),
    "multilingual_librispeech": re.compile(r"\d+_\d+_\d+"),
    "librispeech": re.compile(r"\d+-\d+-\d+"),
    "vctk": re.compile(r"[ps]\d+_\d+"),
}


class Place(NamedTuple):
    """A SIFT file and what its folders say of its rows."""

    path: Path
    split: str
    category: str
    language: str

    @property
    def is_known(self) -> bool:
        """Whether the rows will be read: other categories and languages are nobody's."""
        return self.category in ALL_CATEGORIES and self.language in LANGUAGES


def list_places(sift_dir: Path) -> list[Place]:
    """All SIFT files, split by split, those of unknown categories and languages among them."""
    places = []
    for split in SPLITS:
        for path in list_files(sift_dir, split):
            *category, language, _ = path.relative_to(sift_dir).parts[1:]
            places.append(Place(path, split, "/".join(category), language))
    return places


def list_strays(sift_dir: Path) -> Iterator[Path]:
    """JSON lines under the folder that no reader of SIFT files finds."""
    found = {place.path for place in list_places(sift_dir)}
    yield from (path for path in sorted(sift_dir.rglob("*.jsonl")) if path not in found)


def find_place_fault(place: Place) -> Fault | None:
    if not place.split:
        return Fault("stray file", "")
    if place.category not in ALL_CATEGORIES:
        return Fault(
            "unknown category", f"{place.category!r} is none of {', '.join(ALL_CATEGORIES)}"
        )
    if place.language not in LANGUAGES:
        return Fault("unknown language", f"{place.language!r} is none of {', '.join(LANGUAGES)}")
    return None


def list_unread(sift_dir: Path, out: Path) -> list[Place]:
    """The files that nobody will read, for a fault of their place; what is under `out` was not
    given."""
    unknown = [place for place in list_places(sift_dir) if not place.is_known]
    strays = [
        Place(path, "", "", "")
        for path in list_strays(sift_dir)
        if not path.resolve().is_relative_to(out.resolve())
    ]
    return unknown + strays


def name_corpus(data_source: str) -> str:
    """The corpus without its language."""
    corpus, _, language = data_source.rpartition("_")
    return corpus if corpus and len(language) == 2 else data_source


def guess_corpus(identity: str) -> str | None:
    """The corpus that gives its utterances ids of this form."""
    return next((corpus for corpus, form in _ID_FORMS.items() if form.fullmatch(identity)), None)


def list_texts(row: Row | dict[str, Any]) -> list[str]:
    return [
        part["text"] for message in row["messages"] for part in message["content"] if "text" in part
    ]


def has_known_fault(row: Row, place: Place) -> bool:
    """Whether a row is one of the German ones; where a later release has fixed it, French reads
    better."""
    if (place.category, place.language, row["data_source"]) != _KNOWN_PLACE:
        return False
    scores = score_languages(" ".join(list_texts(row)))
    return scores["de"] >= scores["fr"]
