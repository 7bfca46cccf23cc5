"""IEMOCAP: ten actors in pairs, acted and improvised dialogues with emotions as others heard them,
English.

    {IEMOCAP_full_release/,}Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        [6.2901 - 8.2357] ⇥ Ses01F_impro01_F000 ⇥ neu ⇥ [2.5000, 2.5000, 2.5000]    other lines: each person's opinion
    {IEMOCAP_full_release/,}Session1/dialog/transcriptions/Ses01F_impro01.txt
        Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    {IEMOCAP_full_release/,}Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

The letter before a turn's number is who speaks, F or M; a session has one of each. Its licence is
asked of its makers. A turn on which people did not agree (xxx), or that is of another emotion
(oth), has a place and no emotion.
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

EMOTIONS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fru": "frustrated",
    "fea": "fearful",
    "sur": "surprised",
    "dis": "disgusted",
}
_TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\S+)\t(\S+)\t")
_SAID = re.compile(r"(\S+) \[[\d.]+-[\d.]+\]: ?(.*)")
# The corpus's notes on sounds: "[LAUGHTER]", "[BREATHING]".
_NOTE = re.compile(r"\[[A-Z ]+\]")


def read_iemocap(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """The turns of all sessions that are there."""
    if "en" not in languages:
        return
    base = root / "IEMOCAP_full_release" if (root / "IEMOCAP_full_release").is_dir() else root
    sessions = sorted(
        path for path in base.glob("Session*") if (path / "dialog" / "EmoEvaluation").is_dir()
    )
    if not sessions:
        raise CorpusError(
            f"no Session1/dialog/EmoEvaluation under {root}; unpack IEMOCAP there, or change --root"
        )
    for session in sessions:
        # Files that macOS' archives leave begin with a dot.
        for path in sorted((session / "dialog" / "EmoEvaluation").glob("[!.]*.txt")):
            yield from _read_dialogue(session, path)


def _read_dialogue(session: Path, path: Path) -> Iterator[Item]:
    said = _read_said(session / "dialog" / "transcriptions" / path.name)
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            try:
                turn = _TURN.match(decode_line(raw))
                if turn:
                    yield _make_recording(session, path.stem, turn[1], turn[2], said)
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
        audio=locate_audio(session / "sentences" / "wav", f"{dialogue}/{identity}.wav", identity),
        transcript=clean_transcript(_NOTE.sub(" ", said[identity]), identity),
        fields={"emotion": emotion},
    )
