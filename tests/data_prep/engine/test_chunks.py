"""Chunks: their parts are lines, joined in order; drafts that a killed build has left are swept."""

from pathlib import Path

from data_prep.engine.chunks import Chunk, join_parts, sweep


def make_chunks(out: Path) -> list[Chunk]:
    return [
        Chunk(out=out, language="de", split="train", first=first, last=first + 2, seed=0)
        for first in (0, 2, 4)
    ]


def test_parts_are_joined_line_by_line(tmp_path):
    chunks = make_chunks(tmp_path)
    for chunk in chunks:
        # The second line ends in what other programs take for the end of a line.
        chunk.write_lines("made", [f"{chunk.first}", f"{chunk.first + 1}\u2028"])
    assert chunks[1].read_lines("made") == ["2", "3\u2028"]
    join_parts(chunks, "made", tmp_path / "all")
    assert (tmp_path / "all").read_text(encoding="utf-8") == "0\n1\u2028\n2\n3\u2028\n4\n5\u2028\n"


def test_what_a_kill_leaves_is_swept(tmp_path):
    for folder in (tmp_path, tmp_path / "parts" / "made"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".a.0123.part").touch()
        (folder / "a.part").touch()
    sweep(tmp_path)
    assert [path.name for path in sorted(tmp_path.rglob("*.part"))] == ["a.part", "a.part"]
