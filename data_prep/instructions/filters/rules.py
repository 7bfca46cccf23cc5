"""What an instruction must not be, told without a model.

    Candidate ─ find_fault ─►  None, or "empty" · "too long" · "refusal" · "mentions metadata" · "mentions transcript"
                                     · "numeric time" · "no time" · "wrong language" · "contradicts metadata"
                                     and those of form: "no question" · "asks back" · "not filled in" · …
    and over the candidates of one call: "duplicate"

A rule that errs costs a good pair; a fault that passes teaches a lie. So where a text can be read
in two ways it is dropped, but only for what it says itself: quotations are what the clip says.
"""

import functools
import re
from collections.abc import Callable, Mapping

from data_prep.instructions.filters import bad_phrases
from data_prep.instructions.filters.candidate import Candidate, group_labels
from data_prep.instructions.filters.forms import (
    asks_back,
    guesses_mood,
    has_wrong_gender,
    is_no_question,
    is_not_filled_in,
    mixes_up_recordings,
    quotes_unsaid,
)
from data_prep.instructions.filters.language_id import is_in_language, list_frequent_words
from sift_jax.sift.labels import (
    LABELS,
    normalise,
    read_first_word,
    remove_labels,
    remove_quotations,
    simplify,
)

LONGEST_QUESTION, LONGEST_ANSWER = 600, 1500
# of people in what is said as well as of the speaker
_STORY_KEYS = ("gender", "age_category")
# Words are compared by so many first letters: "walks" and "walked" are one.
_STEM = 4
# An open answer describes in its own words, and may miss its class by the next one.
_LEAST_STEPS = {"open_ended": 2}
# So many of the transcript's words in a row are a quotation.
_QUOTED_WORDS = 4


def find_fault(candidate: Candidate) -> str | None:
    """The first rule that a candidate breaks."""
    for fault, has_fault in _RULES.items():
        if has_fault(candidate):
            return fault
    return None


def make_duplicate_key(candidate: Candidate) -> str:
    """Two questions about one clip that differ in case, spaces and punctuation only are one."""
    return simplify(candidate.question)


def is_empty(candidate: Candidate) -> bool:
    return any(not simplify(text) for text in candidate.texts)


def is_too_long(candidate: Candidate) -> bool:
    return (
        len(candidate.question) > LONGEST_QUESTION or len(candidate.answer or "") > LONGEST_ANSWER
    )


def is_refusal(candidate: Candidate) -> bool:
    return bool(_find_all(bad_phrases.REFUSAL, candidate))


def mentions_metadata(candidate: Candidate) -> bool:
    return bool(_find_all(bad_phrases.METADATA, candidate))


def mentions_transcript(candidate: Candidate) -> bool:
    """An instruction to speak that names the text or holds a piece of it."""
    if candidate.answer is not None:
        return False
    words = simplify(candidate.question).split()
    spoken = simplify(candidate.transcripts[0]).split()
    length = min(_QUOTED_WORDS, len(spoken))
    runs = (
        {tuple(spoken[i : i + length]) for i in range(len(spoken) - length + 1)}
        if length > 1
        else set()
    )
    has_run = any(tuple(words[i : i + length]) in runs for i in range(len(words)))
    return has_run or bool(_find_all(bad_phrases.TRANSCRIPT, candidate))


def has_times(candidate: Candidate) -> bool:
    """Seconds or minutes in numbers, unless the clip itself speaks of them."""
    if candidate.set_name in ("numeric_time", "unrelated"):
        return False
    spoken = normalise(" ".join(candidate.transcripts))
    return any(time not in spoken for time in _find_all(bad_phrases.TIMES, candidate))


def lacks_times(candidate: Candidate) -> bool:
    """Where times are asked for, each pair must hold a number."""
    return candidate.set_name == "numeric_time" and not any(
        re.search(r"\d", text) for text in candidate.texts
    )


def is_in_wrong_language(candidate: Candidate) -> bool:
    # a label's words are of the language in which they were found: "No, moderate volume." has no
    # others
    texts = [remove_labels(text, candidate.language) for text in candidate.texts]
    return not all(is_in_language(text, candidate.language) for text in (*texts, " ".join(texts)))


