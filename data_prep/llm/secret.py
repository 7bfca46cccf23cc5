"""The key of an endpoint, which only the wire may see.

    $SIFT_LLM_KEY ─ read_secret ─►  Secret(***)  ─ reveal ─►  Authorization header
                                        └─ scrub ─►  any other text, with *** where the key stood
"""

import os
import urllib.parse

MASK = "***"
# Servers without keys are given short words ("EMPTY"), which must not be cut out of texts.
_LEAST_LETTERS = 6


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
        """The text without the key, plain or as a URL has it."""
        if len(self._value) < _LEAST_LETTERS:
            return text
        for form in {self._value, urllib.parse.quote(self._value, safe="")}:
            text = text.replace(form, MASK)
        return text


def read_secret(variable: str) -> Secret:
    """The key in an environment variable; empty where there is none."""
    value = os.environ.get(variable, "").strip()
    if any(not 33 <= ord(letter) <= 126 for letter in value):
        raise ValueError(f"${variable} holds a space, a line break or a letter beyond ASCII; set it to the key alone")
    return Secret(value)
