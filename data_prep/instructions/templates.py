"""The templates of a language, and how their slots are filled.

    "{Clause_a}, and {clause_b}."  +  clause_a="the clip is noisy", clause_b="…"   ─►  "The clip is noisy, and …."

A slot with a capital begins a sentence: it is the same text, capitalised.
"""

import functools
import json
import random
from pathlib import Path
from typing import Any

from sift_jax.data.labels import LANGUAGES, name_label, write_phrase

Templates = dict[str, Any]

# The ways of speaking share their clauses: "the speaker talks {label}" holds for each of them.
SPEECH_KEYS = ("average_pitch", "pitch_variation", "speaking_rate", "average_intensity")
# One in five questions begins with a sentence about the upload.
_OPENING_SHARE = 0.2


# Lists whose places mean something, and the openings, are kept whole.
_WHOLE = ("ordinals", "inferences", "openings", "openings_two")
_ANSWERS = ("answers", "yes", "no", "same", "different")


@functools.cache
def load_templates(language: str, wordings: int | None = None, *, is_plain: bool = False) -> Templates:
    """The templates of a language, with at most so many wordings of each question and answer.

    Plain ones answer closed questions with the bare label, have one wording of every other answer, and no openings.
    """
    if language not in LANGUAGES:
        raise ValueError(f"no templates in language {language!r}; the languages are {', '.join(LANGUAGES)}")
    path = Path(__file__).parent / "templates" / f"{language}.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    if is_plain:
        bared = {name: value if name == "clauses" else _bare(value) for name, value in found.items()}
        found = {**bared, "is_plain": True, "openings": [], "openings_two": []}
    if wordings is not None:
        found = _limit(found, wordings)
    return {"language": language, **found}


def _limit(value: Any, wordings: int) -> Any:
    if isinstance(value, dict):
        return {name: item if name in _WHOLE else _limit(item, wordings) for name, item in value.items()}
    return value[:wordings] if isinstance(value, list) else value


def _bare(value: Any, *, is_answer: bool = False) -> Any:
    if isinstance(value, dict):
        return {name: item if name in _WHOLE else _bare(item, is_answer=name in _ANSWERS)
                for name, item in value.items()}
    if not is_answer or not isinstance(value, list):
        return value
    shortest = min(value, key=len)
    if "{label}" in shortest:
        return ["{Label}."]
    # "Yes, I hear "{word}"." is "Yes."
    return [shortest.split(",")[0] + "."] if "{word}" in shortest else [shortest]


def capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def fill(template: str, **slots: str) -> str:
    """The template with its slots filled, each in either case."""
    return template.format(**slots, **{capitalise(name): capitalise(value) for name, value in slots.items()})


def ask(templates: Templates, questions: list[str], rng: random.Random, *, is_pair: bool = False, **slots: str) -> str:
    """One of the questions, filled, sometimes behind an opening."""
    question = fill(rng.choice(questions), **slots)
    openings = templates["openings_two" if is_pair else "openings"]
    if not openings or rng.random() >= _OPENING_SHARE:
        return question
    return f"{rng.choice(openings)} {question}"


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


def write_answer(templates: Templates, key: str, label: str, rng: random.Random) -> str:
    """What an answer says of a label, without a full stop: a clause, or in plain templates the bare label."""
    if templates.get("is_plain"):
        return answer_label(templates, key, label)
    return write_clause(templates, key, label, rng)


def write_sentence(clause: str) -> str:
    return f"{capitalise(clause)}."