def contradicts_metadata(candidate: Candidate) -> bool:
    """Whether labels that the texts name are false.

    "very slowly" of a fast voice; "Yes" to a false label, or "No" to the true one. After "No" the
    label that was asked for is denied, so it may be named; and who names the truth may name another
    label beside it.
    """
    if candidate.answer is None:
        named = group_labels(candidate.question, candidate)
        truth = candidate.truths[0]
        return any(
            labels != {truth.get(key)} and _is_comparable(key, truth.get(key))
            for key, labels in named.items()
        )
    if candidate.set_name == "unrelated":
        return False
    asked = group_labels(candidate.question, candidate)
    named = group_labels(candidate.answer, candidate)
    if _asks_of_content(candidate):
        # "Who walks back?" – "A man": he is in the story, whoever tells it
        for key in _STORY_KEYS:
            asked.pop(key, None)
            named.pop(key, None)
    verdict = read_first_word(candidate.answer, candidate.language)
    if (
        len(candidate.truths) == 1
        and verdict is not None
        and _is_verdict_false(asked, candidate.truths[0], verdict)
    ):
        return True
    for key, labels in named.items():
        told = [truth.get(key) for truth in candidate.truths]
        truths = {truth for truth in told if truth is not None}
        if None in told or not all(_is_comparable(key, truth) for truth in truths):
            continue
        claimed = labels - asked.get(key, set()) if verdict is False else labels
        wrong = {
            label for label in claimed if _count_steps(key, label, truths) >= _steps(candidate)
        }
        if wrong and (len(candidate.truths) > 1 or not labels & truths):
            return True
    return False


_RULES: dict[str, Callable[[Candidate], bool]] = {
    "empty": is_empty,
    "too long": is_too_long,
    "not filled in": is_not_filled_in,
    "no question": is_no_question,
    "asks back": asks_back,
    "refusal": is_refusal,
    "mentions metadata": mentions_metadata,
    "mentions transcript": mentions_transcript,
    "numeric time": has_times,
    "no time": lacks_times,
    "wrong language": is_in_wrong_language,
    "contradicts metadata": contradicts_metadata,
    "wrong gender": has_wrong_gender,
    "mixes up the recordings": mixes_up_recordings,
    "quotes what is not said": quotes_unsaid,
    "guesses a mood": guesses_mood,
}


def _is_verdict_false(asked: dict[str, set[str]], truth: dict[str, str], verdict: bool) -> bool:
    known = {
        key: labels
        for key, labels in asked.items()
        if key in truth and _is_comparable(key, truth[key])
    }
    # a choice of labels ("fast or slow?") has no yes or no
    if not known or any(len(labels) > 1 for labels in known.values()):
        return False
    steps = [_count_steps(key, next(iter(labels)), {truth[key]}) for key, labels in known.items()]
    return max(steps) >= 2 if verdict else max(steps) == 0


def _asks_of_content(candidate: Candidate) -> bool:
    """Whether a question takes up a word of what is said, and so asks about that and not about the
    voice."""
    frequent = list_frequent_words(candidate.language)

    def list_stems(text: str) -> set[str]:
        words = simplify(remove_quotations(text)).split()
        return {word[:_STEM] for word in words if len(word) >= _STEM and word not in frequent}

    spoken = set().union(*(list_stems(text) for text in candidate.transcripts))
    return bool(list_stems(candidate.question) & spoken)


def _is_comparable(key: str, truth: str | None) -> bool:
    """Accents that only their corpus knows are not among the labels that are found; one not known
    at all is false."""
    return truth is None or truth in LABELS[key]


def _steps(candidate: Candidate) -> int:
    return _LEAST_STEPS.get(candidate.set_name, 1)


def _count_steps(key: str, label: str, truths: set[str]) -> int:
    """How many classes a label is from the nearest truth; classes without an order are far from
    each other."""
    if key in ("gender", "accent"):
        return 0 if label in truths else len(LABELS[key])
    order = LABELS[key]
    return min(abs(order.index(label) - order.index(truth)) for truth in truths)


@functools.cache
def _compile(patterns: tuple[str, ...]) -> re.Pattern:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _find_all(table: Mapping[str, tuple[str, ...]], candidate: Candidate) -> list[str]:
    """What the patterns of English and of the candidate's language find outside quotations."""
    pattern = _compile(tuple(dict.fromkeys((*table["en"], *table[candidate.language]))))
    texts = (normalise(remove_quotations(text)) for text in candidate.texts)
    return [match.group() for text in texts for match in pattern.finditer(text)]
