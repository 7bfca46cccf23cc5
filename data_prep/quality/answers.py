"""Whether a pair is the one that was asked for: its answer states the labels that it was to be about.

    keys ("speaking_rate",), truth "very slowly"                    "It is spoken very slowly."     nothing missed
    … other "quite fast", verdict No  "Does she talk quite fast?"   "No, very slowly."              nothing missed
                                      "What is said here?"          "The voice is pleasant."        missed

A pair may name more than it was asked for; whether that is true is for the rules to say.
"""

from data_prep.quality.candidate import Candidate, group_labels
from sift_jax.data.labels import read_first_word


def misses_wish(candidate: Candidate, *, keys: tuple[str, ...], other: str, verdict: bool | None) -> bool:
    """Whether a pair leaves out what it was asked for; where no label was, it cannot."""
    if not keys:
        return False
    asked = group_labels(candidate.question, candidate)
    if candidate.answer is None:
        return any(candidate.truths[0].get(key) not in asked.get(key, set()) for key in keys)
    if verdict is not None:
        named = other or candidate.truths[0].get(keys[0])
        is_other = read_first_word(candidate.answer, candidate.language) is not verdict
        return is_other or named not in asked.get(keys[0], set())
    said = group_labels(candidate.answer, candidate)
    return any(truth.get(key) not in said.get(key, set()) for truth in candidate.truths for key in keys)
