"""MSP-Podcast, clips with their words and emotions; sift_jax/corpora/msp_podcast.py has its layout.

Where people did not agree (X), or heard something that has no name (O), a clip has no emotion. All
three of its tests are EvalSIFT.
"""

import csv
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    name_gender,
    reject,
)
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.msp_podcast import AUDIO_FOLDERS, COLUMNS, EMOTIONS, LABELS

_UNNAMED = {"X": "no agreement", "O": "another emotion"}
_SPLITS = {
    "train": TRAIN,
    "development": DEV,
    "validation": DEV,
    "test1": EVALUATION,
    "test2": EVALUATION,
    "test3": EVALUATION,
}

Row = Mapping[str, str | None]


def read_msp_podcast(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """Every clip that has a transcript, with its emotion."""
    if "en" not in languages:
        return
    texts = find_folder(root, ["Transcripts", "Transcript"], "transcripts of MSP-Podcast")

    def parse(row: Row, audio: Path) -> Recording:
        recording = make_clip(row, audio)
        path = texts / f"{Path(row['FileName'] or '').stem}.txt"
        if not path.is_file():
            raise BadItem("no transcript", path.name, recording.id)
        said = clean_transcript(
            path.read_text(encoding="utf-8-sig", errors="replace"), recording.id
        )
        return dataclasses.replace(recording, transcript=said)

    yield from read_labels(root, parse)


def read_labels(root: Path, parse: Callable[[Row, Path], Any]) -> Iterator[Any]:
    """What is made of each line of labels, or why it was skipped."""
    path = next((root / place for place in LABELS if (root / place).is_file()), None)
    if path is None:
        raise CorpusError(
            f"no {LABELS[0]} under {root}; unpack MSP-Podcast there, or change --root"
        )
    audio = find_folder(root, AUDIO_FOLDERS, "MSP-Podcast's recordings")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise CorpusError(
                f"{path}: no column {', '.join(missing)} in its first line; is it of another "
                "release?"
            )
        for number in itertools.count(2):
            try:
                row = next(rows, None)
                if row is None:
                    return
                yield parse(row, audio)
            except BadItem as bad:
                yield reject(bad, file=path, line=number, language="en")
            except csv.Error as error:
                yield reject(
                    BadItem("broken line", str(error)), file=path, line=number, language="en"
                )


def make_clip(row: Row, audio: Path) -> Recording:
    """The clip of a line, without its words; its emotion in words, or its letter where that is none
    of the corpus."""
    name, letter = row["FileName"] or "", (row["EmoClass"] or "").strip()
    identity = check_id(f"msp_{name.removesuffix('.wav')}")
    held = _SPLITS.get((row["Split_Set"] or "").strip().lower())
    if held is None:
        raise BadItem("in no split", str(row["Split_Set"])[:40], identity)
    speaker = (row.get("SpkrID") or "").strip()
    emotion = EMOTIONS.get(letter) or _UNNAMED.get(letter) or letter[:40]
    return Recording(
        id=identity,
        language="en",
        held=held,
        speaker=None if speaker.lower() in ("", "unknown") else speaker,
        gender=name_gender(row.get("Gender")),
        audio=locate_audio(audio, name, identity),
        transcript="",
        fields={"emotion": emotion} if emotion else {},
    )
