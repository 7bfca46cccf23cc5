"""Work in chunks: a chunk is a run of utterances of one language and split, and has a file in each parts/ folder.

    parts/sources/de_train_000100.jsonl ─ decode ─► parts/utterances/de_train_000100.jsonl ─ measure ─► parts/measured/…

A chunk's file appears whole or not at all, so a build that was killed goes on with the chunks that have none.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm


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

    def path(self, kind: str) -> Path:
        return self.out / "parts" / kind / self.name

    def read_lines(self, kind: str) -> list[str]:
        # Not splitlines: a transcript may hold one of Unicode's other ends of a line.
        return [line for line in self.path(kind).read_text(encoding="utf-8").split("\n") if line]

    def write_lines(self, kind: str, lines: Sequence[str]) -> None:
        self.path(kind).parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path(kind), "".join(line + "\n" for line in lines))


def run_chunks(chunks: Sequence[Chunk], kind: str, work: Callable[[Chunk], int], workers: int) -> None:
    """Works on all chunks that have no part of this kind yet, in processes of their own."""
    waiting = [chunk for chunk in chunks if not chunk.path(kind).exists()]
    for chunk in chunks[:1]:
        chunk.path(kind).parent.mkdir(parents=True, exist_ok=True)
    total = sum(chunk.last - chunk.first for chunk in chunks)
    done = total - sum(chunk.last - chunk.first for chunk in waiting)
    with tqdm(total=total, initial=done, desc=kind, unit="utt", dynamic_ncols=True) as bar:
        if workers == 1 or len(waiting) < 2:
            for chunk in waiting:
                bar.update(work(chunk))
            return
        # Threads inside the workers would only fight over the cores; a fresh interpreter reads this at its start.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(min(workers, len(waiting)), mp_context=context) as pool:
            try:
                for result in concurrent.futures.as_completed([pool.submit(work, chunk) for chunk in waiting]):
                    bar.update(result.result())
            except BrokenProcessPool:
                raise BuildError(f"a process that made {kind} died, of memory or of a file that no decoder can bear; "
                                 f"start again with fewer --workers: what is finished is kept") from None


def join_parts(chunks: Sequence[Chunk], kind: str, path: Path) -> None:
    """The parts of all chunks, one after another."""
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8") as joined:
        for chunk in chunks:
            joined.write(chunk.path(kind).read_text(encoding="utf-8"))
    draft.replace(path)


def write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
