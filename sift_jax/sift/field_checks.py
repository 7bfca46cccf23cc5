"""What a table of a free field must be: each fault is one line that names its place and says what
would be right.

"role.json: role: en: answers 'This is {who}.' has the slots who; it takes label, spoken"
"""

import functools
import re
import string
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sift_jax.sift.labels import LABELS, LANGUAGES, find_labels, normalise, read_first_word

_NAME = re.compile(r"[a-z][a-z_]{0,40}")
BRACKETS = re.compile(r"\[([^]]*)\]")
_KEYS = {"columns", "classes", "near", "is_style", "is_balanced", "least_confidence", "languages"}
# Lists of texts by their place in a language's wording, and whether an answer begins with yes or
# no.
_LISTS: Mapping[tuple[str, ...], bool | None] = {
    ("questions",): None,
    ("answers",): None,
    ("answers_female",): None,
    ("answers_male",): None,
    ("verify", "questions"): None,
    ("verify", "yes"): True,
    ("verify", "no"): False,
    ("open", "questions"): None,
    ("open", "answers"): None,
    ("which",): None,
    ("same", "questions"): None,
    ("same", "same"): True,
    ("same", "different"): False,
}
# Those whose text must tell by itself which field it is about.
_SLOTLESS = (("questions",), ("open", "questions"), ("same", "questions"))


class FieldError(ValueError):
    """A table that cannot be used; the message is one line that names the place."""


def check_table(name: str, table: Any, place: str) -> dict[str, Any]:
    """What a field is made of besides its name."""
    _demand(isinstance(table, dict), place, "is not an object")
    _demand(
        bool(_NAME.fullmatch(name)) and name not in LABELS,
        place,
        "is not a name for a field; take small letters and _, and none of " + ", ".join(LABELS),
    )
    strange = table.keys() - _KEYS
    _demand(
        not strange, place, f"has {', '.join(sorted(strange))}; it takes {', '.join(sorted(_KEYS))}"
    )
    classes = _parse_classes(table.get("classes"), place)
    languages = table.get("languages")
    _demand(
        isinstance(languages, dict) and bool(languages) and languages.keys() <= set(LANGUAGES),
        place,
        f"languages are {{xx: wording}}, of {', '.join(LANGUAGES)}",
    )
    near = tuple(_parse_texts(group, f"{place}: near") for group in table.get("near", ()))
    _demand(
        all(label in classes for group in near for label in group),
        place,
        "near names what is not a class",
    )
    confidence = table.get("least_confidence", 0.8)
    _demand(
        isinstance(confidence, int | float) and 0 <= confidence <= 1,
        place,
        "least_confidence is 0 to 1",
    )
    flags = {key: table.get(key, False) for key in ("is_style", "is_balanced")}
    _demand(
        all(isinstance(flag, bool) for flag in flags.values()),
        place,
        f"{' and '.join(flags)} are true or false",
    )
    columns = _parse_texts(table.get("columns", [name]), f"{place}: columns")
    for language, wording in languages.items():
        _check_wording(classes, flags["is_style"], language, wording, f"{place}: {language}")
    return {
        "columns": columns,
        "classes": classes,
        "near": near,
        "least_confidence": float(confidence),
        "languages": languages,
        **flags,
    }


def _parse_classes(value: Any, place: str) -> dict[str, tuple[str, ...]]:
    _demand(
        isinstance(value, dict) and len(value) > 1,
        place,
        "classes are {class: [other spellings]}, two or more",
    )
    classes = {
        label: _parse_texts(names, f"{place}: {label}", least=0) for label, names in value.items()
    }
    taken: dict[str, str] = {}
    for label, names in classes.items():
        for name in (label, *names):
            _demand(
                taken.setdefault(fold(name), label) == label,
                place,
                f"{name!r} is {taken[fold(name)]} and {label}; leave it to one",
            )
    return classes


