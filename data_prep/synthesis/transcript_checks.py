"""What tells a transcript that was made up from one that was heard.

    "Thank you. Thank you. Thank you. Thank you. Thank you." ─ find_made_up ─►  "repeats itself"
        nothing heard · stock phrase · repeats itself · too many letters a second · too few letters
        a second · another language · no speech · unsure

Recognisers that are language models go on speaking where nothing is said. A guard that errs costs a
recording; one that lets through teaches questions about what was never said.
"""

import dataclasses
import re
import zlib

from data_prep.instructions.filters.language_id import is_in_language
from data_prep.recognition.hypothesis import Hypothesis
from sift_jax.sift.labels import LANGUAGE_NAMES

# What is written for sounds that are no words.
_SOUNDS = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|[♪♫*]+")
# What stands under films, and so at the ends of what recognisers have learnt from.
_STOCK = re.compile(
    r"\b(?:thank(?:s| you)(?: (?:so|very) much)? for (?:watching|listening|viewing)|(?:please "
    r")?(?:like and )?subscribe"
    r"(?: to (?:my|the|our) "
    r"channel)?|subtit(?:le|ul|rat)\w*\b.{0,40}|untertitel\w*\b.{0,40}|sous-titr\w*\b.{0,40}|"
    r"sottotitol\w*\b.{0,40}|subtítulos\b.{0,40}|amara\.org|vielen dank fürs zuschauen|merci "
    r"d'avoir regardé|"
    r"grazie per (?:la visione|aver guardato)|gracias por ver)\b",
    re.IGNORECASE,
)
_LONGEST_STOCK = 12
# So many times in a row; the longest run of words that is looked for.
_MOST_TURNS, _LONGEST_RUN = 4, 10
_WORDS_IN_RUN, _LEAST_NEW = 4, 0.5
# Letters that zlib takes out of a text that tells something, and of how many on that is told.
_MOST_SQUEEZED, _LEAST_BYTES = 2.6, 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a transcript has to keep; letters a second are those of the whole recording."""

    least_confidence: float
    most_letters: float
    least_letters: float
    most_no_speech: float

    def __post_init__(self) -> None:
        if not 0 <= self.least_letters < self.most_letters:
            raise ValueError(
                f"--least_letters={self.least_letters:g} and --most_letters={self.most_letters:g} "
                "leave nothing; give 0 ≤ least < most"
            )


def find_made_up(
    found: Hypothesis, seconds: float, language: str, limits: Limits
) -> tuple[str, str] | None:
    """The reason why a transcript is not believed, and the measure of it; None where it is."""
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)?", _SOUNDS.sub(" ", found.text).casefold())
    letters = sum(map(len, words))
    if not words:
        return "nothing heard", ""
    if len(words) <= _LONGEST_STOCK and _STOCK.search(found.text):
        return "stock phrase", ""
    if (measure := find_repetition(words, found.text)) is not None:
        return "repeats itself", measure
    if letters > limits.most_letters * seconds:
        return "too many letters a second", f"{letters / seconds:.1f}"
    if letters < limits.least_letters * seconds:
        return "too few letters a second", f"{letters / seconds:.1f}"
    told = found.language or ""
    own = (language, LANGUAGE_NAMES[language].casefold())
    if told and told.casefold().split("-")[0] not in own:
        return "another language", f"the recogniser says {told[:20]}"
    if not is_in_language(found.text, language):
        return "another language", "by its words"
    if found.no_speech is not None and found.no_speech > limits.most_no_speech:
        return "no speech", f"{found.no_speech:.2f}"
    if found.confidence is not None and found.confidence < limits.least_confidence:
        return "unsure", f"{found.confidence:.3f}"
    return None


def find_repetition(words: list[str], text: str) -> str | None:
    """Whether somebody says the same again and again: in a row, all over, or so that a text can be
    squeezed."""
    for length in range(1, _LONGEST_RUN + 1):
        turns = 1
        for place in range(length, len(words) - length + 1, length):
            is_same = words[place : place + length] == words[place - length : place]
            turns = turns + 1 if is_same else 1
            if turns >= _MOST_TURNS:
                return f"{turns} times {' '.join(words[place : place + length])!r}"
    runs = [
        tuple(words[place : place + _WORDS_IN_RUN])
        for place in range(len(words) - _WORDS_IN_RUN + 1)
    ]
    if len(runs) >= 2 * _WORDS_IN_RUN and len(set(runs)) < _LEAST_NEW * len(runs):
        return f"{len(set(runs))} of {len(runs)} runs of {_WORDS_IN_RUN} words are new"
    data = text.encode()
    if len(data) >= _LEAST_BYTES and len(data) > _MOST_SQUEEZED * len(zlib.compress(data)):
        return f"squeezed to {len(zlib.compress(data)) / len(data):.0%}"
    return None
