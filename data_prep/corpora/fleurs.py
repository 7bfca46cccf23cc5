"""FLEURS, the splits that are there; sift_jax/corpora/fleurs.py has its layout."""

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
from sift_jax.corpora.fleurs import LOCALES, list_audio_folders, list_folders, parse_row


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
    own = ["."] if root.name == LOCALES[language] else []
    return find_folder(root, [*list_folders(language), *own], f"FLEURS in {language}")


def make_id(language: str, name: str) -> str:
    """Of a recording, by its language and file."""
    return check_id(f"fleurs_{LOCALES[language]}_{name.removesuffix('.wav')}")


def _read_part(folder: Path, part: str, language: str) -> Iterator[Item]:
    def parse(text: str) -> Recording:
        row = parse_row(text)
        identity = make_id(language, row.file)
        places = [f"{audio}/{row.file}" for audio in list_audio_folders(part)]
        return Recording(
            id=identity,
            language=language,
            held=PARTS[part],
            gender=name_gender(row.gender),
            audio=locate_audio(folder, places, identity),
            transcript=clean_transcript(row.raw_text, identity),
        )

    return read_items(folder / f"{part}.tsv", parse)
