"""How a text is said: numbers, units, currencies, signs and addresses in words; sentences one by
one.

    "It cost $1.5 million (≈ 3 %) in 1984; see www.example.org."  ─ say_text ─►
        "It cost one point five million dollars (about three percent) in nineteen eighty-four; see
        example dot org."
    ─ split_sentences ─►  pieces of at most so many letters, cut where one breathes

What is said is never shown: questions and answers keep the text as it was written.
"""

import functools
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_prep.synthesis.passages.number_words import (
    say_decimal,
    say_digits,
    say_integer,
    say_ordinal,
    say_year,
    shorten,
)

_TABLES = Path(__file__).parent / "spoken.json"
# A number with more digits, and none between its thousands, is somebody's telephone or a code.
_LONGEST_NUMBER = 6
_GROUPED = {
    ".": r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?![.,]?\d)",
    ",": r"\d{1,3}(?:[. \u00a0\u202f]\d{3})+(?:,\d+)?|\d+(?:,\d+)?(?![.,]?\d)",
}
_MONTHS = (
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
)
_ORDINALS = {
    "en": r"(\d+)(?:st|nd|rd|th)\b",
    "de": rf"(\d{{1,2}})\.(?=\s?(?:{'|'.join(_MONTHS)}))",
    "fr": r"(\d+)(?:ers?|res?|nde?s?|i?èmes?|es?)\b",
    "it": r"(\d+)[ºª°](?!\s?[CF]\b)",
    "es": r"(\d+)\.?[ºª°](?!\s?[CF]\b)",
}
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s<>\"')\]]+", re.IGNORECASE)
_VERSION = re.compile(r"\d+(?:\.\d+){2,}")
_CODE = re.compile(r"\b\d+(?:-\d+){2,}\b")
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?:\s?([ap])\.?m\b\.?)?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[¿¡]*[^\W_a-zß-öø-ÿ])")
_INITIAL = re.compile(r"(?:^|[\s(.])[^\W\d_]\.$")
_BREATHS = (re.compile(r"(?<=[;:—–])\s+"), re.compile(r"(?<=,)\s+"), re.compile(r"\s+"))


def say_text(text: str, language: str) -> str:
    """The text in words and the marks that order them."""
    return _get_speaker(language).say(text)


def split_sentences(text: str, longest: int) -> list[str]:
    """Sentences; what is longer than so many letters is cut again, at the strongest break that
    there is."""
    sentences, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if not _INITIAL.search(text[max(start, end.start() - 2) : end.start() + 1]):
            sentences.append(text[start : end.end()].strip())
            start = end.end()
    sentences.append(text[start:].strip())
    return [
        piece
        for sentence in sentences
        for piece in _cut(sentence, longest)
        if any(map(str.isalnum, piece))
    ]


def _cut(sentence: str, longest: int, depth: int = 0) -> list[str]:
    if len(sentence) <= longest:
        return [sentence]
    if depth == len(_BREATHS):
        return [sentence[place : place + longest] for place in range(0, len(sentence), longest)]
    pieces: list[str] = []
    for part in _BREATHS[depth].split(sentence):
        if pieces and len(pieces[-1]) + 1 + len(part) <= longest:
            pieces[-1] += " " + part
        else:
            pieces.append(part)
    return [piece for part in pieces for piece in _cut(part, longest, depth + 1)]


@functools.cache
def _get_speaker(language: str) -> "_Speaker":
    return _Speaker(language, json.loads(_TABLES.read_text(encoding="utf-8"))[language])


