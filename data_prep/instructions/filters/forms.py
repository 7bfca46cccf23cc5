"""Faults of form: what is not a question, no answer, or no sentence at all. Small models make them,
large ones hardly.

"The voice is quite slow."  "Quite slowly."                    no question
"What does the person ask?"  "What is the person asking?"      asks back
"How fast is [speaker]?"                                       not filled in
"Which word follows \\"rain\\"?"  "The word \\"snow\\"."           quotes what is not said
"How fast does she talk?"  "He talks …", of a woman            wrong gender
"""

import functools
import re

from data_prep.instructions.filters import bad_phrases
from data_prep.instructions.filters.candidate import Candidate, group_labels
from sift_jax.sift.labels import (
    ACOUSTIC_LABELS,
    find_quotations,
    normalise,
    read_first_word,
    remove_quotations,
    simplify,
)

# A request begins with its verb, or has it soon: "Please tell me …", "Listening closely, describe
# …".
_FIRST_WORDS = 6
_UNFILLED = re.compile(r"[<\[{][^<>\[\]{}]*[>\]}]|\blorem ipsum\b|\bxxx+\b")
_KEYS = re.compile(r'"\s*(?:question|answer|instruction)"\s*:')
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def is_no_question(candidate: Candidate) -> bool:
    """What neither has a question mark nor begins like a request."""
    if candidate.answer is None:
        return False
    return not is_request(candidate.question, candidate.language)


def is_request(text: str, language: str) -> bool:
    """Whether a text asks for something: with a question mark, or with a verb for it early in a
    sentence."""
    if "?" in text:
        return True
    requests = {*bad_phrases.REQUESTS["en"].split(), *bad_phrases.REQUESTS[language].split()}
    return any(
        requests.intersection(simplify(sentence).split()[:_FIRST_WORDS])
        for sentence in _SENTENCE_END.split(text)
    )


def asks_back(candidate: Candidate) -> bool:
    """An answer that is one question, or the question itself."""
    if candidate.answer is None:
        return False
    said = remove_quotations(candidate.answer).strip()
    is_one_question = said.endswith("?") and not re.search(r"[.!?:]", said[:-1])
    return is_one_question or simplify(candidate.answer) == simplify(candidate.question)


def is_not_filled_in(candidate: Candidate) -> bool:
    """Brackets where a word belongs, keys of the form in which pairs are written, or half a
    quotation."""
    return any(
        _KEYS.search(text)
        or text.count('"') % 2
        or _UNFILLED.search(remove_quotations(normalise(text)))
        for text in candidate.texts
    )


def quotes_unsaid(candidate: Candidate) -> bool:
    """Words in quotation marks that are not in the clip. Whether one is said may be asked of any,
    and denied."""
    if candidate.set_name != "closed_ended/content_level" or candidate.answer is None:
        return False
    if read_first_word(candidate.answer, candidate.language) is False:
        return False
    spoken = f" {simplify(' '.join(candidate.transcripts))} "
    quoted = [quotation for text in candidate.texts for quotation in find_quotations(text)]
    # sounds stand between bars
    return any(
        f" {simplify(text)} " not in spoken for text in quoted if "|" not in text and simplify(text)
    )


def has_wrong_gender(candidate: Candidate) -> bool:
    """English pronouns of the speaker, where nobody but the speaker can be meant."""
    gender = candidate.truths[0].get("gender") if len(candidate.truths) == 1 else None
    wrong = {"female": {"he", "him", "his"}, "male": {"she", "her", "hers"}}.get(gender or "")
    if (
        wrong is None
        or candidate.language != "en"
        or candidate.set_name != "closed_ended/acoustic_level"
    ):
        return False
    return any(
        wrong.intersection(simplify(remove_quotations(text)).split()) for text in candidate.texts
    )


def guesses_mood(candidate: Candidate) -> bool:
    """A sentence that tells somebody's mood beside the voice's pitch, speed or loudness, as if it
    followed from these.

    Acted anger is as often slow and monotone as not; from the words that are said a mood may
    follow.
    """
    if candidate.set_name != "open_ended" or candidate.answer is None:
        return False
    pattern = _compile_moods(candidate.language)
    return any(
        pattern.search(sentence) and set(group_labels(sentence, candidate)) & set(ACOUSTIC_LABELS)
        for sentence in _SENTENCE_END.split(normalise(remove_quotations(candidate.answer)))
    )


def mixes_up_recordings(candidate: Candidate) -> bool:
    """What is true of the first said of the second: "the first is noisy, the second clean", and it
    is the other way.

    Judged only where each recording is named once, with one label of a kind behind it.
    """
    if len(candidate.truths) != 2 or candidate.answer is None:
        return False
    first, second = bad_phrases.ORDINALS[candidate.language]
    head, *parts = re.split(
        rf"\b({first}|{second})\w*", normalise(remove_quotations(candidate.answer))
    )
    if len(parts) != 4 or group_labels(head, candidate):
        return False
    clips = [0 if re.fullmatch(first, name) else 1 for name in parts[::2]]
    if clips[0] == clips[1]:
        return False
    named = [group_labels(text, candidate) for text in parts[1::2]]
    for key in set(named[0]) & set(named[1]):
        for clip, labels in zip(clips, named, strict=True):
            own, others = candidate.truths[clip].get(key), candidate.truths[1 - clip].get(key)
            if own != others and labels[key] == {others}:
                return True
    return False


@functools.cache
def _compile_moods(language: str) -> re.Pattern:
    return re.compile("|".join(bad_phrases.MOODS[name] for name in dict.fromkeys(("en", language))))
