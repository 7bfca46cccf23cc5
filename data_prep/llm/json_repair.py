"""JSON objects in what a language model wrote, even where it is only nearly JSON.

    Here you are:                                             text around objects is passed over
    ```json                                                   so are fences, and what stands in <think>
    [{"question": "How fast?", "answer": "Very fast.",},      an array instead of lines; a comma too many
     {'question': 'Who\\'s there?', 'answer': 'A "man".'},    single quotes
     {“question”: “Loud?”, “answer”: “Yes, "very" loud.”},    typographic quotes, quotes within quotes
     {"question": "Where is sh                                cut off: the tail

    ─►  Found(objects=[{…}, {…}, {…}], broken=[], tail='{"question": "Where is sh')

A string ends at a quote of its own kind behind which JSON goes on (`,` `:` `}` `]` or the end).
"""

import dataclasses
import json
import re
from typing import Any

_THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
_CLOSERS = {'"': '"', "'": "'", "“": "”“", "„": "“”", "‘": "’", "«": "»", "”": "”", "`": "`"}
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_]\w*")
# the next key, where the comma before it was forgotten
_NEXT_KEY = re.compile(r"[\"'“][A-Za-z_]\w*[\"'”]\s*:")
_STRICT = json.JSONDecoder(strict=False)
# Deeper than any answer asked for; a flood of brackets is no answer.
_DEEPEST = 8
_MOST_LETTERS = 200_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """The objects in order; the pieces that could not be read; and the last one, if the text breaks
    off within it."""

    objects: list[dict[str, Any]]
    broken: list[str]
    tail: str


class _Broken(Exception):
    """The text goes on in a way that no repair knows; `is_cut` if it does not go on at all."""

    def __init__(self, *, is_cut: bool = False):
        super().__init__()
        self.is_cut = is_cut


def find_objects(text: str) -> Found:
    """Every innermost list entry or line that is an object; the wrappers around them are opened."""
    text = _THINKING.sub("", text[:_MOST_LETTERS]).replace("\ufeff", "")
    objects: list[dict[str, Any]] = []
    broken: list[str] = []
    place = 0
    while (place := text.find("{", place)) >= 0:
        try:
            value, end = _read_object(text, place)
        except _Broken as error:
            if error.is_cut and not _next_line(text, place):
                return Found(objects=objects, broken=broken, tail=text[place:])
            end = _next_line(text, place) or len(text)
            broken.append(text[place:end].strip().rstrip("`],").strip())
        else:
            objects += _open(value)
        place = end
    return Found(objects=objects, broken=broken, tail="")


def _open(value: dict[str, Any]) -> list[dict[str, Any]]:
    """{"pairs": [{…}, {…}]} is what its list holds."""
    for item in value.values():
        if isinstance(item, list) and item and all(isinstance(entry, dict) for entry in item):
            return item
    return [value]


def _next_line(text: str, place: int) -> int:
    """Where the next object begins on a line of its own, or 0: there a broken one is over."""
    match = re.compile(r"\n\s*\[?\s*(?=\{)").search(text, place)
    return match.end() if match else 0


def _read_object(text: str, place: int) -> tuple[dict[str, Any], int]:
    try:
        value, end = _STRICT.raw_decode(text, place)
    except (ValueError, RecursionError):
        value, end = _Reader(text, place).read(0)
    if not isinstance(value, dict):
        raise _Broken
    return value, end


class _Reader:
    """A lenient reader of one JSON value."""

    def __init__(self, text: str, place: int):
        self.text, self.place = text, place

    def read(self, depth: int) -> tuple[Any, int]:
        return self._value(depth), self.place

    def _peek(self) -> str:
        """The next letter that is no space."""
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1
        if self.place >= len(self.text):
            raise _Broken(is_cut=True)
        return self.text[self.place]

    def _value(self, depth: int) -> Any:
        letter = self._peek()
        if depth > _DEEPEST:
            raise _Broken
        if letter == "{":
            return self._object(depth)
        if letter == "[":
            return self._array(depth)
        if letter in _CLOSERS:
            return self._string()
        number = _NUMBER.match(self.text, self.place)
        if number:
            self.place = number.end()
            return (
                float(number.group()) if number.group(1) or number.group(2) else int(number.group())
            )
        name = _NAME.match(self.text, self.place)
        if name and name.group() in _WORDS:
            self.place = name.end()
            return _WORDS[name.group()]
        raise _Broken

    def _object(self, depth: int) -> dict[str, Any]:
        self.place += 1
        result: dict[str, Any] = {}
        while self._peek() != "}":
            if self._peek() == ",":
                self.place += 1
                continue
            name = self._key()
            if self._peek() not in ":=":
                raise _Broken
            self.place += 1
            result[name] = self._value(depth + 1)
        self.place += 1
        return result

    def _key(self) -> str:
        if self._peek() in _CLOSERS:
            return self._string()
        name = _NAME.match(self.text, self.place)
        if not name:
            raise _Broken
        self.place = name.end()
        return name.group()

    def _array(self, depth: int) -> list[Any]:
        self.place += 1
        result: list[Any] = []
        while self._peek() != "]":
            if self._peek() == ",":
                self.place += 1
                continue
            result.append(self._value(depth + 1))
        self.place += 1
        return result

    def _string(self) -> str:
        closers, letters = _CLOSERS[self.text[self.place]], []
        self.place += 1
        while self.place < len(self.text):
            letter = self.text[self.place]
            self.place += 1
            if letter == "\\" and self.place < len(self.text):
                letters.append(self._escape())
            elif letter in closers and self._is_over():
                return "".join(letters)
            else:
                letters.append(letter)
        raise _Broken(is_cut=True)

    def _escape(self) -> str:
        letter = self.text[self.place]
        self.place += 1
        if letter == "u":
            code = self.text[self.place : self.place + 4]
            if re.fullmatch(r"[0-9a-fA-F]{4}", code):
                self.place += 4
                return chr(int(code, 16))
        return _ESCAPES.get(letter, letter)

    def _is_over(self) -> bool:
        """Whether a quote that was just read ends its string."""
        rest = self.text[self.place : self.place + 40].lstrip()
        if not rest:
            return True
        if rest[0] in ":}]" or _NEXT_KEY.match(rest):
            return True
        if rest[0] != ",":
            return False
        # behind the comma: the next key or entry, or the end; else the comma belongs to the
        # sentence
        after = rest[1:].lstrip()
        return (
            not after
            or after[0] in _CLOSERS
            or after[0] in "{}["
            or bool(re.match(r"[A-Za-z_]\w*\s*:", after))
        )
