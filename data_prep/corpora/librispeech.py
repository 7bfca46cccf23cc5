"""LibriSpeech, all parts that are there; sift_jax/corpora/librispeech.py has its layout."""

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
from sift_jax.corpora.librispeech import list_transcripts, parse_line


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
        for path in list_transcripts(part):
            yield from _read_chapter(path, PARTS[part.name.split("-")[0]], genders)


def _read_chapter(path: Path, held: str, genders: dict[str, str | None]) -> Iterator[Item]:
    def parse(text: str) -> Recording:
        identity, file, transcript = parse_line(text)
        speaker, dash, _ = check_id(identity).partition("-")
        if not dash:
            raise BadItem("broken line", "not <speaker>-<chapter>-<number>, space, text", identity)
        return Recording(
            id=identity,
            language="en",
            held=held,
            speaker=speaker,
            gender=genders.get(speaker),
            audio=locate_audio(path.parent, file, identity),
            transcript=clean_transcript(transcript, identity),
        )

    return read_items(path, parse)
