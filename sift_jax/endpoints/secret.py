"""The key of a server, which only the wire may see.

    $SIFT_LLM_KEY ─ read_secret ─►  Secret(***)  ─ reveal ─►  Authorization header
                                        └─ scrub ─►  any other text, with *** where the key, or a piece of it, stood

A text is scrubbed whole before it is cut: a key that lies across the cut would no longer be known.
"""

from __future__ import annotations

import array
import os
import re
import urllib.parse

MASK = "***"
# Servers without keys are given short words ("EMPTY"), which must not be cut out of texts.
_LEAST_LETTERS = 6
# A server may show the first or last letters of a key: so many in a row are masked, too.
_PIECE = 8
_NAMES_A_KEY = re.compile(r"key|token|secret|password|^sig", re.IGNORECASE)
# A letter as it is, or as JSON (\u002d, \/), an address (%2d) or HTML (&#x2d;, &#45;) may have it;
# JSON within JSON doubles its strokes.
_LETTER = re.compile(
    r"\\+u00([0-9a-f]{2})|%([0-9a-f]{2})|&#x0*([0-9a-f]{2});|&#0*(\d{2,3});|\\+([\"/])|(.)",
    re.IGNORECASE | re.DOTALL,
)
_HEX, _DECIMAL = (1, 2, 3), 4


class Secret:
    """Prints, formats and compares as a mask; it can be neither pickled nor copied."""

    __slots__ = ("_value",)

    def __init__(self, value: str):
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple:
        raise TypeError("a secret is not pickled; read it from the environment where it is needed")

    def reveal(self) -> str:
        return self._value

    def scrub(self, text: str) -> str:
        """The text without the key and without any eight letters of it, however a server may have
        escaped them."""
        value = self._value
        if len(value) < _LEAST_LETTERS:
            return text
        size = min(_PIECE, len(value))
        pieces = {value[i : i + size] for i in range(len(value) - size + 1)}
        if any(mark in text for mark in "\\%&"):
            text = _mask(text, *_unescape(text), pieces)
        # a key may itself hold what looks like an escape
        return _mask(text, text, range(len(text) + 1), pieces)


def _unescape(text: str) -> tuple[str, array.array[int]]:
    """The letters that a text stands for, and where in it each begins; then where it ends.

    "a\\u002db" ─► "a-b", [0, 1, 7, 8]
    """
    letters, starts = [], array.array("q")
    for found in _LETTER.finditer(text):
        kind = found.lastindex
        assert kind is not None
        said = found[kind]
        letters.append(
            chr(int(said, 16)) if kind in _HEX else chr(int(said)) if kind == _DECIMAL else said
        )
        starts.append(found.start())
    starts.append(len(text))
    return "".join(letters), starts


def _mask(text: str, letters: str, starts: array.array[int] | range, pieces: set[str]) -> str:
    """The text with one mask for each run of letters in which every letter is part of a piece."""
    # most texts have none, which is told without looking at each of their places
    if not any(piece in letters for piece in pieces):
        return text
    size = len(next(iter(pieces)))
    is_secret = bytearray(len(letters))
    for i in range(len(letters) - size + 1):
        if letters[i : i + size] in pieces:
            is_secret[i : i + size] = b"\1" * size
    kept, was_secret = [], False
    for i, hidden in enumerate(is_secret):
        if not hidden:
            kept.append(text[starts[i] : starts[i + 1]])
        elif not was_secret:
            kept.append(MASK)
        was_secret = bool(hidden)
    return "".join(kept)


def read_secret(variable: str) -> Secret:
    """The key in an environment variable; empty where there is none."""
    value = os.environ.get(variable, "").strip()
    if any(not 33 <= ord(letter) <= 126 for letter in value):
        raise ValueError(
            f"${variable} holds a space, a line break or a letter beyond ASCII; set it to the "
            "key alone"
        )
    return Secret(value)


def check_address(url: str, key_variable: str) -> None:
    """An address of HTTP that holds no key: it is written into configs, reports and errors."""
    # before parsing: a key with a slash would move the border of the host
    if "@" in url:
        raise ValueError(
            f"the server's address holds a user or a password; put the key into ${key_variable}"
        )
    parts = urllib.parse.urlsplit(url)
    names = [
        name for part in (parts.query, parts.fragment) for name, _ in urllib.parse.parse_qsl(part)
    ]
    if secret := next((name for name in names if _NAMES_A_KEY.search(name)), ""):
        raise ValueError(f"the server's address holds {secret}=…; put the key into ${key_variable}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "the server has no http address; give one such as http://localhost:8000/v1"
        )
