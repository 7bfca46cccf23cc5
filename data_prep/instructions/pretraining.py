"""Pre-training rows, for models of which no part is pretrained: almost every token to be learnt is
a label.

    ratings   "Rate what you hear."      Pitch 2 ⏎ Speed 6 ⏎ Volume 1 …    the number of each label, from anywhere on
    ranks     "Rank what you hear."      Faster 2 ⏎ Deeper 1 …             which of two recordings
    lists     "List what you hear."      Pitch 2: quite low pitch ⏎ …      the ratings with their words
    compares  "Compare what you hear."   Faster 2: second recording ⏎ …    the ranks with their words

From ratings and ranks a model learns to hear: names and numbers are the same in every language.
From lists and compares it learns what each number is called, in the lines of plain answers;
questions then choose among what it can say.
"""

import random
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.comparison import Pair, order_pair
from data_prep.instructions.content import name_sentence_type
from data_prep.instructions.plain import NAMES, POLES, number_label, write_line
from data_prep.instructions.word_align import find_changes
from sift_jax.sift.labels import ACCENTS, ACOUSTIC_LABELS, LABELS, LANGUAGE_NAMES

QUESTIONS = {
    "en": "Rate what you hear.",
    "de": "Bewerte, was du hörst.",
    "fr": "Évalue ce que tu entends.",
    "it": "Valuta ciò che senti.",
    "es": "Valora lo que oyes.",
}
LIST_QUESTIONS = {
    "en": "List what you hear.",
    "de": "Liste auf, was du hörst.",
    "fr": "Énumère ce que tu entends.",
    "it": "Elenca ciò che senti.",
    "es": "Enumera lo que oyes.",
}
RANKS_QUESTIONS = {
    "en": "Rank what you hear.",
    "de": "Ordne, was du hörst.",
    "fr": "Classe ce que tu entends.",
    "it": "Metti in ordine ciò che senti.",
    "es": "Ordena lo que oyes.",
}
COMPARES_QUESTIONS = {
    "en": "Compare what you hear.",
    "de": "Vergleiche, was du hörst.",
    "fr": "Compare ce que tu entends.",
    "it": "Confronta ciò che senti.",
    "es": "Compara lo que oyes.",
}
_WORD_FORMS = {
    "pitch_contour": "pitch_contour",
    "intensity_contour": "intensity_contour",
    "highest_word": "position",
    "loudest_word": "position",
}


def make_ratings_item(utterance: dict[str, Any], rng: random.Random, *, has_accents: bool) -> Item:
    """The one row of an utterance that has all its labels."""
    labels = list_labels(utterance, has_accents=has_accents)
    lines = [f"{NAMES[form]} {number_label(key, label)}" for form, (key, label) in labels.items()]
    return Item(
        ids=(utterance["id"],),
        form="ratings",
        group="",
        question=_ask(QUESTIONS, rng),
        answer=_turn(lines, rng),
    )


def make_list_item(
    utterance: dict[str, Any],
    language: str,
    rng: random.Random,
    *,
    has_accents: bool,
    has_language: bool,
) -> Item:
    """The same in the words of a language, whatever language is spoken."""
    labels = list_labels(utterance, has_accents=has_accents)
    lines = [
        write_line(NAMES[form], key, label, language)
        for form, (key, label) in labels.items()
        if has_language or form != "language"
    ]
    return Item(
        ids=(utterance["id"],),
        form="list",
        group="",
        question=LIST_QUESTIONS[language],
        answer=_turn(lines, rng),
    )


def make_ranks_item(pair: Pair, rng: random.Random) -> Item | None:
    """Two utterances, and in what which of them has more, or less; None where they differ in
    nothing."""
    lines = [f"{pole} {number_label('recording', place)}" for pole, place in _list_poles(pair, rng)]
    return _make_pair_item(pair, "ranks", _ask(RANKS_QUESTIONS, rng), lines)


def make_compares_item(pair: Pair, language: str, rng: random.Random) -> Item | None:
    """The ranks in words."""
    lines = [
        write_line(pole, "recording", place, language) for pole, place in _list_poles(pair, rng)
    ]
    return _make_pair_item(pair, "compares", COMPARES_QUESTIONS[language], lines)


def _make_pair_item(pair: Pair, form: str, question: str, lines: list[str]) -> Item | None:
    if not lines:
        return None
    return Item(
        ids=tuple(u["id"] for u in pair),
        form=form,
        group="",
        question=question,
        answer="\n".join(lines),
    )


def _ask(questions: dict[str, str], rng: random.Random) -> str:
    """In any language, as its answer is in none: so it does not give away which language is
    spoken."""
    return questions[rng.choice(sorted(questions))]


def _turn(lines: list[str], rng: random.Random) -> str:
    """Always the same circle, begun anywhere: a label is to be read by its name, not by its
    place."""
    start = rng.randrange(len(lines))
    return "\n".join(lines[start:] + lines[:start])


def _list_poles(pair: Pair, rng: random.Random) -> list[tuple[str, str]]:
    """(one of the two poles of a key, whose it is), in any order, for the keys in which a pair
    differs."""
    found = []
    for key in ACOUSTIC_LABELS:
        order, pole = order_pair(pair, key), rng.choice(("high", "low"))
        if order:
            found.append(
                (POLES[key][pole], "second" if (order > 0) == (pole == "high") else "first")
            )
    genders = [utterance["gender"] for utterance in pair]
    if genders[0] != genders[1] and all(genders):
        place = rng.choice((0, 1))
        found.append((POLES["gender"][genders[place]], LABELS["recording"][place]))
    return rng.sample(found, len(found))


def list_labels(utterance: dict[str, Any], *, has_accents: bool) -> dict[str, tuple[str, str]]:
    """Form to (key, label): everything that is known of an utterance, always in the same order."""
    has_accent = has_accents and utterance["accent"] in ACCENTS
    changes = find_changes(utterance)
    labels = {
        "gender": ("gender", utterance["gender"]),
        "language": ("language", LANGUAGE_NAMES[utterance["language"]]),
        "age_category": ("age_category", utterance["age_category"]),
        "accent": ("accent", utterance["accent"] if has_accent else None),
        "sentence_length": ("sentence_length", utterance.get("sentence_length")),
        "sentence_type": ("sentence_type", name_sentence_type(utterance)),
        **{key: (key, utterance["labels"].get(key)) for key in ACOUSTIC_LABELS},
        **{form: (key, changes[form]) for form, key in _WORD_FORMS.items()},
    }
    return {form: (key, label) for form, (key, label) in labels.items() if label}
