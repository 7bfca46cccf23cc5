"""The People's Speech, English, of the revision with archives.

sift_jax/corpora/peoples_speech.py has its layout. Where the hub's Parquet files are what there is,
write the clips out and use a manifest. The corpus does not tell who speaks. Where the name of a
clip is too long for an id, its end is taken, behind a hash of the whole.
"""

import hashlib
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
    decode_line,
    locate_audio,
    parse_object,
    reject,
)
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.peoples_speech import list_clips

_PARTS = {"train": TRAIN, "validation": DEV, "test": EVALUATION}
_LONGEST_ID = 90
# Some sources are days long.
_LONGEST_LINE = 2**27


def read_peoples_speech(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """All lists that are there; there is nothing but English."""
    if "en" not in languages:
        return
    lists = [
        (path, held)
        for part, held in _PARTS.items()
        for path in sorted((root / part).glob("*.json"))
        if path.with_suffix("").is_dir()
    ]
    if not lists:
        raise CorpusError(
            f"no train/clean.json with its folder train/clean under {root}, nor any other part of "
            "the People's Speech; unpack its archives beside their lists, or change --root"
        )
    for path, held in lists:
        yield from _read_list(path, held)


def _read_list(path: Path, held: str) -> Iterator[Item]:
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            try:
                clips = list_clips(parse_object(decode_line(raw, _LONGEST_LINE)))
            except BadItem as bad:
                yield reject(bad, file=path, line=number, language="en")
                continue
            for name, text in clips:
                try:
                    yield _make_recording(name, text, path, held)
                except BadItem as bad:
                    yield reject(bad, file=path, line=number, language="en")


def _make_recording(name: Any, text: Any, path: Path, held: str) -> Recording:
    if not isinstance(name, str) or not isinstance(text, str):
        raise BadItem("broken line", "a name or label that is not text")
    identity = check_id(_make_id(name))
    return Recording(
        id=identity,
        language="en",
        held=held,
        audio=locate_audio(path.with_suffix(""), name, identity),
        transcript=clean_transcript(text, identity),
    )


def _make_id(name: str) -> str:
    plain = re.sub(r"[^\w.:-]", "_", name.removesuffix(".flac"))
    if len(plain) <= _LONGEST_ID:
        return plain
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}_{plain[-(_LONGEST_ID - 17) :]}"
