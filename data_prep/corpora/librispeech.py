"""LibriSpeech (OpenSLR 12), English.

    LibriSpeech/SPEAKERS.TXT                                     ;ID |SEX| SUBSET |MINUTES| NAME
    LibriSpeech/{train-clean-100,…,dev-other,test-clean,…}/19/198/19-198.trans.txt    19-198-0000 NORTHANGER ABBEY
    LibriSpeech/train-clean-100/19/198/19-198-0000.flac

Transcripts are in capitals without punctuation; they are read in lower case.
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


def read_librispeech(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """All parts that are there; there is nothing but English."""
    if "en" not in languages:
        return
    folder = find_folder(root, ["LibriSpeech", "."], "LibriSpeech")
    parts = [
        part
        for part in sorted(folder.iterdir())
        if part.is_dir() and part.name.split("-")[0] in PARTS
    ]
    if not parts:
        raise CorpusError(
            f"no train-*, dev-* or test-* under {folder}; unpack LibriSpeech there, or change "
            "--root"
        )
    genders = read_genders(folder / "SPEAKERS.TXT")
    for part in parts:
        for path in sorted(part.glob("*/*/*.trans.txt")):
            yield from _read_chapter(path, PARTS[part.name.split("-")[0]], genders)


def _read_chapter(path: Path, held: str, genders: dict[str, str | None]) -> Iterator[Item]:
    def parse(text: str) -> Recording:
        identity, _, transcript = text.partition(" ")
        speaker, dash, _ = check_id(identity).partition("-")
        if not dash:
            raise BadItem("broken line", "not <speaker>-<chapter>-<number>, space, text", identity)
        return Recording(
            id=identity,
            language="en",
            held=held,
            speaker=speaker,
            gender=genders.get(speaker),
            audio=locate_audio(path.parent, f"{identity}.flac", identity),
            transcript=clean_transcript(transcript, identity).lower(),
        )

    return read_items(path, parse)
