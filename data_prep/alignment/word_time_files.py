"""Files of word times: one door for TextGrid, CTM, tables and LibriSpeech's alignments.

x.TextGrid          the words of x; of a folder, every TextGrid in it                           text_grid.py
words.ctm           a01 1 0.13 0.15 why 0.93                        utterance, channel, start, length, word[, score]
words.tsv           id ⇥ word ⇥ start ⇥ end[ ⇥ score], named in the first line, in any order
x.alignment.txt     84-1-0 ",GO,,HE," "0.4,0.9,1.1,1.5,2.0"         words with their ends; an empty word is a pause

find_files ─► read_entries ─► Entry of each line: its words, or what is wrong with it ─ gather_times ─► {id: words}
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from data_prep.alignment.text_grid import SILENCES
from data_prep.alignment.word_time import AlignmentError, WordTime

WordTimes = dict[str, list[WordTime]]
_Found = list[tuple[str, WordTime]]
_Parse = Callable[[Path, int, str], _Found]
_LIBRISPEECH_LINE = re.compile(r'(\S+) "([^"]*)" "([^"]*)"')
_TEXT_GRID = ".textgrid"
# A folder of a corpus may have other tables, so that one is read only where it is named.
_IN_FOLDERS = (_TEXT_GRID, ".ctm", ".alignment.txt")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of a file: the words that it has, by utterance, or what is wrong with it."""

    line: int
    times: _Found
    fault: str | None


def find_files(path: str | Path) -> list[Path]:
    """A file, or all files of word times in a folder."""
    path = Path(path)
    if path.is_dir():
        files = sorted(
            file for file in path.rglob("*") if file.name.casefold().endswith(_IN_FOLDERS)
        )
        if not files:
            raise AlignmentError(
                f"{path}: no *.TextGrid, *.ctm or *.alignment.txt below this folder; check the path"
            )
        return files
    if not path.exists():
        raise AlignmentError(f"{path}: cannot be read (no such file or folder); check the path")
    if not is_text_grid(path):
        _find_reader(path)
    return [path]


def is_text_grid(path: Path) -> bool:
    return path.name.casefold().endswith(_TEXT_GRID)


def read_entries(path: Path) -> Iterator[Entry]:
    """The lines of a file that is no TextGrid, the kind told by its suffix; an error where all of
    it is wrong."""
    lines = _read_lines(path)
    parse = _find_reader(path)(path, lines)
    for number, line in lines:
        try:
            yield Entry(
                line=number, times=parse(path, number, _decode(path, number, line)), fault=None
            )
        except AlignmentError as error:
            yield Entry(line=number, times=[], fault=str(error))


def gather_times(found: Iterable[tuple[str, WordTime]]) -> WordTimes:
    """Words by utterance, in order of their starts, without silences."""
    table: WordTimes = {}
    for name, time in found:
        words = table.setdefault(name, [])
        if time.word.casefold() not in SILENCES:
            words.append(time)
    return {name: sorted(words, key=lambda time: time.start) for name, words in table.items()}


def write_ctm(times: WordTimes, path: str | Path) -> None:
    """One line a word, with its score."""
    lines = [
        f"{name} 1 {time.start:.3f} {time.end - time.start:.3f} {time.word} {time.score:.4f}\n"
        for name, words in times.items()
        for time in words
    ]
    Path(path).write_text("".join(lines), encoding="utf-8")


def _parse_ctm(path: Path, number: int, line: str) -> _Found:
    if line.startswith(";;"):
        return []
    parts = line.split()
    if len(parts) not in (5, 6):
        raise AlignmentError(
            f"{path}:{number}: {len(parts)} fields; a CTM line has five or six: "
            "utterance channel start length word [score]"
        )
    name, _, start, length, word = parts[:5]
    begin = _parse_number(path, number, start, "start")
    end = begin + _parse_number(path, number, length, "length")
    score = _parse_number(path, number, parts[5], "score") if len(parts) == 6 else 1.0
    return [(name, _make_time(path, number, word, begin, end, score))]


def _start_table(path: Path, lines: Iterator[tuple[int, bytes]]) -> _Parse:
    """Reads the header."""
    number, first = next(lines, (1, b""))
    header = [name.strip() for name in _decode(path, number, first).split("\t")]
    missing = [name for name in ("id", "word", "start", "end") if name not in header]
    if missing:
        raise AlignmentError(
            f"{path}:1: no column {', '.join(missing)}; the first line names id, word, start, end "
            "and, if there is one, score, parted by tabs"
        )
    return functools.partial(_parse_row, header)


def _parse_row(header: list[str], path: Path, number: int, line: str) -> _Found:
    row = line.split("\t")
    if len(row) != len(header):
        raise AlignmentError(
            f"{path}:{number}: {len(row)} fields under {len(header)} names; fix the line"
        )
    cells = dict(zip(header, row, strict=True))
    start, end = (_parse_number(path, number, cells[key], key) for key in ("start", "end"))
    score = _parse_number(path, number, cells["score"], "score") if cells.get("score") else 1.0
    return [(cells["id"], _make_time(path, number, cells["word"].strip(), start, end, score))]


def _parse_librispeech(path: Path, number: int, line: str) -> _Found:
    """A line of the public alignments of LibriSpeech is an utterance."""
    match = _LIBRISPEECH_LINE.fullmatch(line)
    words, ends = (match.group(2).split(","), match.group(3).split(",")) if match else ([], [])
    if not match or len(words) != len(ends):
        raise AlignmentError(
            f'{path}:{number}: not of the form  id "w,,w" "t,t,t"  with a time for each word; '
            "fetch the file again"
        )
    found, start = [], 0.0
    for word, value in zip(words, ends, strict=True):
        end = _parse_number(path, number, value, "end")
        found.append((match.group(1), _make_time(path, number, word, start, end, 1.0)))
        start = end
    return found


def _find_reader(path: Path) -> Callable[[Path, Iterator[tuple[int, bytes]]], _Parse]:
    for suffix, start in _READERS.items():
        if path.name.casefold().endswith(suffix):
            return start
    raise AlignmentError(
        f"{path}: word times are read from .TextGrid, {', '.join(_READERS)}; rename or convert it"
    )


def _make_time(
    path: Path, number: int, word: str, start: float, end: float, score: float
) -> WordTime:
    if start < 0 or end < start:
        raise AlignmentError(
            f"{path}:{number}: {word!r} lasts from {start:g} to {end:g} s; fix the line"
        )
    return WordTime(word=word, start=start, end=end, score=score)


def _parse_number(path: Path, number: int, text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AlignmentError(f"{path}:{number}: {name} {text!r} is not a number; fix the line")
    return value


def _read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number, line) of the lines that are not empty."""
    try:
        with path.open("rb") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except OSError as error:
        raise AlignmentError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def _decode(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise AlignmentError(f"{path}:{number}: is not UTF-8; convert it") from None


_READERS: Mapping[str, Callable[[Path, Iterator[tuple[int, bytes]]], _Parse]] = {
    ".ctm": lambda path, lines: _parse_ctm,
    ".tsv": _start_table,
    ".alignment.txt": lambda path, lines: _parse_librispeech,
}
