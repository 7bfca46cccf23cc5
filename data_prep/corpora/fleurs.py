"""FLEURS, in the layout of its archives.

    de_de/{train,dev,test}.tsv                   without a header: sentence id ⇥ file ⇥ raw text ⇥ text ⇥ letters
    de_de/audio/{train,dev,test}/1004.wav                              ⇥ number of samples ⇥ MALE | FEMALE | OTHER

It does not tell who speaks, and several people read each sentence.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.recording import (
    PARTS,
    CorpusError,
    Item,
    Recording,
    check_id,
    clean_transcript,
    find_folder,
    locate_audio,
    name_gender,
    read_items,
)
from sift_jax.corpora.bad_item import BadItem

LOCALES = {"en": "en_us", "de": "de_de", "fr": "fr_fr", "it": "it_it", "es": "es_419"}
_COLUMNS = 7


def read_fleurs(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """The splits that are there of each language."""
    for language in languages:
        folder = find_language(root, language)
        parts = [part for part in PARTS if (folder / f"{part}.tsv").is_file()]
        if not parts:
            raise CorpusError(
                f"{folder}: no train.tsv, dev.tsv or test.tsv; unpack the corpus again"
            )
        for part in parts:
            yield from _read_part(folder, part, language)


def find_language(root: Path, language: str) -> Path:
    locale = LOCALES[language]
    own = ["."] if root.name == locale else []
    return find_folder(root, [locale, f"data/{locale}", *own], f"FLEURS in {language}")


def make_id(language: str, name: str) -> str:
    """Of a recording, by its language and file."""
    return check_id(f"fleurs_{LOCALES[language]}_{name.removesuffix('.wav')}")


def _read_part(folder: Path, part: str, language: str) -> Iterator[Item]:
    def parse(text: str) -> Recording:
        columns = text.split("\t")
        if len(columns) != _COLUMNS:
            raise BadItem("broken line", f"{len(columns)} columns, not {_COLUMNS}")
        _, name, raw, _, _, _, gender = columns
        identity = make_id(language, name)
        return Recording(
            id=identity,
            language=language,
            held=PARTS[part],
            gender=name_gender(gender),
            audio=locate_audio(folder, [f"audio/{part}/{name}", f"{part}/{name}"], identity),
            transcript=clean_transcript(raw, identity),
        )

    return read_items(folder / f"{part}.tsv", parse)
