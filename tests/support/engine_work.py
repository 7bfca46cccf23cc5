"""Work for chunks that other processes can import."""

import os
import time
from pathlib import Path

from data_prep.engine.chunks import Chunk


def make_chunks(out: Path, count: int = 3) -> list[Chunk]:
    return [
        Chunk(out=out, language="de", split="train", first=2 * place, last=2 * place + 2, seed=0)
        for place in range(count)
    ]


def write_chunk(chunk: Chunk) -> None:
    chunk.write_lines("made", [str(chunk.first), str(chunk.first + 1)])


def write_process(chunk: Chunk) -> None:
    """Who did it, and slowly, so that another has its turn."""
    time.sleep(0.1)
    chunk.write_lines("made", [str(os.getpid())])


def die(chunk: Chunk) -> None:
    if chunk.first == 2:
        os._exit(9)
    write_chunk(chunk)


def die_twice(chunk: Chunk) -> None:
    note = chunk.path("deaths")
    deaths = int(note.read_text()) if note.exists() else 0
    if chunk.first == 2 and deaths < 2:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(deaths + 1))
        os._exit(9)
    write_chunk(chunk)


def fail(chunk: Chunk) -> None:
    if chunk.first == 2:
        raise ValueError("no room\nfor it; make some")
    if chunk.first == 4:
        raise KeyError("pitch")
    write_chunk(chunk)


def write_nothing(chunk: Chunk) -> None:
    pass
