"""Praat's TextGrid, long and short, as written by Praat, the Montreal Forced Aligner and MAUS.

    xmin = 0.13   ┐ long                0.13  ┐ short          tier "words": (0.13, 0.28, "why") …
    xmax = 0.28   ├                     0.28  ├          ─►    silences are left out
    text = "why"  ┘                    "why"  ┘

Both are one format: what stands free in the text is a number, a "string" or a <flag>, and all the
rest is comment.
"""

import dataclasses
import re
from pathlib import Path

from data_prep.alignment.word_time import AlignmentError, WordTime

SILENCES = frozenset({"", "sil", "sp", "<sil>", "<eps>", "<p:>", "<s>", "</s>", "[sil]", "(...)"})
_WORD_TIERS = ("words", "word", "ort-mau")
_TOKEN = re.compile(r'![^\n]*|"(?:[^"]|"")*"|<[^>\s]*>|[^\s"]+')


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Token:
    text: str
    line: int


class _Reader:
    """The free-standing values of a file, one after the other."""

    def __init__(self, path: Path, text: str):
        self._path = path
        self._tokens = [token for token in _tokenise(text) if _is_value(token.text)]
        self._place = 0

    def take(self, kind: str) -> str:
        if self._place == len(self._tokens):
            raise AlignmentError(
                f"{self._path}: the file ends where a {kind} should stand; fetch or export it again"
            )
        token = self._tokens[self._place]
        found = {'"': "string", "<": "flag"}.get(token.text[0], "number")
        if found != kind:
            self.fail(
                (
                    f"{token.text[:40]!r} stands where a {kind} should; export the TextGrid from "
                    "Praat again"
                ),
                back=0,
            )
        self._place += 1
        return token.text[1:-1].replace('""', '"') if kind == "string" else token.text

    def take_count(self) -> int:
        value = self.take("number")
        if not value.isdigit():
            self.fail(f"{value!r} is not a count; export the TextGrid from Praat again")
        return int(value)

    def take_seconds(self) -> float:
        return float(self.take("number"))

    def fail(self, message: str, back: int = 1) -> None:
        raise AlignmentError(f"{self._path}:{self._tokens[self._place - back].line}: {message}")


def read_text_grid(path: str | Path, tier: str | None = None) -> list[WordTime]:
    """The words of a tier: the one named, or the word tier, or the only one."""
    path = Path(path)
    reader = _Reader(path, _read_text(path))
    if reader.take("string") != "ooTextFile" or reader.take("string") != "TextGrid":
        reader.fail("is not a TextGrid; save it by Praat's Save as text file")
    reader.take_seconds(), reader.take_seconds()
    if reader.take("flag") != "<exists>":
        reader.fail("has no tiers; add one with the words")
    tiers: dict[str, list[WordTime]] = {}
    for _ in range(reader.take_count()):
        kind, name = reader.take("string"), reader.take("string")
        reader.take_seconds(), reader.take_seconds()
        if kind not in {"IntervalTier", "TextTier"}:
            reader.fail(f"a tier of class {kind!r}; only IntervalTier and TextTier exist")
        count = reader.take_count()
        if kind == "IntervalTier":
            tiers[name] = _take_intervals(reader, count)
        else:
            for _ in range(count):
                reader.take_seconds(), reader.take("string")
    return tiers[_choose_tier(path, tiers, tier)]


def _take_intervals(reader: _Reader, count: int) -> list[WordTime]:
    words: list[WordTime] = []
    last = float("-inf")
    for _ in range(count):
        start, end, text = (
            reader.take_seconds(),
            reader.take_seconds(),
            reader.take("string").strip(),
        )
        if end < start:
            reader.fail(
                f"{text!r} ends at {end:g} s, before its start at {start:g} s; fix the interval"
            )
        if start < last - 1e-6:
            reader.fail(
                f"{text!r} starts at {start:g} s, inside the one before it; fix the interval"
            )
        last = end
        if text.casefold() not in SILENCES:
            words.append(WordTime(word=text, start=start, end=end, score=1.0))
    return words


def _choose_tier(path: Path, tiers: dict[str, list[WordTime]], wanted: str | None) -> str:
    if wanted is not None:
        found = [name for name in tiers if name == wanted]
    else:
        # The Montreal aligner writes "speaker - words" where a file has several speakers.
        found = [name for name in tiers if name.casefold().split(" - ")[-1] in _WORD_TIERS]
        found = found or (list(tiers) if len(tiers) == 1 else [])
    if len(found) != 1:
        raise AlignmentError(
            f"{path}: {len(found)} tiers fit {wanted or 'words'!r}; name one of "
            f"{', '.join(map(repr, tiers)) or 'none'}"
        )
    return found[0]


def _tokenise(text: str) -> list[_Token]:
    tokens, line, place = [], 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", place, match.start())
        place = match.start()
        tokens.append(_Token(text=match.group(), line=line))
    return tokens


def _is_value(text: str) -> bool:
    if text[0] in '"<':
        return True
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _read_text(path: Path) -> str:
    """Praat writes UTF-16 with a mark as soon as a letter needs it."""
    try:
        data = path.read_bytes()
        encoding = "utf-16" if data[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8-sig"
        return data.decode(encoding)
    except OSError as error:
        raise AlignmentError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise AlignmentError(f"{path}: is neither UTF-8 nor UTF-16; save it as UTF-8") from None
