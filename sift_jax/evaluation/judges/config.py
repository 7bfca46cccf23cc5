"""Which judge, where it is, and how patiently it is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sift_jax.endpoints.secret import Secret, check_address, read_secret
from sift_jax.evaluation.items import EvaluationError

OFFLINE, ENDPOINT = "offline", "endpoint"
_LEAST = {"concurrency": 1, "seconds": 0.01, "patience": 0, "tries": 1, "max_tokens": 16, "longest_text": 100,
          "planted": 0}  # fmt: skip


class JudgeError(EvaluationError):
    """The judge is of no use to any question; one line with the remedy. Verdicts so far are kept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """The judge of a run. Where `name` is "offline" only `planted` and `planted_threshold` matter."""

    name: str
    # of an OpenAI-compatible server, such as http://localhost:8000/v1
    url: str
    model: str
    # the environment variable with the server's key; unset where there is none
    key_variable: str
    concurrency: int
    # for one reply
    seconds: float
    # how long a server that is down, busy or slow is waited for
    patience: float
    # how often a question is put to a judge whose replies hold no verdict
    tries: int
    max_tokens: int
    # letters of an answer, a reference or a question; what is longer is cut, and said to be
    longest_text: int
    # templates of some models know no system message: then it begins the user's
    use_system_role: bool
    # laid over each request body, for servers with ways of their own; None takes a parameter out
    extra: Mapping[str, Any]
    # how many answers known to be right or wrong the judge is tried with, and the share it must get right
    planted: int
    planted_threshold: float

    def __post_init__(self) -> None:
        if self.name not in (OFFLINE, ENDPOINT):
            raise JudgeError(f"no judge is called {self.name!r}; give {OFFLINE} or {ENDPOINT}")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise JudgeError(f"judge: {name}={getattr(self, name)} is too small; give at least {least}")
        if not 0 < self.planted_threshold <= 1:
            raise JudgeError(f"judge: planted_threshold={self.planted_threshold} is no share; give one such as 0.9")
        if self.name == ENDPOINT:
            self._check_endpoint()

    def _check_endpoint(self) -> None:
        try:
            check_address(self.url, self.key_variable)
        except ValueError as error:
            raise JudgeError(f"judge: {error}") from None
        if not self.model:
            raise JudgeError("the judge has no model; give the name under which its server knows it")


def read_key(variable: str) -> Secret:
    """The judge's key in an environment variable; empty where there is none."""
    try:
        return read_secret(variable)
    except ValueError as error:
        raise JudgeError(str(error)) from None
