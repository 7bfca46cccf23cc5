"""What a recogniser gives, whichever it is: the words that it understood, and how sure it is of
them."""

import dataclasses
import math
from collections.abc import Sequence


class RecogniserError(ValueError):
    """A recogniser that cannot work; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What was understood. `confidence` is in 0 … 1, by the recogniser's own measure: it compares
    within one alone."""

    text: str
    confidence: float | None
    language: str | None = None
    no_speech: float | None = None


def average_logs(logs: Sequence[float | None]) -> float | None:
    """The confidence of segments by their mean log probabilities, where they are known."""
    known = [min(0.0, value) for value in logs if value is not None]
    return round(math.exp(sum(known) / len(known)), 4) if known else None
