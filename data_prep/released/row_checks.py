"""What is wrong with a row that can be read.

    Row, Place ─ find_row_faults ─►  [Fault("empty text", …), Fault("wrong language", …), …]

Languages are told by frequent words first; only a row in which those of another language are more
is looked at closely.
"""

import functools
import re
from collections.abc import Iterator

from data_prep.instructions.filters.language_id import is_in_language, list_frequent_words
from data_prep.released.read_rows import Fault
from data_prep.released.sift_paths import Place, list_texts
from sift_jax.sift.rows import (
    CATEGORIES,
    LANGUAGES,
    SELF_GENERATED_TEXT,
    Message,
    Row,
    list_utterances,
)

_PAIRED = ("closed_ended/comparison", "pretraining/ranks", "pretraining/compares")
# Whose messages have the audio, where it is not the question alone.
_SIDES = {
    "controllable_generation": {"assistant"},
    "pretraining/tts": {"assistant"},
    "pretraining/speech_to_speech": {"user", "assistant"},
    SELF_GENERATED_TEXT: set(),
}
_WORD = re.compile(r"[^\W\d_]+")
_SHOWN_LETTERS = 60


def find_row_faults(row: Row, place: Place) -> Iterator[Fault]:
    """All of them."""
    yield from find_form_faults(row, place)
    texts = list_texts(row)
    if place.category in CATEGORIES and not is_plausible(" ".join(texts), place.language):
        yield Fault(
            "wrong language", f"{texts[0][:_SHOWN_LETTERS]!r} in a folder of {place.language}"
        )


def find_form_faults(row: Row, place: Place) -> Iterator[Fault]:
    """Those that need no look at the words."""
    messages = row["messages"]
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[0] == "system" else roles
    if turns != ["user", "assistant"] * (len(turns) // 2) or not turns:
        yield Fault("roles do not alternate", ", ".join(roles))
    if not all(text.strip() for text in list_texts(row)):
        yield Fault("empty text", "")
    names = list_utterances(messages)
    if place.category == SELF_GENERATED_TEXT and not names:
        # the text that stands for the recording
        return
    if not names:
        yield Fault("no audio", "")
    elif not _is_named_after(row["id"], names, place.category):
        yield Fault("id and audio differ", f"{row['id']} has {', '.join(names)}")
    if names and _list_sides(messages) != _SIDES.get(place.category, {"user"}):
        found = " and ".join(
            name
            for role, name in (("user", "question"), ("assistant", "answer"))
            if role in _list_sides(messages)
        )
        yield Fault("wrong side", f"the audio is in the {found}")


def is_plausible(text: str, language: str) -> bool:
    """Whether a text can be in a language, at little cost for one that clearly is."""
    counts = dict.fromkeys(LANGUAGES, 0)
    languages = _list_word_languages()
    for word in _WORD.findall(text.lower()):
        for found in languages.get(word, ()):
            counts[found] += 1
    own = counts[language]
    if own and own == max(counts.values()):
        return True
    return is_in_language(text, language)


def _is_named_after(identity: str, names: list[str], category: str) -> bool:
    if category in _PAIRED or identity.startswith("comparison_"):
        return identity == f"comparison_{'__'.join(names)}"
    if category == "pretraining/speech_to_speech":
        return identity == f"translation_{'__'.join(names)}"
    return all(name == identity for name in names)


def _list_sides(messages: list[Message]) -> set[str]:
    return {
        message["role"]
        for message in messages
        for part in message["content"]
        if "audio_path" in part
    }


@functools.cache
def _list_word_languages() -> dict[str, tuple[str, ...]]:
    words = {language: list_frequent_words(language) for language in LANGUAGES}
    return {
        word: tuple(language for language in LANGUAGES if word in words[language])
        for word in set().union(*words.values())
    }
