"""Whether an answer conforms to the form that was asked of it: rules, no judge.

constraint      followed by                              not by
upper           IT IS LOUD.                              It IS LOUD.
words:3         It is loud.                              It is quite loud.
json            {"answer": "loud", "reason": "…"}        {"answer": "loud"}        keys more, fewer or empty
bullets:2       - loud⏎- clear                           loud⏎- clear
language:fr     La voix est forte.                       The voice is loud.        "Forte." says no language: no score

A word is what stands between spaces and holds a letter or a digit: "l'heure" is one, "–" is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

# what an answer is to begin or end with, and a language's commonest words, by language
BEGIN = {
    "en": "In short:",
    "de": "Kurz gesagt:",
    "fr": "En bref :",
    "it": "In breve:",
    "es": "En resumen:",
}
END = {
    "en": "That is all.",
    "de": "Das ist alles.",
    "fr": "C'est tout.",
    "it": "È tutto.",
    "es": "Eso es todo.",
}
COMMON_WORDS = {
    "en": "the and is are was it in on with for this that of to she he speaks voice not very",
    "de": "der die das und ist sind war es im mit für dieser nicht sehr sie er spricht stimme ein",
    "fr": "le la les et est sont était il elle dans avec pour cette ce ne pas très parle voix une",
    "it": "il lo la gli e è sono era nel con per questa questo non molto lei lui parla voce una",
    "es": "el la los y es son era en con para esta este no muy ella él habla voz una se",
}
JSON_KEYS = ("answer", "reason")
_WORD = re.compile(r"\S*\w\S*")
_BULLET = re.compile(r"\s*(?:[-*•–]|\d+[.)])\s+\S")
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


def split_constraint(constraint: str) -> tuple[str, str]:
    """words:3 is (words, 3)."""
    kind, _, argument = constraint.partition(":")
    return kind, argument


def check_constraint(constraint: str) -> None:
    """ValueError where there is no such constraint, or its number or language is none."""
    kind, argument = split_constraint(constraint)
    if kind not in _RULES:
        raise ValueError(
            f"no constraint is called {constraint!r}; there are {', '.join(sorted(_RULES))}"
        )
    if kind in _NUMBERED and not (argument.isdecimal() and int(argument) > 0):
        raise ValueError(f"{constraint!r} needs a number, as in {kind}:3")
    if kind == "language" and argument not in COMMON_WORDS:
        raise ValueError(f"{constraint!r}: the languages are {', '.join(COMMON_WORDS)}")
    if kind not in _NUMBERED and kind != "language" and argument:
        raise ValueError(f"{constraint!r} takes nothing behind a colon; write {kind}")


def is_followed(constraint: str, language: str, answer: str) -> bool | None:
    """Whether the answer has the form; None where it is too short to say its language."""
    kind, argument = split_constraint(constraint)
    if not answer.strip():
        return False
    return _RULES[kind](answer.strip(), argument, language)


def unpack(constraint: str, language: str, answer: str) -> str:
    """The answer without the form: what is compared with the reference."""
    kind, _ = split_constraint(constraint)
    text = answer.strip()
    if kind == "json" and (found := _read_object(text)) is not None:
        return str(found.get(JSON_KEYS[0], ""))
    if kind == "begin":
        return text.removeprefix(_phrase(BEGIN, language)).strip()
    if kind == "end":
        return text.removesuffix(_phrase(END, language)).strip()
    if kind == "bullets":
        return " ".join(re.sub(r"^\s*(?:[-*•–]|\d+[.)])\s+", "", x) for x in text.split("\n"))
    return text


def _phrase(phrases: dict[str, str], language: str) -> str:
    return phrases.get(language.partition("-")[0], phrases["en"])


def _count_words(text: str) -> int:
    return len(_WORD.findall(text))


def _is_upper(text: str, _argument: str, _language: str) -> bool:
    # ß has a capital that hardly anybody writes
    return not any(c.islower() for c in text if c != "ß") and any(c.isupper() for c in text)


def _is_lower(text: str, _argument: str, _language: str) -> bool:
    return not any(c.isupper() for c in text) and any(c.islower() for c in text)


def _has_bullets(text: str, argument: str, _language: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) == int(argument) and all(_BULLET.match(line) for line in lines)


def _is_json(text: str, _argument: str, _language: str) -> bool:
    found = _read_object(text)
    if found is None or set(found) != set(JSON_KEYS):
        return False
    # 0 and false are answers
    return not any(value is None or value in ("", [], {}) for value in found.values())


def _read_object(text: str) -> dict[str, object] | None:
    """The object that the whole answer is, within a code fence or without."""
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_in_language(text: str, argument: str, _language: str) -> bool | None:
    """By the commonest words of five languages: most of those found must be of the one asked for."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = {
        name: sum(word in common.split() for word in words) for name, common in COMMON_WORDS.items()
    }
    most = max(counts.values())
    best = [name for name, count in counts.items() if count == most]
    if most == 0 or (len(best) > 1 and argument in best):
        return None
    return best == [argument]


_NUMBERED = ("words", "most_words", "bullets")
_RULES: dict[str, Callable[[str, str, str], bool | None]] = {
    "upper": _is_upper,
    "lower": _is_lower,
    "json": _is_json,
    "bullets": _has_bullets,
    "words": lambda text, argument, _: _count_words(text) == int(argument),
    "most_words": lambda text, argument, _: 0 < _count_words(text) <= int(argument),
    "one_word": lambda text, _argument, _language: _count_words(text) == 1,
    "no_comma": lambda text, _argument, _language: not re.search("[,،、，]", text),
    "begin": lambda text, _, language: text.startswith(_phrase(BEGIN, language)),
    "end": lambda text, _, language: text.endswith(_phrase(END, language)),
    "language": _is_in_language,
}
KINDS = tuple(_RULES)
