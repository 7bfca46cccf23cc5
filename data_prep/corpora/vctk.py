"""VCTK 0.92, English in many accents.

    VCTK-Corpus-0.92/
        speaker-info.txt                                         ID  AGE  GENDER  ACCENTS  REGION COMMENTS
        txt/p234/p234_238.txt                                    one sentence
        wav48_silence_trimmed/p234/p234_238_mic1.flac            and _mic2, the same through another microphone

An utterance is read once, through microphone 1 where there is one. Speaker p315 has no texts: all
of it is skipped.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
    reject,
)
from sift_jax.corpora.bad_item import BadItem

_AUDIO = "wav48_silence_trimmed"
# What the corpus calls the accents that questions know; every other is kept as it is.
_ACCENTS = {
    "English": "British",
    "NorthernIrish": "Northern Irish",
    "SouthAfrican": "South African",
    "NewZealand": "New Zealand",
    "Unknown": None,
}


def read_vctk(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """Every utterance that has audio or text; there is nothing but English."""
    if "en" not in languages:
        return
    folder = find_folder(root, ["VCTK-Corpus-0.92", "."], "VCTK 0.92")
    if not (folder / _AUDIO).is_dir() or not (folder / "txt").is_dir():
        raise CorpusError(
            f"no {_AUDIO}/ and txt/ under {folder}; unpack VCTK 0.92 there, or change --root"
        )
    speakers = _read_speakers(folder / "speaker-info.txt")
    for name in sorted(
        {
            path.name
            for part in (_AUDIO, "txt")
            for path in (folder / part).iterdir()
            if path.is_dir()
        }
    ):
        spoken = {
            re.sub(r"_mic[12]$", "", path.stem) for path in (folder / _AUDIO / name).glob("*.flac")
        }
        written = {path.stem for path in (folder / "txt" / name).glob("*.txt")}
        for identity in sorted(spoken | written):
            text = folder / "txt" / name / f"{identity}.txt"
            try:
                yield _read_utterance(folder, name, identity, text, speakers.get(name, {}))
            except BadItem as bad:
                yield reject(bad, file=text, line=1, language="en")


def _read_utterance(
    folder: Path, speaker: str, identity: str, text: Path, known: dict[str, Any]
) -> Recording:
    check_id(identity)
    try:
        transcript = text.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadItem("no transcript", "no text file", identity) from None
    except UnicodeDecodeError as error:
        raise BadItem("not UTF-8", f"byte {error.start}", identity) from None
    stem = f"{_AUDIO}/{speaker}/{identity}"
    return Recording(
        id=identity,
        language="en",
        speaker=speaker,
        transcript=clean_transcript(transcript, identity),
        audio=locate_audio(folder, [f"{stem}_mic1.flac", f"{stem}_mic2.flac"], identity),
        **known,
    )


def _read_speakers(path: Path) -> dict[str, dict[str, Any]]:
    """Speaker to gender, age and accent; none without the file. Older copies leave out the p of the
    names."""
    known: dict[str, dict[str, Any]] = {}
    lines = (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    )
    for line in lines:
        columns = line.split()
        if len(columns) < 3 or columns[0] == "ID":
            continue
        name = f"p{columns[0]}" if columns[0].isdigit() else columns[0]
        accent = columns[3] if len(columns) > 3 else ""
        known[name] = {
            "age_category": name_age(columns[1]),
            "gender": name_gender(columns[2]),
            "accent": _ACCENTS.get(accent, accent) or None,
        }
    return known
