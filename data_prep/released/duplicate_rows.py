"""Rows that stand twice, found without holding them.

    row ─►  64-bit hash of id and messages ─►  <folder>/<file number>.npy, sorted: (hash, line)
    all of them, a slice of the hashes at a time ─►  [(file, line, first file, first line), …]

Held are 12 bytes a row of one file while it is read, and of one slice of all files afterwards. Two
different rows in a hundred million have the same hash with a chance of three in ten thousand.
"""

import array
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sift_jax.sift.rows import Row

_KIND = np.dtype([("hash", "<u8"), ("line", "<u4")])
# Rows looked at together: about 50 MB with what sorting takes.
SLICE_ROWS = 1_000_000


class Repeat(NamedTuple):
    """Where a row stands again, and where it stood first; files by number."""

    file: int
    line: int
    first_file: int
    first_line: int


class HashSheet:
    """The hashes of one file's rows."""

    def __init__(self) -> None:
        self._hashes, self._lines = array.array("Q"), array.array("L")

    def add(self, row: Row, line: int) -> None:
        pieces = [row["id"]]
        for message in row["messages"]:
            pieces.append(message["role"])
            for part in message["content"]:
                pieces += part.keys()
                pieces += part.values()
        # with a character between that no piece holds: "ab" "c" is not "a" "bc"
        text = "\0".join(pieces).encode()
        self._hashes.append(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))
        self._lines.append(line)

    def save(self, path: Path) -> None:
        sheet = np.empty(len(self._hashes), _KIND)
        sheet["hash"], sheet["line"] = self._hashes, self._lines
        np.save(path, sheet[np.argsort(sheet["hash"], kind="stable")])


def find_repeats(folder: Path, files: int, limit: int) -> tuple[int, list[Repeat]]:
    """How many rows stand again, and the first of them in the order of files and lines."""
    sheets = [folder / f"{number}.npy" for number in range(files)]
    slices = max(1, -(-sum(len(_open(sheet)) for sheet in sheets) // SLICE_ROWS))
    # Hashes are spread evenly, so equal spans of their numbers hold about equally many rows, and all
    # rows of one hash lie in one span.
    edges = [round(2**64 * place / slices) for place in range(slices + 1)]
    count, found = 0, []
    for low, high in zip(edges, edges[1:], strict=False):
        again = _find_in_slice(sheets, low, high)
        count += len(again)
        if limit and len(again):
            order = np.lexsort((again["line"], again["file"]))[:limit]
            found += [Repeat(*map(int, row)) for row in again[order]]
            found = sorted(found)[:limit]
    return count, found


def _open(path: Path) -> np.ndarray:
    """Until it is dropped: a system has fewer open files to give than a release may have."""
    return np.load(path, mmap_mode="r")


def _find_in_slice(sheets: list[Path], low: int, high: int) -> np.ndarray:
    parts = []
    for number, path in enumerate(sheets):
        sheet = _open(path)
        first, last = np.searchsorted(
            sheet["hash"], np.array([low, min(high, 2**64 - 1)], np.uint64)
        )
        # 2⁶⁴ is not a number of 64 bits: the last span ends where the file does
        last = len(sheet) if high == 2**64 else last
        part = np.empty(last - first, [*_KIND.descr, ("file", "<u4")])
        part["hash"], part["line"] = sheet["hash"][first:last], sheet["line"][first:last]
        part["file"] = number
        parts.append(part)
    rows = np.concatenate(parts)
    rows = rows[np.lexsort((rows["line"], rows["file"], rows["hash"]))]
    is_again = np.append(False, rows["hash"][1:] == rows["hash"][:-1])[: len(rows)]
    # The last row before it that is not a repetition is the first of its kind: of hashes a a a b,
    # is_again is 0 1 1 0, the places 0 0 0 3, and so the rows at 1 and 2 repeat the one at 0.
    firsts = (
        np.maximum.accumulate(np.where(is_again, 0, np.arange(len(rows))))
        if len(rows)
        else is_again
    )
    again = np.empty(
        int(is_again.sum()), [("file", "<u4"), ("line", "<u4"), ("f", "<u4"), ("l", "<u4")]
    )
    first = rows[firsts[is_again]]
    again["file"], again["line"] = rows["file"][is_again], rows["line"][is_again]
    again["f"], again["l"] = first["file"], first["line"]
    return again
