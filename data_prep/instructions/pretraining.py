"""Pre-training rows: one fixed question an utterance, answered by the numbers of all its labels, in a fixed order.

    "Rate what you hear."   "0 0 2 – 0 1 1 4 5 0 6 3 0 – 2 0"
                             │ └ language  … pitch … the place of a label on its scale, 0 the lowest; a dash for none

A model without any pretraining learns to hear from these first. Each token is a label and means the same in every
language, where an instruction spends most of its tokens on being a sentence, and says "slightly" of all scales alike.
"""

from typing import Any

from data_prep.instructions.content import bucket_length
from data_prep.instructions.items import Item
from data_prep.instructions.word_align import find_changes
from sift_jax.data.labels import ACCENTS, LABELS, LANGUAGE_NAMES, MEASURED_KEYS

QUESTIONS = {
    "en": "Rate what you hear.",
    "de": "Bewerte, was du hörst.",
    "fr": "Évalue ce que tu entends.",
    "it": "Valuta ciò che senti.",
    "es": "Valora lo que oyes.",
}
_NOTHING = "–"


def make_item(utterance: dict[str, Any], language: str, *, has_accents: bool) -> Item:
    """The one row of an utterance."""
    has_accent = has_accents and utterance["accent"] in ACCENTS
    changes = find_changes(utterance)
    labels = [
        ("gender", utterance["gender"]),
        ("language", LANGUAGE_NAMES[utterance["language"]]),
        ("age_category", utterance["age_category"]),
        ("accent", utterance["accent"] if has_accent else None),
        ("sentence_length", bucket_length(utterance["transcript"])),
        ("sentence_type", "question" if utterance["is_question"] else "statement"),
        *((key, utterance["labels"].get(key)) for key in MEASURED_KEYS),
        ("pitch_contour", changes["pitch_contour"]),
        ("intensity_contour", changes["intensity_contour"]),
        ("position", changes["highest_word"]),
        ("position", changes["loudest_word"]),
    ]
    answer = " ".join(str(LABELS[key].index(label)) if label else _NOTHING for key, label in labels)
    return Item(ids=(utterance["id"],), form="ratings", group="", question=QUESTIONS[language], answer=answer)
