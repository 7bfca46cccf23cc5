"""Which judge, where it is, and how patiently it is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from sift_jax.endpoints.secret import Secret, check_address, read_secret
from sift_jax.evaluation.scores.schema import EvaluationError
from sift_jax.field_ranges import (
    CheckedConfig,
    Count,
    MayBeEmpty,
    NotNegative,
    OneOf,
    Range,
    Text,
    Value,
    Whole,
)

OFFLINE, ENDPOINT = "offline", "endpoint"


class JudgeError(EvaluationError):
    """The judge is of no use to any question; one line with the remedy. Verdicts so far are
    kept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeConfig(CheckedConfig):
    """The judge of a run. Where `name` is "offline" only `planted` and `planted_threshold`
    matter."""

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
    # merged into each request body, for servers that differ; None removes a parameter
    extra: Mapping[Text, Value]
    # how many answers known to be right or wrong the judge is tried with, and the share it must get
    # right
    planted: Whole
    planted_threshold: Annotated[float, Range(above=0, most=1)]

    def __post_init__(self) -> None:
        if self.name == ENDPOINT:
            # first, since what is refused below is printed
            self._check_endpoint()
        super().__post_init__()

    def _check_endpoint(self) -> None:
        try:
            check_address(self.url, self.key_variable)
        except ValueError as error:
            raise JudgeError(f"judge: {error}") from None
        if not self.model:
            raise JudgeError(
                "the judge has no model; give the name under which its server knows it"
            )


def read_key(variable: str) -> Secret:
    """The judge's key in an environment variable; empty where there is none."""
    try:
        return read_secret(variable)
    except ValueError as error:
        raise JudgeError(str(error)) from None
