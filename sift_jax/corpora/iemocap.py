"""IEMOCAP: ten actors in pairs, acted and improvised dialogues with emotions as others heard them,
English. Its licence is asked of its makers.

    {IEMOCAP_full_release/,}Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        [6.2901 - 8.2357] ⇥ Ses01F_impro01_F000 ⇥ neu ⇥ [2.5000, 2.5000, 2.5000]    other lines: each person's opinion
    {IEMOCAP_full_release/,}Session1/dialog/transcriptions/Ses01F_impro01.txt
        Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    {IEMOCAP_full_release/,}Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

The layout is that of the full release. The letter before a turn's number is who speaks, F or M; a
session has one of each. A turn on which people did not agree is xxx, one of another emotion oth.
"""

import re
from pathlib import Path

RELEASE = "IEMOCAP_full_release"
LABELS, TRANSCRIPTS, AUDIO = "dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav"
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


def list_dialogues(labels: Path) -> list[Path]:
    """Their labels; files that macOS' archives leave begin with a dot."""
    return sorted(labels.glob("[!.]*.txt"))


def parse_turn(line: str) -> tuple[str, str] | None:
    """A turn and the code of its emotion, where a line has one."""
    turn = _TURN.match(line)
    return (turn[1], turn[2]) if turn else None


def name_audio(dialogue: str, turn: str) -> str:
    return f"{dialogue}/{turn}.wav"
