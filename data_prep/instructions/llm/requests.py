"""Metadata to requests: what a model is shown of an utterance or a pair, and what is true of it.

metadata line(s) ─ make_request ─►  Request(data={"average pitch": "quite low pitch", …}, truths=({…},))
                                └►  Skipped("no word times")       where the set has nothing to ask about
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

from data_prep.instructions.comparison import order_pair
from data_prep.instructions.llm.instruction_sets import SETS, InstructionSet
from data_prep.instructions.llm.wording import is_label, say_key, say_value
from data_prep.instructions.word_align import find_changes
from sift_jax.sift.labels import ACOUSTIC_LABELS

Utterance = dict[str, Any]

LONGEST_TRANSCRIPT = 1000
_LEAST_WORDS = 3
_MOST_WORDS = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One call: `data` is shown to the model, `truths` are the labels that answers are held
    against."""

    kind: InstructionSet
    split: str
    language: str
    ids: tuple[str, ...]
    data: dict[str, Any]
    truths: tuple[dict[str, str], ...]
    transcripts: tuple[str, ...]
    # the keys of what is shown; and of two clips, those in which they differ
    shown: frozenset[str]
    differing: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skipped:
    """A set has nothing to ask about an utterance or pair."""

    ids: tuple[str, ...]
    reason: str


def make_request(name: str, utterances: Sequence[Utterance]) -> Request | Skipped:
    """The request for one set about one utterance, or about two for a comparison."""
    kind, language = SETS[name], utterances[0]["language"]
    ids = tuple(utterance["id"] for utterance in utterances)
    if {"words", "timed_words"} & set(kind.keys) and not has_word_times(utterances[0]):
        return Skipped(ids=ids, reason="no word times")
    shown = [_describe(utterance, kind, language) for utterance in utterances]
    if not all(shown):
        return Skipped(ids=ids, reason="no labels")
    named = [_name(entry, language) for entry in shown]
    data, differing = named[0], []
    if kind.clips == 2:
        differing = list_differences(utterances[0], utterances[1])
        if not differing:
            return Skipped(ids=ids, reason="no audible difference")
        data = {
            say_key("first", language): named[0],
            say_key("second", language): named[1],
            say_key("differs", language): [say_key(key, language) for key in differing],
        }
    return Request(
        kind=kind,
        split=utterances[0]["split"],
        language=language,
        ids=ids,
        data=data,
        shown=frozenset(set(shown[0]).intersection(*shown)),
        differing=tuple(differing),
        truths=tuple(list_labels(utterance) for utterance in utterances),
        transcripts=tuple(utterance["transcript"] for utterance in utterances),
    )


def list_labels(utterance: Utterance) -> dict[str, str]:
    """All labels of an utterance that have a name; what is unknown is left out."""
    labels = {key: (utterance.get("labels") or {}).get(key) for key in ACOUSTIC_LABELS}
    labels |= {key: utterance.get(key) for key in ("gender", "age_category", "accent")}
    return {key: label for key, label in labels.items() if label and is_label(key, label)}


def list_differences(first: Utterance, second: Utterance) -> list[str]:
    """The keys in which two utterances differ so much that it can be heard."""
    labels = list_labels(first), list_labels(second)
    keys = [
        key
        for key in ACOUSTIC_LABELS
        if key in labels[0] and key in labels[1] and _differ(first, second, key)
    ]
    genders = [found.get("gender") for found in labels]
    return keys + ["gender"] * (None not in genders and genders[0] != genders[1])


def _differ(first: Utterance, second: Utterance, key: str) -> bool:
    if key == "average_pitch":
        pitches = [(utterance.get("values") or {}).get(key) for utterance in (first, second)]
        if not all(pitches) or not first.get("gender") or not second.get("gender"):
            return False
    return bool(order_pair((first, second), key))


def has_word_times(utterance: Utterance) -> bool:
    words = utterance.get("words") or ()
    return _LEAST_WORDS <= len(words) <= _MOST_WORDS and all(
        isinstance(word.get("start"), int | float) and isinstance(word.get("end"), int | float)
        for word in words
    )


def _describe(utterance: Utterance, kind: InstructionSet, language: str) -> dict[str, Any]:
    """What is shown of an utterance, by key."""
    labels = list_labels(utterance)
    shown: dict[str, Any] = {}
    for key in kind.keys:
        if key in labels:
            shown[key] = say_value(key, labels[key], language)
        elif key == "language":
            shown[key] = say_value(key, utterance["language"], language)
        elif key in ("transcript", "phonemes") and utterance.get(key):
            shown[key] = cap(utterance[key])
        elif key == "words":
            shown[key] = _describe_words(utterance["words"], language)
        elif key == "timed_words":
            shown[key] = _describe_times(utterance["words"], language)
        elif key == "changes":
            changes = {name: label for name, label in find_changes(utterance).items() if label}
            shown |= {name: say_value(name, label, language) for name, label in changes.items()}
        elif key == "duration" and utterance.get(key):
            shown[key] = round(utterance[key], 2)
    return shown


def _name(shown: dict[str, Any], language: str) -> dict[str, Any]:
    """The same under the keys' names in a language."""
    return {
        say_key("words" if key == "timed_words" else key, language): value
        for key, value in shown.items()
    }


def cap(text: str) -> str:
    return (
        text
        if len(text) <= LONGEST_TRANSCRIPT
        else text[:LONGEST_TRANSCRIPT].rsplit(" ", 1)[0] + " …"
    )


def _describe_words(words: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Pitch and loudness of each word against the clip's own: what differs can be heard, what is
    absolute cannot."""
    pitches = [word["average_pitch"] for word in words if word.get("average_pitch")]
    levels = [
        word["average_intensity"] for word in words if word.get("average_intensity") is not None
    ]
    pitch, level = (statistics.median(values) if values else None for values in (pitches, levels))
    rows = []
    for word in words:
        row = {
            say_key("word", language): word["word"],
            say_key("position", language): word["position"],
        }
        if word.get("average_pitch") and pitch:
            row[say_key("pitch", language)] = round(12 * math.log2(word["average_pitch"] / pitch))
        if word.get("average_intensity") is not None and level is not None:
            row[say_key("intensity", language)] = round(word["average_intensity"] - level)
        rows.append(row)
    return rows


def _describe_times(words: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    return [
        {
            say_key("word", language): word["word"],
            say_key("start", language): round(word["start"], 2),
            say_key("end", language): round(word["end"], 2),
        }
        for word in words
    ]
