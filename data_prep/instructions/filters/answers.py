"""Whether a pair is the one that was asked for: its answer states the labels that it was to be
about.

    keys ("speaking_rate",), truth "very slowly"                    "It is spoken very slowly."     nothing missed
                                 "How very slowly is it spoken?"    "It is spoken very slowly."     given away: missed
    … other "quite fast", verdict No  "Does she talk quite fast?"   "No, very slowly."              nothing missed
                                      "What is said here?"          "The voice is pleasant."        missed

A pair may name more than it was asked for; whether that is true is for the rules to say.
"""

from data_prep.instructions.filters import bad_phrases
from data_prep.instructions.filters.candidate import Candidate, group_labels
from sift_jax.sift.labels import name_label, read_first_word, simplify

# "slow" and "slowly" are one, and so are "loud" and "loudly".
_STEM = 4
_LONG_STEM = 5


def misses_wish(
    candidate: Candidate, *, keys: tuple[str, ...], other: str, verdict: bool | None
) -> bool:
    """Whether a pair leaves out what it was asked for; where no label was, it cannot."""
    if not keys:
        return False
    asked = group_labels(candidate.question, candidate)
    if candidate.answer is None:
        return any(candidate.truths[0].get(key) not in asked.get(key, set()) for key in keys)
    if verdict is not None:
        named = other or candidate.truths[0][keys[0]]
        is_other = read_first_word(candidate.answer, candidate.language) is not verdict
        return is_other or not _names(candidate, keys[0], named, asked)
    if other and not _names(candidate, keys[0], other, asked):
        return True
    if len(candidate.truths) == 1:
        truth = candidate.truths[0]
        gives_away = not other and any(truth[key] in asked.get(key, set()) for key in keys)
        if gives_away or any(not _is_about(candidate, key) for key in keys):
            return True
    said = group_labels(candidate.answer, candidate)
    return any(
        truth.get(key) not in said.get(key, set()) for truth in candidate.truths for key in keys
    )


def _names(candidate: Candidate, key: str, label: str, asked: dict[str, set[str]]) -> bool:
    """Whether the question has a label's words, inflected or not: "loud" and "very slow" too."""
    if label in asked.get(key, set()):
        return True
    stems = {word[:_STEM] for word in simplify(candidate.question).split()}
    return {
        word[:_STEM] for word in simplify(name_label(key, label, candidate.language)).split()
    } <= stems


def _is_about(candidate: Candidate, key: str) -> bool:
    """Whether the question has a word for what it was to ask about."""
    stems = bad_phrases.TOPICS[candidate.language][key].split()
    words = simplify(candidate.question).split()
    # "Sprechtempo" has its stem at the end; short ones are in many words
    return any(
        word.startswith(stem) or (len(stem) >= _LONG_STEM and stem in word)
        for stem in stems
        for word in words
    )