def _check_wording(
    classes: Mapping[str, Any], is_style: bool, language: str, wording: Any, place: str
) -> None:
    _demand(isinstance(wording, dict), place, "is not an object")
    forms = _check_forms(classes, is_style, language, wording.get("forms"), place)
    known = {key[0] for key in _LISTS} | {"forms"}
    _demand(
        wording.keys() <= known,
        place,
        f"has {', '.join(sorted(wording.keys() - known))}; it takes {', '.join(sorted(known))}",
    )
    for keys, verdict in _LISTS.items():
        texts = functools.reduce(
            lambda node, key: node.get(key) if isinstance(node, dict) else None, keys, wording
        )
        if texts is None:
            whole = wording.get(keys[0]) is not None and len(keys) > 1
            _demand(
                not whole and keys not in (("questions",), ("answers",)),
                place,
                f"{'.'.join(keys)} is missing",
            )
            continue
        slots = (
            set()
            if keys in _SLOTLESS
            else forms
            | ({f"other_{form}" for form in forms} if keys == ("same", "different") else set())
        )
        for text in _parse_texts(texts, f"{place}: {'.'.join(keys)}"):
            _check_text(text, slots, verdict, language, f"{place}: {'.'.join(keys)}")


def _check_forms(
    classes: Mapping[str, Any], is_style: bool, language: str, forms: Any, place: str
) -> set[str]:
    """The names of the forms, which all classes have."""
    _demand(
        isinstance(forms, dict) and forms.keys() == classes.keys(),
        place,
        f"forms has one entry for each of {', '.join(classes)}",
    )
    names = set.intersection(
        *(set(own) if isinstance(own, dict) else set() for own in forms.values())
    )
    needed = {"label", "spoken"} if is_style else {"label"}
    _demand(
        needed <= names and all(set(own) == names for own in forms.values()),
        place,
        f"each class has the same forms, {' and '.join(sorted(needed))} among them",
    )
    taken: dict[str, str] = {}
    for label, own in forms.items():
        for text in own.values():
            _demand(
                isinstance(text, str) and bool(text.strip()),
                place,
                f"a form of {label} is not text",
            )
            for name in list_bracketed(text):
                _demand(
                    taken.setdefault(normalise(name), label) == label,
                    place,
                    f"{name!r} stands for {taken[normalise(name)]} and for {label}; reword one",
                )
            other = find_labels(text, language)
            _demand(
                not other,
                place,
                f"{text!r} holds words of {other[0][0] if other else ''}; reword it",
            )
    return names


def _check_text(
    text: str, slots: Collection[str], verdict: bool | None, language: str, place: str
) -> None:
    try:
        used = {
            name.casefold() for _, name, _, _ in string.Formatter().parse(text) if name is not None
        }
    except ValueError as error:
        raise FieldError(f"{place}: {text!r}: {error}; fix its braces") from None
    _demand(
        used <= set(slots),
        place,
        (
            f"{text!r} has the slots {', '.join(sorted(used))}; it takes "
            f"{', '.join(sorted(slots)) or 'none'}"
        ),
    )
    _demand(
        not slots or bool(used), place, f"{text!r} has no slot; it takes {', '.join(sorted(slots))}"
    )
    if verdict is not None:
        word = "yes" if verdict else "no"
        _demand(
            read_first_word(text, language) is verdict,
            place,
            f"{text!r} does not begin with {word}",
        )


def _parse_texts(value: Any, place: str, least: int = 1) -> tuple[str, ...]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    _demand(
        is_list
        and len(value) >= least
        and all(isinstance(text, str) and text.strip() for text in value),
        place,
        "is not a list of texts",
    )
    return tuple(value)


def _demand(is_right: bool, place: str, fault: str) -> None:
    if not is_right:
        raise FieldError(f"{place} {fault}")


def fold(value: str) -> str:
    return " ".join(re.sub(r"[_\-]+", " ", normalise(value)).split())


def list_bracketed(text: str) -> list[str]:
    match = BRACKETS.search(text)
    return match[1].split("|") if match else [text]
