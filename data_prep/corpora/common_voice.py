"""Common Voice 15 (and its neighbours: columns are found by their names).

    cv-corpus-15.0-2023-09-08/de/
        validated.tsv  train.tsv  dev.tsv  test.tsv  …       client_id ⇥ path ⇥ sentence ⇥ up_votes ⇥ down_votes ⇥ age
        clips/common_voice_de_23905138.mp3                       ⇥ gender ⇥ accents ⇥ variant ⇥ locale ⇥ segment

validated.tsv lists every clip that two people found right, the clips of train, dev and test among
them; it is read where it is there, and the three files tell which clips the corpus holds back. Some
releases write a quotation mark in a sentence behind a backslash, others double it within marks
around all: both are undone.

    Er sagte \\"Ja\\".     "Er sagte ""Ja""."     ─►   Er sagte "Ja".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.corpora.recording import (
    CorpusError,
    Item,
    Recording,
    check_id,
    clean_transcript,
    find_folder,
    locate_audio,
    name_age,
    name_gender,
    read_table,
)
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN

_FILES = {"train.tsv": TRAIN, "dev.tsv": DEV, "test.tsv": EVALUATION}
_REQUIRED = ("client_id", "path", "sentence")


def read_common_voice(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """The validated clips of each language, or those of its three splits."""
    for language in languages:
        releases = [f"{path.name}/{language}" for path in sorted(root.glob("cv-corpus-*"))]
        own = ["."] if root.name == language else []
        folder = find_folder(root, [language, *releases, *own], f"Common Voice in {language}")
        found = {name: held for name, held in _FILES.items() if (folder / name).is_file()}
        if (folder / "validated.tsv").is_file():
            places = {
                clip: held for name, held in found.items() for clip in _list_clips(folder / name)
            }
            yield from _read_file(folder / "validated.tsv", language, places, None)
        elif found:
            for name, held in found.items():
                yield from _read_file(folder / name, language, {}, held)
        else:
            raise CorpusError(
                f"{folder}: neither validated.tsv nor train.tsv, dev.tsv, test.tsv; unpack it again"
            )


def _read_file(
    path: Path, language: str, places: Mapping[str, str], held: str | None
) -> Iterator[Item]:
    def parse(row: Mapping[str, str]) -> Recording:
        identity = check_id(row["path"].removesuffix(".mp3"))
        accent = _name_accent(row.get("accents", row.get("accent", "")))
        name = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"
        return Recording(
            id=identity,
            language=language,
            held=places.get(row["path"], held),
            speaker=row["client_id"] or None,
            audio=locate_audio(path.parent / "clips", name, identity),
            accent=accent,
            gender=name_gender(row.get("gender")),
            age_category=name_age(row.get("age")),
            transcript=clean_transcript(_unquote(row["sentence"]), identity),
        )

    return read_table(path, _REQUIRED, parse)


def _unquote(text: str) -> str:
    """A field as it was before it was written into a table."""
    inner = text[1:-1]
    if text == f'"{inner}"' and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return re.sub(r'\\(["\\])', r"\1", text)


def _name_accent(text: str) -> str | None:
    """The first of the accents that a speaker gave, whole.

    Several stand with commas or bars between; commas in brackets, and those of a list of regions
    behind a colon, belong to one: "Andino-Pacífico: Colombia, Perú".
    """
    first = text.split("|")[0]
    outside = re.split(r",(?![^(]*\))", first)[0]
    name = (first if ":" in outside else outside).strip()
    return _ACCENTS.get(name, name) or None


# What the corpus calls the accents that have words in every language; every other is kept as it is.
_ACCENTS = {
    "United States English": "American",
    "England English": "British",
    "Scottish English": "Scottish",
    "Irish English": "Irish",
    "Northern Irish": "Northern Irish",
    "Welsh English": "Welsh",
    "Canadian English": "Canadian",
    "Australian English": "Australian",
    "New Zealand English": "New Zealand",
    "Southern African (South Africa, Zimbabwe, Namibia)": "South African",
    "India and South Asia (India, Pakistan, Sri Lanka)": "Indian",
    "Deutschland Deutsch": "German",
    "Österreichisches Deutsch": "Austrian",
    "Schweizerdeutsch": "Swiss",
    "Français de France": "French",
    "Français du Canada": "Canadian",
    "Français de Belgique": "Belgian",
    "Français de Suisse": "Swiss",
    "México": "Mexican",
}


def _list_clips(path: Path) -> Iterator[str]:
    """The names of its clips; lines that cannot be read hold nothing back."""
    with path.open("rb") as lines:
        header = lines.readline().decode("utf-8", "replace").rstrip("\r\n").split("\t")
        if "path" not in header:
            raise CorpusError(
                f"{path}: no column path in its first line; is it of another release?"
            )
        place = header.index("path")
        for line in lines:
            columns = line.decode("utf-8", "replace").split("\t")
            if len(columns) > place:
                yield columns[place]
