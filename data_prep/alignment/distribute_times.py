"""Files of word times, shared out over the chunks of a build.

    words.ctm, …/84-1.alignment.txt   ─► parts/word_times/<chunk>  {"id", "word", "start", "end", "score"}
    …/x.TextGrid, named by utterance  ─►                           {"id", "grid": path}
    a line that cannot be read        ─► the account "word_times"

A corpus may have millions of words: no more than some of them are in memory at once, and in each
chunk only its own.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_prep.alignment.text_grid import read_text_grid
from data_prep.alignment.word_time import AlignmentError, WordTime
from data_prep.alignment.word_time_files import find_files, gather_times, is_text_grid, read_entries
from data_prep.engine.chunks import Chunk
from data_prep.engine.ledger import Rejection, settle
from sift_jax.storage.whole_files import write_whole

KIND = "word_times"
_MOST_WAITING = 100_000
NO_TIMES, BROKEN = "no word times", "broken word times"


def spread_times(source: Path, chunks: Sequence[Chunk], out: Path) -> None:
    """Writes what the files say of each chunk's utterances, once, and an account of the lines and
    files."""
    done = out / "parts" / f"{KIND}.json"
    if done.exists():
        return
    shutil.rmtree(out / "parts" / KIND, ignore_errors=True)
    owners = {
        json.loads(line)["id"]: chunk for chunk in chunks for line in chunk.read_lines("utterances")
    }
    files = find_files(source)
    shelf = _Shelf()
    entered, rejections = 0, []
    for file in files:
        for count, found in _read(file, is_alone=len(files) == 1 and source.is_file()):
            entered += count
            if isinstance(found, Rejection):
                rejections.append(found)
                continue
            for row in found:
                if row["id"] in owners:
                    shelf.put(owners[row["id"]], json.dumps(row, ensure_ascii=False))
    shelf.flush()
    settle(out, KIND, "lines", entered, entered - len(rejections), rejections)
    write_whole(done, json.dumps({"lines": entered}))


def find_times(chunk: Chunk, tier: str | None) -> Callable[[str], list[WordTime]]:
    """A function from an id to its words; AlignmentError where there are none."""
    rows = (
        [json.loads(line) for line in chunk.read_lines(KIND)] if chunk.path(KIND).exists() else []
    )
    grids = {row["id"]: row["grid"] for row in rows if "grid" in row}
    times = gather_times((row.pop("id"), WordTime(**row)) for row in rows if "grid" not in row)

    def find(identity: str) -> list[WordTime]:
        if identity in grids:
            try:
                return read_text_grid(grids[identity], tier)
            except AlignmentError as error:
                raise AlignmentError(str(error), BROKEN) from None
        if identity not in times:
            raise AlignmentError(
                f"--words has no times for {identity}; align it, or leave it so", NO_TIMES
            )
        return times[identity]

    return find


def _read(file: Path, *, is_alone: bool) -> Iterator[tuple[int, Rejection | list[dict]]]:
    """(1, rows or a rejection) for each line, or for the whole of a TextGrid; a file that is no
    list at all is one."""
    if is_text_grid(file):
        yield 1, [{"id": file.stem, "grid": str(file)}]
        return
    try:
        for entry in read_entries(file):
            if entry.fault is not None:
                yield (
                    1,
                    Rejection(reason=BROKEN, detail=entry.fault, file=str(file), line=entry.line),
                )
            else:
                yield 1, [{"id": name, **dataclasses.asdict(time)} for name, time in entry.times]
    except AlignmentError as error:
        if is_alone:
            raise
        yield 1, Rejection(reason=BROKEN, detail=str(error), file=str(file))


class _Shelf:
    """Lines on their way to the chunks' files."""

    def __init__(self) -> None:
        self._waiting: dict[Path, list[str]] = {}
        self._count = 0

    def put(self, chunk: Chunk, line: str) -> None:
        self._waiting.setdefault(chunk.path(KIND), []).append(line + "\n")
        self._count += 1
        if self._count >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        for path, lines in self._waiting.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as out:
                out.writelines(lines)
        self._waiting, self._count = {}, 0
