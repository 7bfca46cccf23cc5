"""IEMOCAP, turns with their words and emotions; sift_jax/corpora/iemocap.py has its layout.

A turn on which people did not agree (xxx), or that is of another emotion (oth), has a place and no
emotion.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.recording import (
    CorpusError,
    Item,
    Recording,
    check_id,
    clean_transcript,
    decode_line,
    locate_audio,
    name_gender,
    reject,
)
from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.iemocap import (
    AUDIO,
    EMOTIONS,
    LABELS,
    RELEASE,
    TRANSCRIPTS,
    list_dialogues,
    name_audio,
    parse_turn,
)

_SAID = re.compile(r"(\S+) \[[\d.]+-[\d.]+\]: ?(.*)")
# The corpus's notes on sounds: "[LAUGHTER]", "[BREATHING]".
_NOTE = re.compile(r"\[[A-Z ]+\]")


def read_iemocap(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """The turns of all sessions that are there."""
    if "en" not in languages:
        return
    base = root / RELEASE if (root / RELEASE).is_dir() else root
    sessions = sorted(path for path in base.glob("Session*") if (path / LABELS).is_dir())
    if not sessions:
        raise CorpusError(
            f"no Session1/{LABELS} under {root}; unpack IEMOCAP there, or change --root"
        )
    for session in sessions:
        for path in list_dialogues(session / LABELS):
            yield from _read_dialogue(session, path)


def _read_dialogue(session: Path, path: Path) -> Iterator[Item]:
    said = _read_said(session / TRANSCRIPTS / path.name)
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            try:
                if turn := parse_turn(decode_line(raw)):
                    yield _make_recording(session, path.stem, *turn, said)
            except BadItem as bad:
                yield reject(bad, file=path, line=number, language="en")


def _read_said(path: Path) -> dict[str, str]:
    """The words of each turn; lines of another form are notes between them."""
    if not path.is_file():
        raise CorpusError(f"{path}: no such file; unpack IEMOCAP's transcriptions, too")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {match[1]: match[2] for line in lines if (match := _SAID.match(line))}


def _make_recording(
    session: Path, dialogue: str, turn: str, code: str, said: dict[str, str]
) -> Recording:
    identity = check_id(turn)
    if identity not in said:
        raise BadItem("no transcript", "", identity)
    person = identity.rpartition("_")[2][:1]
    emotion = EMOTIONS.get(code, {"xxx": "no agreement", "oth": "another emotion"}.get(code, code))
    return Recording(
        id=identity,
        language="en",
        speaker=f"{identity[:5]}{person}",
        gender=name_gender(person),
        audio=locate_audio(session / AUDIO, name_audio(dialogue, identity), identity),
        transcript=clean_transcript(_NOTE.sub(" ", said[identity]), identity),
        fields={"emotion": emotion},
    )
