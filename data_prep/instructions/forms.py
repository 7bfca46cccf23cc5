"""Forms that training may ask of an answer, each made of the answer itself.

    How loud is she?   She speaks loudly.   ─ brackets ─►   How loud is she? Put your answer in square brackets.
                                                            [She speaks loudly.]

None of them is one of the evaluation's (sift_jax/evaluation/scores/constraints.py): what is judged
there is whether a model does as it is told, not whether it was drilled in these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from sift_jax.sift.rows import Row
from sift_jax.text.chat import add_sentence

WORDINGS: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("forms.json").read_text(encoding="utf-8")
)

FORMS: dict[str, Callable[[str], str]] = {
    "quotes": lambda text: f'"{text}"',
    "brackets": lambda text: f"[{text}]",
    "tags": lambda text: f"<answer>{text}</answer>",
    "bold": lambda text: f"**{text}**",
    "heading": lambda text: f"# {text}",
    "twice": lambda text: f"{text}\n{text}",
    "hyphens": lambda text: "-".join(text.split()),
    "no_full_stop": lambda text: text.removesuffix("."),
}

ABBREVIATIONS = ("etc.", "usw.", "ecc.", "ca.", "st.", "dr.", "mr.", "mrs.")


def list_forms(answer: str) -> list[str]:
    """The forms that an answer can take without a doubt what is meant: text that has the form
    already, or breaks it from within, does not take it."""
    text = answer.strip()
    if not text or "\n" in text:
        return []
    taken = [name for name in FORMS if name not in ("quotes", "hyphens", "no_full_stop")]
    # he said "no": a quotation mark in quotation marks
    if '"' not in text:
        taken.append("quotes")
    # well-known: a hyphen that is the word's own; and of one word there is nothing to join
    if not set(text) & set("-–—") and len(text.split()) > 1:
        taken.append("hyphens")
    # 3 p.m., etc. and … keep their full stops
    last = text.split()[-1]
    is_short = last.lower() in ABBREVIATIONS or "." in last[:-1]
    if text.endswith(".") and not text.endswith("..") and not is_short:
        taken.append("no_full_stop")
    if any(mark in text for mark in "[]<>*#"):
        return [name for name in taken if name in ("twice", "no_full_stop")]
    return taken


def ask_form(row: Row, language: str) -> Row | None:
    """The row with a form asked for and kept to; which one follows from the row. None where its
    answer can take none: it is spoken, or there are several turns."""
    messages = row["messages"]
    if len(messages) != 2 or language not in WORDINGS:
        return None
    question, answer = messages
    if any("text" not in part for part in answer["content"]) or len(answer["content"]) != 1:
        return None
    text = answer["content"][0]["text"].strip()
    possible = list_forms(text)
    if not possible:
        return None
    draw = draw_of(row)
    form = sorted(possible)[draw % len(possible)]
    wordings = WORDINGS[language][form]
    asked = wordings[draw // len(possible) % len(wordings)]
    return Row(
        **{
            **row,
            "messages": [
                {**question, "content": add_sentence(question["content"], asked)},
                {**answer, "content": [{"text": FORMS[form](text)}]},
            ],
        }
    )


def draw_of(row: Row) -> int:
    """A number that is the row's own: of its utterance, its question and its answer."""
    text = json.dumps([row["id"], row["messages"]], ensure_ascii=False, sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
