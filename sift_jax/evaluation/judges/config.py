"""Which judge, where it is, and how patiently it is asked."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Mapping
from typing import Annotated

from sift_jax.evaluation.items import EvaluationError
from sift_jax.ranges import CheckedConfig, Count, MayBeEmpty, NotNegative, OneOf, Range, Text, Value, Whole

OFFLINE, ENDPOINT = "offline", "endpoint"
_SECRET = re.compile(r"key|token|secret|password|^sig", re.IGNORECASE)


class JudgeError(EvaluationError):
    """The judge is of no use to any question; one line with the remedy. Verdicts so far are kept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeConfig(CheckedConfig):
    """The judge of a run. Where `name` is "offline" only `planted` and `planted_threshold` matter."""

    name: Annotated[str, OneOf(OFFLINE, ENDPOINT)]
    # of an OpenAI-compatible server, such as http://localhost:8000/v1
    url: MayBeEmpty
    model: MayBeEmpty
    # the environment variable with the server's key; unset where there is none
    key_variable: MayBeEmpty
    concurrency: Count
    # for one reply
    seconds: Annotated[float, Range(least=0.01)]
    # how long a server that is down, busy or slow is waited for
    patience: NotNegative
    # how often a question is put to a judge whose replies hold no verdict
    tries: Count
    max_tokens: Annotated[int, Range(least=16)]
    # letters of an answer, a reference or a question; what is longer is cut, and said to be
    longest_text: Annotated[int, Range(least=100)]
    # templates of some models know no system message: then it begins the user's
    use_system_role: bool
    # laid over each request body, for servers with ways of their own; None takes a parameter out
    extra: Mapping[Text, Value]
    # how many answers known to be right or wrong the judge is tried with, and the share it must get right
    planted: Whole
    planted_threshold: Annotated[float, Range(above=0, most=1)]

    def __post_init__(self) -> None:
        if self.name == ENDPOINT:
            # first, since what is refused below is printed
            self._check_endpoint()
        super().__post_init__()

    def _check_endpoint(self) -> None:
        if "@" in self.url:
            raise JudgeError(f"the judge's address holds a user or a password; put the key into ${self.key_variable}")
        parts = urllib.parse.urlsplit(self.url)
        # the address goes into config.gin, and so would the key
        if secret := next((name for name, _ in urllib.parse.parse_qsl(parts.query) if _SECRET.search(name)), ""):
            raise JudgeError(f"the judge's address holds {secret}=…; put the key into ${self.key_variable}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise JudgeError("the judge's address is no http address; give one such as http://localhost:8000/v1")
        if not self.model:
            raise JudgeError("the judge has no model; give the name under which its server knows it")


class Key:
    """A server's key, which only the wire may see: it prints as a mask, and is not pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str):
        self._value = value

    def __repr__(self) -> str:
        return "Key(***)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple:
        raise TypeError("a key is not pickled; read it from the environment where it is needed")

    def reveal(self) -> str:
        return self._value

    def scrub(self, text: str) -> str:
        """The text without the key; short stand-ins for a key ("EMPTY") are words like others."""
        if len(self._value) < 6:
            return text
        for form in {self._value, urllib.parse.quote(self._value, safe="")}:
            text = text.replace(form, "***")
        return text


def read_key(variable: str) -> Key:
    """The key in an environment variable; empty where there is none."""
    value = os.environ.get(variable, "").strip()
    if any(not 33 <= ord(letter) <= 126 for letter in value):
        raise JudgeError(f"${variable} holds a space, a line break or a letter beyond ASCII; set it to the key alone")
    return Key(value)
