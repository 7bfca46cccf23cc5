"""Common Voice 15 (and its neighbours: columns are found by their names).

    cv-corpus-15.0-2023-09-08/de/
        validated.tsv  train.tsv  dev.tsv  test.tsv  …       client_id ⇥ path ⇥ sentence ⇥ up_votes ⇥ down_votes ⇥ age
        clips/common_voice_de_23905138.mp3                       ⇥ gender ⇥ accents ⇥ variant ⇥ locale ⇥ segment

validated.tsv lists every clip that two people found right, the clips of train, dev and test among them; it is read
where it is there, and the three files tell which clips the corpus holds back.
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
from data_prep.splits import DEV, EVALUATION, TRAIN

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
            places = {clip: held for name, held in found.items() for clip in _list_clips(folder / name)}
            yield from _read_file(folder / "validated.tsv", language, places, None)
        elif found:
            for name, held in found.items():
                yield from _read_file(folder / name, language, {}, held)
        else:
            raise CorpusError(f"{folder}: neither validated.tsv nor train.tsv, dev.tsv, test.tsv; unpack it again")


def _read_file(path: Path, language: str, places: Mapping[str, str], held: str | None) -> Iterator[Item]:
    def parse(row: Mapping[str, str]) -> Recording:
        identity = check_id(row["path"].removesuffix(".mp3"))
        # Several may be given, and some have commas in brackets.
        accent = re.split(r"[,|](?![^(]*\))", row.get("accents", row.get("accent", "")))[0].strip()
        name = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"
        return Recording(
            id=identity, language=language, held=places.get(row["path"], held), speaker=row["client_id"] or None,
            audio=locate_audio(path.parent / "clips", name, identity), accent=_ACCENTS.get(accent, accent) or None,
            gender=name_gender(row.get("gender")), age_category=name_age(row.get("age")),
            transcript=clean_transcript(row["sentence"], identity))

    return read_table(path, _REQUIRED, parse)


# What the corpus calls the accents that questions know; every other is kept as it is.
_ACCENTS = {"United States English": "American", "England English": "British", "Scottish English": "Scottish",
            "Deutschland Deutsch": "German", "Français de France": "French"}


def _list_clips(path: Path) -> Iterator[str]:
    """The names of its clips; lines that cannot be read hold nothing back."""
    with path.open("rb") as lines:
        header = lines.readline().decode("utf-8", "replace").rstrip("\r\n").split("\t")
        if "path" not in header:
            raise CorpusError(f"{path}: no column path in its first line; is it of another release?")
        place = header.index("path")
        for line in lines:
            columns = line.decode("utf-8", "replace").split("\t")
            if len(columns) > place:
                yield columns[place]
