"""Metadata in shares that fit into memory: each is written down by itself, and its rows are a file
of their own.

    metadata.jsonl ─ by split and language, in runs of 5,000 ─►  parts/shares/de_train_005000.jsonl   parts/shares.json
                                                                       └─►  sift/train/{category}/de/split1.jsonl
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from data_prep.engine.chunks import Chunk
from sift_jax.sift.rows import SPLITS
from sift_jax.storage.whole_files import write_whole

Utterance = dict[str, Any]
# Some hundred megabytes of utterances and candidates at a time.
SHARE_SIZE = 5_000
_REQUIRED = (
    "id",
    "language",
    "split",
    "transcript",
    "topic",
    "phonemes",
    "is_question",
    "gender",
    "age_category",
    "accent",
    "values",
    "labels",
    "words",
)


def cut_shares(metadata_path: Path, out: Path, *, seed: int, size: int) -> list[Chunk]:
    """Writes the shares, unless they are there, and lists them: splits in order, languages as they
    first appear."""
    done = out / "parts" / "shares.json"
    if not done.exists():
        write_whole(done, json.dumps(_write_shares(metadata_path, out / "parts" / "shares", size)))
    counts = json.loads(done.read_text())
    return [
        Chunk(
            out=out,
            language=language,
            split=split,
            first=first,
            last=min(first + size, count),
            seed=seed,
        )
        for split in SPLITS
        for language, count in counts.get(split, {}).items()
        for first in range(0, count, size)
    ]


def _write_shares(metadata_path: Path, folder: Path, size: int) -> dict[str, dict[str, int]]:
    """Line by line; returns how many there are of each split and language."""
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, dict[str, int]] = {}
    files: dict[tuple[str, str], TextIO] = {}
    with contextlib.ExitStack() as stack:
        for utterance in read_metadata(metadata_path):
            split, language = utterance["split"], utterance["language"]
            of_split = counts.setdefault(split, {})
            count = of_split.setdefault(language, 0)
            if count % size == 0:
                if count:
                    files[split, language].close()
                chunk = Chunk(
                    out=folder, language=language, split=split, first=count, last=count, seed=0
                )
                files[split, language] = stack.enter_context(
                    (folder / chunk.name).open("w", encoding="utf-8")
                )
            files[split, language].write(json.dumps(utterance, ensure_ascii=False) + "\n")
            of_split[language] += 1
    return counts


def read_metadata(path: Path) -> Iterator[Utterance]:
    """The metadata of a corpus, each line checked for what the instructions need."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                utterance = json.loads(line)
            except ValueError as error:
                raise ValueError(
                    f"{path}:{number}: not JSON ({error}); measure the corpus again"
                ) from None
            missing = [key for key in _REQUIRED if key not in utterance]
            if missing:
                raise ValueError(
                    f"{path}:{number}: no {', '.join(missing)}; measure the corpus again"
                )
            yield utterance
