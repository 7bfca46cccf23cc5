"""Work in chunks: a chunk is a run of utterances of one language and split, and has a file in each
parts/ folder.

    parts/sources/de_train_000100.jsonl ─ decode ─► parts/utterances/de_train_000100.jsonl ─ measure ─► parts/measured/…

A chunk's file appears whole or not at all, so a build that was killed resumes with the chunks that
have none; `engine` runs the work.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sift_jax.storage.whole_files import DRAFT, open_whole, write_whole


class BuildError(ValueError):
    """The build cannot go on; the message is one line for the user."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """A run of utterances of one language and split; `name` is that of its files in parts/."""

    out: Path
    language: str
    split: str
    first: int
    last: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.language}_{self.split}_{self.first:06d}.jsonl"

    @property
    def size(self) -> int:
        return self.last - self.first

    def path(self, kind: str) -> Path:
        return self.out / "parts" / kind / self.name

    def read_lines(self, kind: str) -> list[str]:
        # Not splitlines: a transcript may hold one of Unicode's other ends of a line.
        return [line for line in self.path(kind).read_text(encoding="utf-8").split("\n") if line]

    def write_lines(self, kind: str, lines: Sequence[str]) -> None:
        write_whole(self.path(kind), "".join(line + "\n" for line in lines))


def join_parts(chunks: Sequence[Chunk], kind: str, path: Path) -> None:
    """The parts of all chunks, one after another."""
    with open_whole(path) as joined:
        for chunk in chunks:
            joined.write(chunk.path(kind).read_text(encoding="utf-8"))


def sweep(out: Path) -> None:
    """Removes the drafts that a killed build has left."""
    for folder in ("", "parts/*/"):
        for draft in out.glob(f"{folder}.*{DRAFT}"):
            draft.unlink()
