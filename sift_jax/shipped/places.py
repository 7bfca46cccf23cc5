"""Names for what lies in the package, wherever that is installed.

    small          ─► sift_jax/shipped/small                       an export, with samples and a card
    sample:slow    ─► sift_jax/shipped/small/samples/slow.flac     a recording of its corpus, kept apart from training

A folder or a file that has such a name in the working directory comes before it.
"""

from __future__ import annotations

import os
from pathlib import Path

SMALL = "small"
SCHEME = "sample:"
FOLDER = Path(__file__).with_name("small")
SAMPLES = "samples"
NOTE = (
    "the small model that comes with sift_jax was trained on synthetic voices; it hears how "
    "something is said, recognises no words, and knows few wordings of a question"
)


def is_small(name: str | os.PathLike[str]) -> bool:
    """Whether the model of the package is meant."""
    return str(name) == SMALL and not Path(SMALL).exists()


def find_checkpoint(name: str | os.PathLike[str]) -> Path:
    """The folder that a checkpoint's name stands for."""
    return FOLDER if is_small(name) else Path(name)


def list_samples() -> list[str]:
    """The names behind sample:, in order."""
    return sorted(path.stem for path in (FOLDER / SAMPLES).glob("*.flac"))


def find_recording(name: str | os.PathLike[str]) -> Path:
    """The file that a recording's name stands for."""
    path = Path(name)
    if not str(name).startswith(SCHEME) or path.exists():
        return path
    found = FOLDER / SAMPLES / f"{str(name).removeprefix(SCHEME)}.flac"
    if found.stem not in list_samples():
        raise ValueError(f"there is no {name}; the samples are {', '.join(list_samples())}")
    return found
