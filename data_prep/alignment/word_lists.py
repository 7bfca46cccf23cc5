"""Files of word times: one door for TextGrid, CTM, tables and LibriSpeech's alignments.

    x.TextGrid          {x: words}; of a folder, every TextGrid in it
    words.ctm           a01 1 0.13 0.15 why 0.93                        utterance, channel, start, length, word[, score]
    words.tsv           id ⇥ word ⇥ start ⇥ end[ ⇥ score], named in the first line, in any order
    x.alignment.txt     84-1-0 ",GO,,HE," "0.4,0.9,1.1,1.5,2.0"         words with their ends; an empty word is a pause
"""

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from data_prep.alignment.text_grid import SILENCES, read_text_grid
from data_prep.alignment.word_time import AlignmentError, WordTime

WordTimes = dict[str, list[WordTime]]
_LIBRISPEECH_LINE = re.compile(r'(\S+) "([^"]*)" "([^"]*)"')


def read_word_times(path: str | Path, tier: str | None = None) -> WordTimes:
    """{utterance id: its words} of a file or of a folder of TextGrids, the kind told by its suffix."""
    path = Path(path)
    if path.is_dir():
        grids = sorted(path.rglob("*.TextGrid"))
        if not grids:
            raise AlignmentError(f"{path}: no *.TextGrid below this folder; check the path")
        return {grid.stem: read_text_grid(grid, tier) for grid in grids}
    for suffix, read in _READERS.items():
        if path.name.casefold().endswith(suffix):
            return read(path)
    if path.suffix.casefold() == ".textgrid":
        return {path.stem: read_text_grid(path, tier)}
    raise AlignmentError(f"{path}: word times are read from .TextGrid, {', '.join(_READERS)}; rename or convert it")


def write_ctm(times: WordTimes, path: str | Path) -> None:
    """One line a word, with its score."""
    lines = [f"{name} 1 {time.start:.3f} {time.end - time.start:.3f} {time.word} {time.score:.4f}\n"
             for name, words in times.items() for time in words]
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_ctm(path: Path) -> WordTimes:
    """Words by utterance, in order of their starts."""
    found: list[tuple[str, WordTime]] = []
    for number, line in _read_lines(path):
        if line.startswith(";;"):
            continue
        parts = line.split()
        if len(parts) not in (5, 6):
            raise AlignmentError(f"{path}:{number}: {len(parts)} fields; a CTM line has five or six: "
                                 "utterance channel start length word [score]")
        name, _, start, length, word = parts[:5]
        begin = _parse_number(path, number, start, "start")
        end = begin + _parse_number(path, number, length, "length")
        score = _parse_number(path, number, parts[5], "score") if len(parts) == 6 else 1.0
        found.append((name, _make_time(path, number, word, begin, end, score)))
    return _gather(found)


def read_table(path: Path) -> WordTimes:
    """Words by utterance from a table with a header."""
    lines = _read_lines(path)
    header = [name.strip() for name in lines[0][1].split("\t")] if lines else []
    missing = [name for name in ("id", "word", "start", "end") if name not in header]
    if missing:
        raise AlignmentError(f"{path}:1: no column {', '.join(missing)}; the first line names id, word, start, end "
                             "and, if there is one, score, parted by tabs")
    found = []
    for number, line in lines[1:]:
        row = line.split("\t")
        if len(row) != len(header):
            raise AlignmentError(f"{path}:{number}: {len(row)} fields under {len(header)} names; mend the line")
        cells = dict(zip(header, row, strict=True))
        start, end = (_parse_number(path, number, cells[key], key) for key in ("start", "end"))
        score = _parse_number(path, number, cells["score"], "score") if cells.get("score") else 1.0
        found.append((cells["id"], _make_time(path, number, cells["word"].strip(), start, end, score)))
    return _gather(found)


def read_librispeech(path: Path) -> WordTimes:
    """The public alignments of LibriSpeech: a line an utterance."""
    found = []
    for number, line in _read_lines(path):
        match = _LIBRISPEECH_LINE.fullmatch(line)
        words, ends = (match.group(2).split(","), match.group(3).split(",")) if match else ([], [])
        if not match or len(words) != len(ends):
            raise AlignmentError(f'{path}:{number}: not of the form  id "w,,w" "t,t,t"  with a time for each word; '
                                 "fetch the file again")
        start = 0.0
        for word, value in zip(words, ends, strict=True):
            end = _parse_number(path, number, value, "end")
            found.append((match.group(1), _make_time(path, number, word, start, end, 1.0)))
            start = end
    return _gather(found)


def _gather(found: Iterable[tuple[str, WordTime]]) -> WordTimes:
    table: WordTimes = {}
    for name, time in found:
        words = table.setdefault(name, [])
        if time.word.casefold() not in SILENCES:
            words.append(time)
    return {name: sorted(words, key=lambda time: time.start) for name, words in table.items()}


def _make_time(path: Path, number: int, word: str, start: float, end: float, score: float) -> WordTime:
    if start < 0 or end < start:
        raise AlignmentError(f"{path}:{number}: {word!r} lasts from {start:g} to {end:g} s; mend the line")
    return WordTime(word=word, start=start, end=end, score=score)


def _parse_number(path: Path, number: int, text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AlignmentError(f"{path}:{number}: {name} {text!r} is not a number; mend the line")
    return value


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """(number, line) of the lines that are not empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AlignmentError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise AlignmentError(f"{path}: is not UTF-8; convert it") from None
    lines = text.split("\n")
    return [(i + 1, line.rstrip("\r")) for i, line in enumerate(lines) if line.strip()]


_READERS: dict[str, Callable[[Path], WordTimes]] = {
    ".ctm": read_ctm, ".tsv": read_table, ".alignment.txt": read_librispeech}
