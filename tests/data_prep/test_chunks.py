"""Chunks: finished ones are kept, and a process that dies is one line."""

import os
from pathlib import Path

import pytest

from data_prep.chunks import BuildError, Chunk, join_parts, run_chunks


def make_chunks(out: Path) -> list[Chunk]:
    return [Chunk(out=out, language="de", split="train", first=first, last=first + 2, seed=0) for first in (0, 2, 4)]


def write_chunk(chunk: Chunk) -> int:
    # The second line ends in what other programs take for the end of a line.
    chunk.write_lines("made", [f"{chunk.first}", f"{chunk.first + 1}\u2028"])
    return 2


def die(chunk: Chunk) -> int:
    if chunk.first == 4:
        os._exit(9)
    return write_chunk(chunk)


def test_only_what_is_missing_is_made(tmp_path):
    chunks = make_chunks(tmp_path)
    run_chunks(chunks, "made", write_chunk, 1)
    assert chunks[1].read_lines("made") == ["2", "3\u2028"]
    chunks[0].write_lines("made", ["kept"])
    chunks[2].path("made").unlink()
    run_chunks(chunks, "made", write_chunk, 1)
    join_parts(chunks, "made", tmp_path / "all")
    assert (tmp_path / "all").read_text(encoding="utf-8") == "kept\n2\n3\u2028\n4\n5\u2028\n"


def test_a_process_that_dies_is_one_line(tmp_path):
    with pytest.raises(BuildError, match="a process that made parts died.*fewer --workers"):
        run_chunks(make_chunks(tmp_path), "parts", die, 2)
