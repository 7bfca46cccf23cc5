"""Which answers of a decoder are kept: those that end, are said in the right language, and do not
speak of the text that they were read from.

    "She speaks quickly."            ─► None
    "According to the list, …"       ─► "mentions metadata"
    "It is it is it is it is …"      ─► "repeats itself"
"""

from collections import Counter

from data_prep.instructions.filters.candidate import Candidate
from data_prep.instructions.filters.rules import (
    contradicts_metadata,
    is_empty,
    is_in_wrong_language,
    is_refusal,
    is_too_long,
    mentions_metadata,
)

CUT_OFF = "cut off"
# So many words in a row that come so often are a loop.
_RUN, _TIMES = 4, 3
_RULES = {
    "empty": is_empty,
    "too long": is_too_long,
    "refusal": is_refusal,
    "mentions metadata": mentions_metadata,
    "wrong language": is_in_wrong_language,
    "contradicts metadata": contradicts_metadata,
}


def find_answer_fault(candidate: Candidate, *, is_whole: bool) -> str | None:
    """The first rule that an answer breaks; one that met the limit of its tokens is not whole."""
    if not is_whole:
        return CUT_OFF
    if repeats_itself(candidate.answer or ""):
        return "repeats itself"
    return next((fault for fault, has_fault in _RULES.items() if has_fault(candidate)), None)


def repeats_itself(text: str) -> bool:
    """Whether a few words in a row come again and again."""
    words = text.lower().split()
    runs = Counter(tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1))
    return max(runs.values(), default=0) >= _TIMES
