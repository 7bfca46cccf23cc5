"""Multilingual LibriSpeech (OpenSLR 94), FLAC or its small Opus edition.

mls_german/ or mls_german_opus/
    metainfo.txt                 SPEAKER | GENDER | PARTITION | MINUTES | BOOK ID | TITLE | CHAPTER
    {train,dev,test}/transcripts.txt                        <speaker>_<book>_<number> ⇥ text
    {train,dev,test}/audio/<speaker>/<book>/<speaker>_<book>_<number>.{flac,opus}
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
    read_genders,
    read_items,
)
from sift_jax.corpora.bad_item import BadItem

_NAMES = {"en": "english", "de": "german", "fr": "french", "it": "italian", "es": "spanish"}


def read_mls(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """All parts that are there of each language."""
    for language in languages:
        name = _NAMES[language]
        own = ["."] if root.name.startswith(f"mls_{name}") else []
        folder = find_folder(
            root,
            [f"mls_{name}", f"mls_{name}_opus", *own],
            f"Multilingual LibriSpeech in {language}",
        )
        parts = [part for part in PARTS if (folder / part / "transcripts.txt").is_file()]
        if not parts:
            raise CorpusError(
                f"{folder}: no {{train,dev,test}}/transcripts.txt; unpack the corpus again"
            )
        genders = read_genders(folder / "metainfo.txt")
        for part in parts:
            yield from _read_part(folder / part, language, PARTS[part], genders)


def _read_part(
    folder: Path, language: str, held: str, genders: dict[str, str | None]
) -> Iterator[Item]:
    def parse(text: str) -> Recording:
        identity, tab, transcript = text.partition("\t")
        pieces = check_id(identity).split("_")
        if not tab or len(pieces) != 3:
            raise BadItem("broken line", "not <speaker>_<book>_<number>, tab, text", identity)
        stem = f"{pieces[0]}/{pieces[1]}/{identity}"
        return Recording(
            id=identity,
            language=language,
            held=held,
            speaker=pieces[0],
            gender=genders.get(pieces[0]),
            audio=locate_audio(folder / "audio", [f"{stem}.flac", f"{stem}.opus"], identity),
            transcript=clean_transcript(transcript, identity),
        )

    return read_items(folder / "transcripts.txt", parse)
