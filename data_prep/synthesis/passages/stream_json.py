"""Text files that may be compressed, and JSON objects too large to be held.

{"query": {"0": "who …", "1": …}, "passages": {"0": [{…}, …], …}}  ─ stream_columns ─►  ("query", "0", "who …"), …
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from data_prep.corpora.recording import CorpusError

_PIECE = 1 << 20
# A value of more letters is none of a question's.
_LONGEST_VALUE = 1 << 26


def open_text(path: Path) -> TextIO:
    """A file, or one within gzip."""
    if not path.is_file():
        raise CorpusError(f"{path}: no such file; give the set's own .json, or .json.gz")
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig"))
    return path.open(encoding="utf-8-sig")


def stream_columns(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Column, key and value of an object of objects, as they come; a value at a time is held."""
    with open_text(path) as file:
        reader = _Reader(file)
        reader.take("{")
        while not reader.is_at("}"):
            column = reader.read_value()
            reader.take(":")
            reader.take("{")
            while not reader.is_at("}"):
                key = reader.read_value()
                reader.take(":")
                yield str(column), str(key), reader.read_value()
                reader.skip_comma()
            reader.take("}")
            reader.skip_comma()


class _Reader:
    """A window that moves over the text."""

    def __init__(self, file: TextIO):
        self.file, self.text, self.place, self.is_over = file, "", 0, False
        self.decoder = json.JSONDecoder()

    def is_at(self, letter: str) -> bool:
        self._skip_space()
        return self.text.startswith(letter, self.place)

    def take(self, letter: str) -> None:
        if not self.is_at(letter):
            raise ValueError(
                f"expected {letter!r} before {self.text[self.place : self.place + 40]!r}"
            )
        self.place += 1

    def skip_comma(self) -> None:
        if self.is_at(","):
            self.place += 1

    def read_value(self) -> Any:
        self._skip_space()
        size = _PIECE
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.place)
                # a number may go on behind the window
                if end < len(self.text) or self.is_over:
                    self.place = end
                    return value
            except ValueError:
                if self.is_over or len(self.text) - self.place > _LONGEST_VALUE:
                    raise ValueError(
                        f"no JSON at {self.text[self.place : self.place + 40]!r}"
                    ) from None
            self._fill(size)
            size *= 2

    def _skip_space(self) -> None:
        while True:
            while self.place < len(self.text) and self.text[self.place].isspace():
                self.place += 1
            if self.place < len(self.text) or self.is_over:
                return
            self._fill(_PIECE)

    def _fill(self, size: int) -> None:
        more = self.file.read(size)
        self.is_over = not more
        self.text, self.place = self.text[self.place :] + more, 0
