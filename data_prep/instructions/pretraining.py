"""Pre-training rows: one fixed question an utterance, answered by all its labels in a fixed order.

    "List what you hear."   "female; English; twenties; –; short sentence; statement; quite low pitch; …; falling; –; …"

A model without any pretraining learns to hear from these first: every token of the answer is a label, where an
instruction spends most of its tokens on being a sentence. What an utterance has no label for is a dash.
"""

from typing import Any

from data_prep.instructions.content import bucket_length
from data_prep.instructions.items import Item
from data_prep.instructions.word_align import find_changes
from sift_jax.data.labels import ACCENTS, LANGUAGE_NAMES, MEASURED_KEYS, name_label

QUESTIONS = {
    "en": "List what you hear.",
    "de": "Liste auf, was du hörst.",
    "fr": "Énumère ce que tu entends.",
    "it": "Elenca ciò che senti.",
    "es": "Enumera lo que oyes.",
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
    answer = "; ".join(name_label(key, label, language) if label else _NOTHING for key, label in labels)
    return Item(ids=(utterance["id"],), form="caption", group="", question=QUESTIONS[language], answer=answer)
