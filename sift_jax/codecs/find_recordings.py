"""Recordings as they are named on a command line or in a config, and read a few minutes at a time.

a file · a folder · a list (.txt) · a metadata.jsonl of a build ─► paths ─► groups of (paths, waves)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sift_jax.audio.files import read_audio

_SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".mp3")
# what is read before it is encoded together
_GROUP_SECONDS = 512
_RATE = 16_000


def find_audio(given: Sequence[str], split: str | None = None) -> list[Path]:
    """The recordings behind the flags, each once."""
    found: list[Path] = []
    for name in given:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES)
        elif path.suffix == ".txt":
            inside = _read_list(path)
        elif path.suffix == ".jsonl":
            inside = _read_metadata(path, split)
        else:
            inside = [path]
        if not inside:
            raise ValueError(
                f"{path}: no recordings there ({', '.join(_SUFFIXES)}); give another --audio"
            )
        found += inside
    return list(dict.fromkeys(found))


def _read_list(path: Path) -> list[Path]:
    """A recording a line, seen from the list's own folder."""
    try:
        return [
            path.parent / line.strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path}: cannot be read ({error}); give a text file with a recording a line"
        ) from None


def _read_metadata(path: Path, split: str | None) -> list[Path]:
    """audio/<id>.flac beside a build's metadata.jsonl."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [
            path.parent / "audio" / f"{row['id']}.flac"
            for row in rows
            if split in (None, row["split"])
        ]
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path}: not the metadata.jsonl of a build; give that, or files and folders"
        ) from None


def read_groups(
    paths: Sequence[Path], max_seconds: float
) -> Iterator[tuple[list[Path], list[np.ndarray]]]:
    names: list[Path] = []
    waves: list[np.ndarray] = []
    for path in paths:
        names.append(path)
        waves.append(read_audio(path, max_seconds=max_seconds))
        if sum(map(len, waves)) >= _GROUP_SECONDS * _RATE:
            yield names, waves
            names, waves = [], []
    if names:
        yield names, waves
