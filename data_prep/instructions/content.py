"""Questions about who speaks, and what is said.

    by a label      gender, age_category, accent, language, topic, sentence_type, sentence_length
    by the words    transcript   "What does the person say?"                  'The speaker says: "Rain falls."'
                    spoken_word  'Does "rain" occur in the sentence?'         'Yes, I hear "rain".'
                    phonemes     'How is "rain" pronounced?'                  'The phonemes are "R|EY|N".'

What is quoted from an utterance stands in quotation marks, so that it is never taken for a label.
"""

import random
import re
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.templates import Templates, ask, fill, spell_words, write_statement
from sift_jax.sift.labels import ACCENTS, LANGUAGE_NAMES, QUOTATION_MARKS, space_signs

# Three quarters of the weight lies on what can be heard without knowing the words.
WEIGHTS = {
    "gender": 0.2,
    "sentence_length": 0.16,
    "age_category": 0.13,
    "sentence_type": 0.11,
    "language": 0.1,
    "accent": 0.07,
    "spoken_word": 0.1,
    "topic": 0.06,
    "transcript": 0.06,
    "phonemes": 0.01,
}
_LEAST_LETTERS = 4


def make_items(
    utterance: dict[str, Any],
    templates: Templates,
    rng: random.Random,
    *,
    words: list[str],
    has_accents: bool,
) -> list[Item]:
    """The candidates of one utterance; `words` are those of its split, from which absent ones are
    drawn."""
    ids = (utterance["id"],)
    labels = {
        "gender": utterance["gender"],
        "age_category": utterance["age_category"],
        "topic": utterance["topic"],
        "sentence_type": name_sentence_type(utterance),
        "sentence_length": utterance.get("sentence_length"),
        "accent": find_accent(utterance, templates) if has_accents else None,
    }
    items = [
        make_label_item(ids, key, label, templates, rng) for key, label in labels.items() if label
    ]
    transcript = " ".join(QUOTATION_MARKS.sub("", utterance["transcript"]).split())
    transcript = space_signs(transcript, utterance["language"])
    items.append(
        Item(
            ids=ids,
            form="transcript",
            group="",
            question=_ask(templates, "transcript", rng),
            answer=_quote(rng.choice(templates["transcript"]["answers"]), transcript),
        )
    )
    items += _make_word_items(ids, utterance, templates, rng, words)
    return items + _make_phoneme_items(ids, utterance, templates, rng)


def make_language_items(
    utterance: dict[str, Any], templates: Templates, rng: random.Random, count: int
) -> list[Item]:
    """Asks in the templates' language which language an utterance, of whatever language, is in."""
    name = LANGUAGE_NAMES[utterance["language"]]
    return [
        make_label_item((utterance["id"],), "language", name, templates, rng) for _ in range(count)
    ]


def make_label_item(
    ids: tuple[str, ...], key: str, label: str, templates: Templates, rng: random.Random
) -> Item:
    return Item(
        ids=ids,
        form=key,
        group=label,
        question=ask(templates, templates["direct"][key], rng),
        answer=write_statement(templates, key, label, rng),
    )


def find_accent(utterance: dict[str, Any], templates: Templates) -> str | None:
    """Any accent that the corpus tells; in plain templates, whose lines have numbers, one of those
    that have one."""
    accent = utterance["accent"]
    return None if templates.get("is_plain") and accent not in ACCENTS else accent


def name_sentence_type(utterance: dict[str, Any]) -> str | None:
    """None where the transcript has no punctuation to tell by."""
    return {True: "question", False: "statement", None: None}[utterance["is_question"]]


def list_words(transcript: str, language: str) -> list[str]:
    """The words worth asking about, in order, spelt as within a sentence, each once.

    In German only a word within it shows whether it has a capital of its own: "Der Hund bellt." is
    asked for "Hund".
    """
    texts = spell_words(transcript.split(), language)
    within = texts[1:] if language == "de" else texts
    return [
        word for word in dict.fromkeys(_find_words(" ".join(within))) if len(word) >= _LEAST_LETTERS
    ]


def _quote(answer: str, transcript: str) -> str:
    """The answer with the words in it. Where its own full stop stands behind the quotation, as in
    Spanish, theirs goes: 'Se oye: "Llueve".'"""
    return fill(
        answer, text=re.sub(r"(?<!\.)\.$", "", transcript) if answer.endswith('".') else transcript
    )


def _find_words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


def _ask(templates: Templates, form: str, rng: random.Random, **slots: str) -> str:
    return ask(templates, templates[form]["questions"], rng, **slots)


def _make_word_items(
    ids: tuple[str, ...],
    utterance: dict[str, Any],
    templates: Templates,
    rng: random.Random,
    words: list[str],
) -> list[Item]:
    spoken = list_words(utterance["transcript"], utterance["language"])
    # Inflections of a spoken word ("rain", "rains") would be unfair questions.
    stems = {word[:_LEAST_LETTERS].lower() for word in _find_words(utterance["transcript"])}
    absent = [
        word
        for word in rng.sample(words, min(len(words), 20))
        if word[:_LEAST_LETTERS].lower() not in stems
    ]
    items = []
    for verdict, choices in (("yes", spoken), ("no", absent)):
        if choices:
            word = rng.choice(choices)
            items.append(
                Item(
                    ids=ids,
                    form="spoken_word",
                    group=verdict,
                    question=_ask(templates, "spoken_word", rng, word=word),
                    answer=fill(rng.choice(templates["spoken_word"][verdict]), word=word),
                )
            )
    return items


def _make_phoneme_items(
    ids: tuple[str, ...], utterance: dict[str, Any], templates: Templates, rng: random.Random
) -> list[Item]:
    spelt, spoken = utterance["transcript"].split(), (utterance["phonemes"] or "").split("| |")
    places = [
        place
        for place, text in enumerate(spelt)
        if any(len(word) >= _LEAST_LETTERS for word in _find_words(text))
    ]
    if len(spelt) != len(spoken) or not places:
        return []
    place = rng.choice(places)
    word = re.sub(r"^\W+|\W+$", "", spell_words(spelt, utterance["language"])[place])
    return [
        Item(
            ids=ids,
            form="phonemes",
            group="",
            question=_ask(templates, "phonemes", rng, word=word),
            answer=fill(rng.choice(templates["phonemes"]["answers"]), text=spoken[place]),
        )
    ]
