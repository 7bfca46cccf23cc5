"""Pre-training rows, for models of which no part is pretrained: almost every token to be learnt is a label.

    ratings   "Rate what you hear."            "0 0 2 – 0 1 1 4 5 0 6 3 0 – 2 0"     all labels by number, in order:
                                                0 the lowest of its scale, a dash for none
    lists     "List what you hear."            "female; English; twenties; –; …"     the same labels in words
    short     "How fast does the person talk?" "Very slowly."                        the bare label of one key

From ratings a model learns to hear: a number means the same in every language. From lists it learns what the labels
are called, from short answers which of them is asked for. Instructions spend most of their tokens on being sentences;
learnt first, they leave a model deaf.
"""

import random
from typing import Any

from data_prep.instructions.content import bucket_length
from data_prep.instructions.items import Item
from data_prep.instructions.templates import Templates, capitalise, phrase_label
from data_prep.instructions.word_align import find_changes
from sift_jax.data.labels import ACCENTS, LABELS, LANGUAGE_NAMES, MEASURED_KEYS, name_label

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
_NOTHING = "–"
_WORD_FORMS = {
    "pitch_contour": "pitch_contour",
    "intensity_contour": "intensity_contour",
    "highest_word": "position",
    "loudest_word": "position",
}


def make_ratings_item(utterance: dict[str, Any], language: str, *, has_accents: bool) -> Item:
    """The one row of an utterance that has all its labels."""
    labels = _list_labels(utterance, has_accents)
    numbers = {form: LABELS[key].index(label) if label else _NOTHING for form, (key, label) in labels.items()}
    answer = " ".join(map(str, numbers.values()))
    return Item(ids=(utterance["id"],), form="ratings", group="", question=QUESTIONS[language], answer=answer)


def make_list_item(utterance: dict[str, Any], language: str, *, has_accents: bool) -> Item:
    """The same in words."""
    labels = _list_labels(utterance, has_accents).values()
    answer = "; ".join(name_label(key, label, language) if label else _NOTHING for key, label in labels)
    return Item(ids=(utterance["id"],), form="list", group="", question=LIST_QUESTIONS[language], answer=answer)


def make_short_items(
    utterance: dict[str, Any], templates: Templates, rng: random.Random, *, has_accents: bool
) -> list[Item]:
    """A row a label, in a plain wording and without a sentence around the answer."""
    items = []
    for form, (key, label) in _list_labels(utterance, has_accents).items():
        # within one language, asking for the language has one answer
        if not label or form == "language":
            continue
        questions = templates[form]["questions"] if form in _WORD_FORMS else templates["direct"][key]
        answer = capitalise(phrase_label(templates, key, label)) + "."
        question = rng.choice(questions)
        items.append(Item(ids=(utterance["id"],), form=form, group=label, question=question, answer=answer))
    return items


def _list_labels(utterance: dict[str, Any], has_accents: bool) -> dict[str, tuple[str, str | None]]:
    """Form to (key, label): everything that is known of an utterance, in the order of the ratings."""
    has_accent = has_accents and utterance["accent"] in ACCENTS
    changes = find_changes(utterance)
    return {
        "gender": ("gender", utterance["gender"]),
        "language": ("language", LANGUAGE_NAMES[utterance["language"]]),
        "age_category": ("age_category", utterance["age_category"]),
        "accent": ("accent", utterance["accent"] if has_accent else None),
        "sentence_length": ("sentence_length", bucket_length(utterance["transcript"])),
        "sentence_type": ("sentence_type", "question" if utterance["is_question"] else "statement"),
        **{key: (key, utterance["labels"].get(key)) for key in MEASURED_KEYS},
        **{form: (key, changes[form]) for form, key in _WORD_FORMS.items()},
    }
