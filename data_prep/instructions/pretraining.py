"""Pre-training rows, for models of which no part is pretrained: almost every token to be learnt is a label.

    ratings   "Rate what you hear."            "0 0 2 – 0 1 1 4 5 0 6 3 0 – 2 0"     all labels by number, in order:
                                                0 the lowest of its scale, a dash for none
    lists     "List what you hear."            "Female\nEnglish\nTwenties\n–\n…"     the same labels in words
    ranks     "Compare what you hear."         "2 – 1 1 – 2 –"                       which of two has more of each key

From ratings and ranks a model learns to hear: a number means the same in every language. From lists it learns what the
labels are called. Instructions spend most of their tokens on being sentences; learnt first, they leave a model deaf.
"""

from typing import Any

from data_prep.instructions.comparison import Pair, order_pair
from data_prep.instructions.content import bucket_length
from data_prep.instructions.items import Item
from data_prep.instructions.templates import capitalise
from data_prep.instructions.word_align import find_changes
from sift_jax.data.labels import ACCENTS, GENDERS, LABELS, LANGUAGE_NAMES, MEASURED_KEYS, name_label

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
    "en": "Compare what you hear.",
    "de": "Vergleiche, was du hörst.",
    "fr": "Compare ce que tu entends.",
    "it": "Confronta ciò che senti.",
    "es": "Compara lo que oyes.",
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
    """The same in the words of a language, whatever language is spoken."""
    labels = _list_labels(utterance, has_accents).values()
    # each name as it begins a plain answer, so that it is the same token there
    answer = "\n".join(capitalise(name_label(key, label, language)) if label else _NOTHING for key, label in labels)
    return Item(ids=(utterance["id"],), form="list", group="", question=LIST_QUESTIONS[language], answer=answer)


def make_ranks_item(pair: Pair, language: str) -> Item:
    """Two utterances: which has more of each measured key, and which is the man's; a dash where neither clearly is."""
    orders = [order_pair(pair, key) for key in MEASURED_KEYS]
    genders = [GENDERS.index(utterance["gender"]) for utterance in pair]
    orders.append(genders[1] - genders[0])
    answer = " ".join("2" if order > 0 else "1" if order < 0 else _NOTHING for order in orders)
    ids = tuple(utterance["id"] for utterance in pair)
    return Item(ids=ids, form="ranks", group="", question=RANKS_QUESTIONS[language], answer=answer)


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
