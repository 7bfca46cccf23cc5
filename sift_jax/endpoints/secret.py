"""The key of a server, which only the wire may see.

    $SIFT_LLM_KEY ─ read_secret ─►  Secret(***)  ─ reveal ─►  Authorization header
                                        └─ scrub ─►  any other text, with *** where the key, or a piece of it, stood

A text is scrubbed whole before it is cut: a key that lies across the cut would no longer be known.
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse

MASK = "***"
# Servers without keys are given short words ("EMPTY"), which must not be cut out of texts.
_LEAST_LETTERS = 6
# A server may show the first or last letters of a key: so many in a row are masked, too.
_PIECE = 8
_NAMES_A_KEY = re.compile(r"key|token|secret|password|^sig", re.IGNORECASE)


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
        """The text without the key and without any eight letters of it, also as a URL or a JSON string has them."""
        if len(self._value) < _LEAST_LETTERS:
            return text
        forms = self._list_forms()
        for form in forms:
            text = text.replace(form, MASK)
        # only now: the pieces of one form stand in the others too
        for form in forms:
            text = _mask_pieces(text, form)
        return text

    def _list_forms(self) -> list[str]:
        value = self._value
        # JSON may write any letter by its number, as servers do with "+", "/", "<" and the like
        escaped = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in value)
        forms = {value, urllib.parse.quote(value, safe=""), json.dumps(value)[1:-1], escaped, value.replace("/", "\\/")}
        return sorted(forms, key=len, reverse=True)


def _mask_pieces(text: str, secret: str) -> str:
    """Runs of eight letters and more that the text has in common with the secret become the mask."""
    pieces = {secret[i : i + _PIECE] for i in range(len(secret) - _PIECE + 1)}
    # most texts have none, which is told without looking at each of their places
    if not any(piece in text for piece in pieces):
        return text
    is_secret = bytearray(len(text))
    for i in range(len(text) - _PIECE + 1):
        if text[i : i + _PIECE] in pieces:
            is_secret[i : i + _PIECE] = b"\1" * _PIECE
    kept, was_secret = [], False
    for letter, hidden in zip(text, is_secret, strict=True):
        if not hidden:
            kept.append(letter)
        elif not was_secret:
            kept.append(MASK)
        was_secret = bool(hidden)
    return "".join(kept)


def read_secret(variable: str) -> Secret:
    """The key in an environment variable; empty where there is none."""
    value = os.environ.get(variable, "").strip()
    if any(not 33 <= ord(letter) <= 126 for letter in value):
        raise ValueError(f"${variable} holds a space, a line break or a letter beyond ASCII; set it to the key alone")
    return Secret(value)


def check_address(url: str, key_variable: str) -> None:
    """An address of HTTP that holds no key: it is written into configs, reports and errors."""
    # before parsing: a key with a slash would move the border of the host
    if "@" in url:
        raise ValueError(f"the server's address holds a user or a password; put the key into ${key_variable}")
    parts = urllib.parse.urlsplit(url)
    names = [name for part in (parts.query, parts.fragment) for name, _ in urllib.parse.parse_qsl(part)]
    if secret := next((name for name in names if _NAMES_A_KEY.search(name)), ""):
        raise ValueError(f"the server's address holds {secret}=…; put the key into ${key_variable}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the server has no http address; give one such as http://localhost:8000/v1")
