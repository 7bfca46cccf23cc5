"""Text files that appear whole or not at all: a reader never meets half of one, and a process that
is killed while it writes leaves the old one.

    write_whole(path, text)                      with open_whole(path) as out: out.write(line) …
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# how the names of drafts end: what a killed process has left is found by it
DRAFT = ".part"


@contextlib.contextmanager
def open_whole(path: str | Path) -> Iterator[TextIO]:
    """A file that gets its name when it is whole and on the disk; of two that write the same, each
    has a draft."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}{DRAFT}")
    try:
        with draft.open("x", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: str | Path, text: str) -> Path:
    """The same of one text; makes the folder, returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(path) as out:
        out.write(text)
    return path