class _Speaker:
    """The rules of a language, one after another; what one has put into words holds nothing for the
    next."""

    def __init__(self, language: str, table: dict[str, Any]):
        self.language, self.table = language, table
        number = rf"(?:{_GROUPED[table['decimal']]})"
        units, signs = _join(table["units"]), _join(table["currencies"])
        scales, word = _join(table["scales"]), r"(?<![\w.,])"
        self.minus = re.compile(rf"(?<![\w)\]])\s?[-−](?={number})")
        rules: list[tuple[str, Callable[[re.Match], str]]] = [
            (
                rf"(?<!\w)(?:{_join(table['abbreviations'])})(?!\w)",
                lambda m: table["abbreviations"][m.group()],
            ),
            (rf"({signs})\s?({number})(?:[\s-]?({scales}|[kKmMbB]n?)\b)?", self._say_money),
            (rf"{word}({number})\s?({scales})?\s?({signs})", self._say_money_behind),
            (
                _ORDINALS[language],
                lambda m: (
                    say_ordinal(int(m.group(1)), language)
                    if len(m.group(1)) < 7
                    else say_digits(m.group(1), language)
                ),
            ),
            (
                rf"{word}({number})\s?[-–—]\s?(?={number})(?!\d{{3}}-)",
                lambda m: f"{self._say_number(m.group(1), is_year=True)} {table['range']} ",
            ),
            (rf"(?<![\w.])({number})[\s\u00a0-]?({units})(?![\w/²])", self._say_unit),
            (r"(?<![\w./])(\d{1,2})/(\d{1,2})(?![\w/])", self._say_fraction),
            (
                rf"(?<![\w.])({number})(?![^\W\d_])",
                lambda m: self._say_number(m.group(1), is_year=True),
            ),
            (r"(?<![\w.])\.(\d+)", lambda m: say_decimal("0", m.group(1), language)),
            (r"\d+", lambda m: f" {self._say_number(m.group(), is_year=False)} "),
        ]
        if language == "en":
            rules.insert(4, (r"(?<!\w)(?:([12]\d)|')(\d)0s\b", self._say_decade))
        self.rules = [(re.compile(pattern), say) for pattern, say in rules]

    def say(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text).replace("’", "'")
        text = _EMAIL.sub(self._say_address, text)
        text = _ADDRESS.sub(self._say_address, text)
        text = _CLOCK.sub(self._say_clock, text)
        text = _VERSION.sub(self._say_version, text)
        text = _CODE.sub(
            lambda match: ", ".join(
                say_digits(part, self.language) for part in match.group().split("-")
            ),
            text,
        )
        text = self.minus.sub(f" {self.table['minus']} ", text)
        for pattern, say in self.rules:
            text = pattern.sub(say, text)
        symbols = self.table["symbols"]
        text = "".join(
            f" {symbols[letter]} " if letter in symbols else letter if _is_said(letter) else " "
            for letter in text
        )
        text = re.sub(r"\s+([.,;:!?…)])", r"\1", " ".join(text.split()))
        return re.sub(r"([(¿¡])\s+", r"\1", text)

    def _say_number(self, text: str, *, is_year: bool) -> str:
        decimal = self.table["decimal"]
        whole, _, fraction = text.partition(decimal)
        plain = re.sub(r"\D", "", whole)
        if fraction:
            return say_decimal(plain, fraction, self.language)
        if plain == whole and (
            len(plain) > _LONGEST_NUMBER or (len(plain) > 1 and plain.startswith("0"))
        ):
            return say_digits(plain, self.language)
        if is_year and plain == whole and len(plain) == 4 and 1100 <= int(plain) < 2100:
            return say_year(int(plain), self.language)
        return say_integer(int(plain), self.language)

    def _say_unit(self, match: re.Match) -> str:
        number = self._say_count(match.group(1))
        one, many = self.table["units"][match.group(2)]
        return f"{number} {one if match.group(1) == '1' else many}"

    def _say_money(self, match: re.Match) -> str:
        sign, number, scale = match.group(1), match.group(2), match.group(3)
        return self._name_money(
            sign,
            number,
            {"k": "K", "m": "M", "b": "B"}.get((scale or "")[:1].lower())
            if scale and len(scale) < 3
            else scale,
        )

    def _say_money_behind(self, match: re.Match) -> str:
        return self._name_money(match.group(3), match.group(1), match.group(2))

    def _name_money(self, sign: str, number: str, scale: str | None) -> str:
        one, many, cent, cents = self.table["currencies"][sign]
        whole, _, fraction = number.partition(self.table["decimal"])
        if scale:
            long = {
                "K": self.table["scales"][0 if self.language in ("fr", "es") else 1],
                "M": "million",
                "B": "billion",
            }.get(scale, scale)
            return f"{self._say_count(number)} {long} {many}"
        if len(fraction) != 2 or not cent:
            return f"{self._say_count(number)} {one if number == '1' else many}"
        said, rest = f"{self._say_count(whole)} {one if whole == '1' else many}", int(fraction)
        said_rest = shorten(say_integer(rest, self.language), self.language)
        return said if not rest else f"{said} {said_rest} {cent if rest == 1 else cents}"

    def _say_count(self, text: str) -> str:
        return shorten(self._say_number(text, is_year=False), self.language)

    def _say_fraction(self, match: re.Match) -> str:
        above, below = int(match.group(1)), int(match.group(2))
        if self.language != "en" or not 0 < above < below:
            return (
                f"{say_integer(above, self.language)} {self.table['slash']} "
                f"{say_integer(below, self.language)}"
            )
        name = {2: "half", 4: "quarter"}.get(below) or say_ordinal(below, "en")
        plural = "halves" if below == 2 else f"{name}s"
        return f"{say_integer(above, 'en')} {name if above == 1 else plural}"

    def _say_decade(self, match: re.Match) -> str:
        tens = say_integer(10 * int(match.group(2)), "en")
        name = {"zero": "hundreds", "ten": "tens"}.get(tens) or tens[:-1] + "ies"
        return f"{say_integer(int(match.group(1)), 'en')} {name}" if match.group(1) else name

    def _say_clock(self, match: re.Match) -> str:
        hours, minutes, half = int(match.group(1)), int(match.group(2)), match.group(3)
        said = say_integer(hours, self.language)
        if self.language == "de":
            said += " Uhr"
        if minutes:
            oh = " oh" if self.language == "en" and minutes < 10 else ""
            said += f"{oh} {say_integer(minutes, self.language)}"
        elif not half and self.table["oclock"] and self.language != "de":
            said += f" {self.table['oclock']}"
        return said + (f" {half.upper()} M" if half else "")

    def _say_version(self, match: re.Match) -> str:
        return f" {self.table['point']} ".join(
            say_integer(int(part), self.language)
            if len(part) < 16
            else say_digits(part, self.language)
            for part in match.group().split(".")
        )

    def _say_address(self, match: re.Match) -> str:
        """An address as one tells it; of a long path the place alone."""
        text = re.sub(r"^(?:https?://)?(?:www\.)?", "", match.group(), flags=re.IGNORECASE)
        end = text[len(text.rstrip(".,;:!?")) :]
        text = text[: len(text) - len(end)]
        if "@" not in text:
            place, _, path = text.partition("/")
            text = place if len(path) > 20 or re.search(r"[?=&%#]", path) else text.rstrip("/")
        names = {".": "point", "@": "at", "/": "slash", "-": "dash", "_": "dash"}
        return (
            "".join(
                f" {self.table[names[letter]]} " if letter in names else letter for letter in text
            ).strip()
            + end
        )


def _is_said(letter: str) -> bool:
    """Letters, and marks that order them; no drawing, no face, no dingbat."""
    return (
        letter.isalpha()
        or letter.isspace()
        or letter in ".,;:!?…'\"“”‘„«»()¿¡-–—"
        or unicodedata.category(letter) == "Mn"
    )


def _join(names: Any) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
