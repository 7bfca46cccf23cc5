"""The templates of a language, and how their slots are filled.

    "{Clause_a}, and {clause_b}."  +  clause_a="the clip is noisy", clause_b="…"   ─►  "The clip is noisy, and …."

A slot with a capital begins a sentence: it is the same text, capitalised.
"""

import functools
import json
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_prep.instructions.plain import NAMES, make_plain, write_line
from sift_jax.sift.labels import (
    LANGUAGES,
    name_label,
    space_signs,
    write_phrase,
    write_spoken_phrase,
)

Templates = dict[str, Any]

# The ways of speaking share their clauses: "the speaker talks {label}" holds for each of them.
SPEECH_KEYS = ("average_pitch", "pitch_variation", "speaking_rate", "average_intensity")
# One in five questions begins with a sentence about the upload.
_OPENING_SHARE = 0.2


# Lists whose places mean something, and the openings, are kept whole.
_WHOLE = ("ordinals", "inferences", "openings", "openings_two")


@functools.cache
def load_templates(
    language: str,
    wordings: int | None = None,
    *,
    skipped: int = 0,
    is_plain: bool = False,
    is_paper: bool = False,
) -> Templates:
    """The templates of a language, with at most so many wordings of each question and answer, the
    first `skipped` left out; where there are no more than those, the last one stays.

    Plain ones have the answers of `plain`, and no openings; those of the paper have its open
    questions.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"no templates in language {language!r}; the languages are {', '.join(LANGUAGES)}"
        )
    folder = Path(__file__).parent / "templates"
    found = json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
    if is_paper:
        found |= json.loads((folder / "paper" / f"{language}.json").read_text(encoding="utf-8"))
    if is_plain:
        found = make_plain(found)
    if wordings is not None or skipped:
        found = _limit(found, wordings, skipped)
    return {"language": language, **found}


def _limit(value: Any, wordings: int | None, skipped: int) -> Any:
    if isinstance(value, dict):
        found = {
            name: item if name in _WHOLE else _limit(item, wordings, skipped)
            for name, item in value.items()
        }
        # a class is asked for in other ways besides: of these two none needs to stay
        if "asks" in value and skipped:
            found["asks"] = {
                key: texts[skipped:][:wordings] for key, texts in value["asks"].items()
            }
        return found
    return (value[skipped:] or value[-1:])[:wordings] if isinstance(value, list) else value


def capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def fill(template: str, **slots: str) -> str:
    """The template with its slots filled, each in either case."""
    return template.format(
        **slots, **{capitalise(name): capitalise(value) for name, value in slots.items()}
    )


def ask(templates: Templates, questions: list[str], rng: random.Random, /, **slots: str) -> str:
    """One of the questions, filled, sometimes behind an opening."""
    return _open(fill(rng.choice(questions), **slots), templates["openings"], rng)


def ask_of_two(
    templates: Templates, questions: list[str], rng: random.Random, /, **slots: str
) -> str:
    """The same about two recordings."""
    return _open(fill(rng.choice(questions), **slots), templates["openings_two"], rng)


def _open(question: str, openings: list[str], rng: random.Random) -> str:
    if not openings or rng.random() >= _OPENING_SHARE:
        return question
    return f"{rng.choice(openings)} {question}"


def spell_words(texts: list[str], language: str) -> list[str]:
    """Words of a transcript as they are spelt within a sentence: ["Where", "is", "Anna?"] is
    "where", "is", "Anna?".

    The capital that begins a sentence goes, that of a name or a German noun stays. German keeps the
    first word's too: nothing here tells whether it is a noun's. Where a transcript has no small
    letters, its capitals say nothing.
    """
    if not any(letter.islower() for text in texts for letter in text):
        return [text.lower() for text in texts]
    if language == "de":
        return list(texts)
    return [
        text.lower() if begins and not re.match(r"[¿¡\"]*I(?!\w)", text) else text
        for text, begins in zip(
            texts, [True, *(text.endswith((".", "?", "!")) for text in texts)], strict=False
        )
    ]


def write_request(
    templates: Templates,
    question: str,
    asked: dict[str, str],
    text: str,
    spoken: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """An instruction to speak in the wording of `question`, which asks for these labels, or for
    none; `spoken` has the phrases of those that are of free fields."""
    text = space_signs(text, templates["language"])
    if not asked:
        return fill(question.replace(" {style}", ""), text=text)
    texts = templates["controllable_generation"]
    wishes = [
        spoken.get(key)
        or fill(
            texts["requests"].get(key, "{label}"),
            label=write_spoken_phrase(key, label, templates["language"]),
        )
        for key, label in asked.items()
    ]
    *most, last = _put_adverbs_first(wishes)
    style = texts["and"].join(filter(None, (", ".join(most), last)))
    return fill(question, style=style, text=text)


def _put_adverbs_first(phrases: Iterable[str]) -> list[str]:
    """ "very fast and with a male voice", not the other way round: adverbs have one or two words,
    as a rule."""
    return sorted(phrases, key=lambda phrase: len(phrase.split()) > 2)


def phrase_label(templates: Templates, key: str, label: str) -> str:
    return write_phrase(key, label, templates["language"])


def answer_label(templates: Templates, key: str, label: str) -> str:
    """The label as it stands in an answer: in plain ones by its name, the same everywhere."""
    write = name_label if templates.get("is_plain") else write_phrase
    return write(key, label, templates["language"])


def write_clause(templates: Templates, key: str, label: str, rng: random.Random) -> str:
    """One of the statements that an utterance has a label: "the speaker talks very slowly"."""
    clauses = templates["clauses"]["speech" if key in SPEECH_KEYS else key]
    return fill(rng.choice(clauses), label=phrase_label(templates, key, label))


def write_speech_clause(
    templates: Templates, labels: list[tuple[str, str]], rng: random.Random
) -> str:
    """One statement of several ways of speaking: "the speaker talks very slowly and with a very low
    pitch"."""
    phrases = _put_adverbs_first(phrase_label(templates, key, label) for key, label in labels)
    label = templates["controllable_generation"]["and"].join(phrases)
    return fill(rng.choice(templates["clauses"]["speech"]), label=label)


def write_answer(templates: Templates, key: str, label: str, rng: random.Random) -> str:
    """What an answer says of a label, without a full stop: a clause, or in plain templates a
    line."""
    if templates.get("is_plain"):
        return write_line(NAMES[key], key, label, templates["language"])
    return write_clause(templates, key, label, rng)


def write_statement(templates: Templates, key: str, label: str, rng: random.Random) -> str:
    """A whole answer that says a label."""
    answer = write_answer(templates, key, label, rng)
    return answer if templates.get("is_plain") else f"{capitalise(answer)}."
