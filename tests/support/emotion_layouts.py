"""Corpora of emotions in their layouts, which need a licence: small ones, with made voices."""

import json
from pathlib import Path

from corpus_layouts import write_voice


def write_iemocap(
    root: Path, sessions: tuple[int, ...] = (1, 2, 3), turns: int = 6
) -> dict[str, str]:
    """Returns the code of each turn."""
    found, seed = {}, 0
    codes = ("neu", "ang", "exc", "sad", "hap", "fru", "fea", "sur")
    for session in sessions:
        folder = root / "IEMOCAP_full_release" / f"Session{session}"
        for kind in ("dialog/EmoEvaluation", "dialog/transcriptions"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        dialogue = f"Ses{session:02d}F_impro01"
        labels, said = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"], []
        for number in range(turns):
            for person, hz in (("F", 205), ("M", 118)):
                turn, seed = f"{dialogue}_{person}{number:03d}", seed + 1
                code = found[turn] = codes[seed % len(codes)]
                labels.append(
                    f"[{seed}.2901 - {seed}.9357]\t{turn}\t{code}\t[2.5000, 2.5000, 2.5000]\n"
                    "C-E2:\tNeutral state;\t()\nA-F1:\tval 3; act 2; dom  1;\t()\n\n"
                )
                said.append(
                    f"{turn} [{seed:03d}.2901-{seed:03d}.9357]: [LAUGHTER] Turn number "
                    f"{seed}, please.\n"
                )
                write_voice(folder / "sentences" / "wav" / dialogue / f"{turn}.wav", seed, hz=hz)
        (folder / "dialog" / "EmoEvaluation" / f"{dialogue}.txt").write_text("".join(labels))
        (folder / "dialog" / "EmoEvaluation" / f"._{dialogue}.txt").write_bytes(
            b"\x00\x05left by an archive"
        )
        (folder / "dialog" / "transcriptions" / f"{dialogue}.txt").write_text(
            "".join(said) + "M: an aside\n"
        )
    return found


def write_manifest(root: Path, *, count: int = 48, name: str = "mine.jsonl") -> list[dict]:
    """Lines with an emotion and a role, some of which are odd."""
    emotions, rows = ("Wut", "happy", "sad", "neutral"), []
    for number in range(count):
        write_voice(root / "a" / f"{number}.wav", 500 + number, hz=118 if number % 2 else 205)
        row = {
            "audio": f"a/{number}.wav",
            "text": f"Rain falls for the {number}th time today.",
            "speaker": f"s{number % 12}",
            "gender": "male" if number % 2 else "female",
            "emotion": emotions[number % 4],
            "part": "narr" if number % 3 else "dialogue",
        }
        rows.append(row)
    rows[0] |= {"emotion": "puzzled"}
    rows[1] |= {"emotion": "puzzled", "part": "chorus"}
    rows[2].pop("emotion")
    rows[3]["emotion"] = " "
    (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows
