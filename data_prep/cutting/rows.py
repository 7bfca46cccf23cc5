"""Lines of a manifest that are too long, and the lines of their clips.

    {"audio": "talk.mp3", "text": "…", "speaker": "s1", "mood": "calm"}
        ─►  {"audio": "talk.mp3", "speaker": "s1", "mood": "calm", "id": "talk_0031200", "offset": 31.2,
             "duration": 24.7, "text": "…", "words": [{"word", "start", "end"}, …]}, …

No audio is copied: a clip is a part of its file. What a line says of the whole recording goes for
each clip, but for its phonemes. Lines that are short enough stay as they are.
"""

import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.alignment.word_time import WordTime
from data_prep.corpora.manifest import leave_out, make_recording, take_text
from data_prep.corpora.recording import (
    Recording,
    parse_object,
    parse_recording,
    read_items,
    read_table,
)
from data_prep.cutting.clips import Clip
from data_prep.engine.chunks import BuildError
from data_prep.engine.ledger import Rejection
from sift_jax.audio.files import AudioError, measure_seconds
from sift_jax.corpora.bad_item import BadItem

# A line with the words of a day of speech.
_LONGEST_LINE = 200_000_000
_REPLACED = ("id", "text", "start", "seconds", "words", "phonemes")
TOO_LONG = "too long"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A line: its fields, its recording without the text, the text, and how many seconds it has."""

    row: Mapping[str, Any]
    recording: Recording
    text: str
    seconds: float


def read_lines(manifest: Path, root: Path, languages: Sequence[str]) -> Iterator[Line | Rejection]:
    """The lines of a .jsonl or .tsv."""
    if not manifest.is_file():
        raise BuildError(
            f"--manifest={manifest}: no such file; give a .jsonl or .tsv with a line an utterance"
        )
    parse = functools.partial(parse_row, root=root, languages=languages)
    if manifest.suffix == ".tsv":
        yield from read_table(manifest, (), parse)
    else:
        yield from read_items(
            manifest, lambda text: parse(parse_object(text)), longest=_LONGEST_LINE
        )


def parse_row(row: Mapping[str, Any], root: Path, languages: Sequence[str]) -> Line:
    """A line with its length; the text may be longer than that of a clip."""
    recording = make_recording(leave_out(row, ("text",)), root, languages, is_said=False)
    text = " ".join((take_text(row) or "").split())
    if not any(letter.isalnum() for letter in text):
        raise BadItem("no transcript", "", recording.id)
    try:
        seconds = recording.seconds or measure_seconds(recording.audio) - recording.start
    except AudioError as error:
        raise BadItem(error.reason, str(error), recording.id) from None
    return Line(row=row, recording=recording, text=text, seconds=seconds)


def find_too_long(build: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The recordings that a build has skipped as too long, as lines of a manifest, and the root
    of their paths."""
    try:
        with (build / "parts" / "accounts" / "decode_rejected.jsonl").open(
            encoding="utf-8"
        ) as lines:
            names = {row["id"] for row in map(json.loads, lines) if row["reason"] == TOO_LONG}
    except (OSError, ValueError, KeyError):
        raise BuildError(
            f"--build={build}: no build that has decoded its corpus; give its --out, or --manifest"
        ) from None
    found = [
        recording
        for path in sorted((build / "parts" / "sources").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").split("\n")
        if line and (recording := parse_recording(line)).id in names
    ]
    if not found:
        raise BuildError(f"--build={build}: no recording there was too long; nothing is to be cut")
    root = Path(os.path.commonpath([Path(recording.audio).parent for recording in found]))
    return root, [_make_row(recording, root) for recording in found]


def _make_row(recording: Recording, root: Path) -> dict[str, Any]:
    row = {
        "audio": os.path.relpath(recording.audio, root),
        "text": recording.transcript,
        "id": recording.id,
        "language": recording.language,
        "speaker": recording.speaker,
        "gender": recording.gender,
        "age": recording.age_category,
        "accent": recording.accent,
        "split": recording.held,
        "offset": recording.start or None,
        "duration": recording.seconds,
        "words": [
            {"word": word.word, "start": word.start, "end": word.end} for word in recording.words
        ]
        or None,
    }
    return {name: value for name, value in row.items() if value is not None}


def make_clip_row(line: Line, clip: Clip, times: Sequence[WordTime]) -> dict[str, Any]:
    """The line of a clip; its words' times begin with it."""
    offset = round(line.recording.start + clip.start, 3)
    seconds = round(clip.end - clip.start, 3)
    words, before = [], 0.0
    for time in times[clip.first : clip.last]:
        # times of a file may overlap a little, and a manifest's do not
        start = max(round(time.start - clip.start, 3), before)
        before = max(min(round(time.end - clip.start, 3), seconds), start)
        words.append({"word": time.word, "start": start, "end": before})
    return {
        **leave_out(line.row, _REPLACED),
        "id": f"{line.recording.id}_{round(1000 * offset):07d}",
        "offset": offset,
        "duration": seconds,
        "text": clip.text,
        "words": words,
    }
