"""Free fields of a corpus as labels: a table a field says what its classes are called, and what is asked about them.

    manifest {"audio": …, "emotion": "ang"}  ── find_class ─►  "angry"
    "angry", "de"                            ── write_form ─►  "wütend", or as it is spoken: "wütend"
    "Welches Gefühl hörst du in der Stimme?" ── find_field ─►  the field "emotion", whose classes the answer is one of

    {"role": {
      "columns": ["role", "part"],                      names in a manifest; the field's own where there are none
      "classes": {"narrator": ["narr", "N"], …},        each with the other spellings of a corpus
      "near": [["narrator", "author"]],                 never held against each other
      "is_style": true, "is_balanced": false,           may be asked of a speaker; classes stay even in EvalSIFT
      "least_confidence": 0.8,                          of an expert: below it nothing is said
      "languages": {"en": {
        "forms": {"narrator": {"label": "a [narrator|storyteller]", "spoken": "like a [narrator]"}, …},
        "questions": ["Who is speaking?", …],           without slots
        "answers": ["This is {label}."],                a slot is a form, as the language wants it
        "verify": {"questions": ["Is this {label}?"], "yes": ["Yes, this is {label}."], "no": ["No, this is {label}."]},
        "open": {"questions": […], "answers": […]},
        "which": ["In which recording do you hear {label}?"],
        "same": {"questions": […], "same": ["Yes, twice {label}."], "different": ["No, {label}, then {other_label}."]}
      }}}}

A form is written without its brackets and with the first of what they hold; what they hold is what is looked for in an
answer. `answers_female` and `answers_male` hold answers about a woman or a man. Questions, answers and the form `label`
must be there; all else may be left out, and is not asked then. What a table does not say is never guessed.
"""

import dataclasses
import functools
import json
import re
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.data.labels import (
    GENDERS,
    LABELS,
    LANGUAGES,
    find_labels,
    normalise,
    read_first_word,
    remove_quotations,
)

FILE = "fields.json"
DIRECT, OPEN = "direct", "open"
# Where a wording has its answers about a woman or a man.
GENDERED_ANSWERS = {gender: f"answers_{gender}" for gender in GENDERS}
_OWN_TABLES = Path(__file__).parent / "field_tables"
_NAME = re.compile(r"[a-z][a-z_]{0,40}")
_BRACKETS = re.compile(r"\[([^]]*)\]")
_KEYS = {"columns", "classes", "near", "is_style", "is_balanced", "least_confidence", "languages"}
# Lists of texts by their place in a language's wording, and whether an answer begins with yes or no.
_LISTS: Mapping[tuple[str, ...], bool | None] = {
    ("questions",): None, ("answers",): None, ("answers_female",): None, ("answers_male",): None,
    ("verify", "questions"): None, ("verify", "yes"): True, ("verify", "no"): False,
    ("open", "questions"): None, ("open", "answers"): None, ("which",): None,
    ("same", "questions"): None, ("same", "same"): True, ("same", "different"): False}
# Those whose text must tell by itself which field it is about.
_SLOTLESS = (("questions",), ("open", "questions"), ("same", "questions"))


class FieldError(ValueError):
    """A table that cannot be used; the message is one line that names the place."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A field, its classes with their other spellings, and its wording by language."""

    name: str
    columns: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    near: tuple[tuple[str, ...], ...]
    is_style: bool
    is_balanced: bool
    least_confidence: float
    languages: Mapping[str, Mapping[str, Any]]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @functools.cached_property
    def _spellings(self) -> dict[str, str]:
        return {_fold(name): label for label, names in self.classes.items() for name in (label, *names)}

    def find_class(self, value: str) -> str | None:
        """The class that a corpus's value is one of the spellings of."""
        return self._spellings.get(_fold(value))

    def is_near(self, one: str, other: str) -> bool:
        return one == other or any(one in group and other in group for group in self.near)

    def write_form(self, label: str, form: str, language: str) -> str:
        text = self.languages[language]["forms"][label][form]
        return _BRACKETS.sub(lambda match: match[1].split("|")[0], text)

    def list_slots(self, label: str, language: str, prefix: str = "") -> dict[str, str]:
        """All forms of a class, by the names of their slots."""
        forms = self.languages[language]["forms"][label]
        return {f"{prefix}{form}": self.write_form(label, form, language) for form in forms}

    def list_names(self, language: str, form: str | None = None) -> dict[str, str]:
        """What stands in a text for a class, of one form or of all: {"wütend": "angry", "Wut": "angry", …}."""
        if language not in self.languages:
            return {}
        return {name: label for label, forms in self.languages[language]["forms"].items()
                for key, text in forms.items() if form in (None, key) for name in _list_bracketed(text)}

    def find_named(self, text: str, language: str) -> list[str]:
        """The classes of which a word stands in a text outside of quotations, each once, in order."""
        names = {normalise(name): label for name, label in self.list_names(language).items()}
        if not names:
            return []
        longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        found = re.findall(rf"(?<!\w)(?:{longest_first})(?!\w)", normalise(remove_quotations(text)))
        return list(dict.fromkeys(names[name] for name in found))

    def limit(self, wordings: int | None) -> "Field":
        """With at most so many wordings of each question and answer."""
        return self if wordings is None else dataclasses.replace(self, languages=_limit(self.languages, wordings))

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "name"}


Fields = tuple[Field, ...]


def load_fields(path: Path | None = None) -> Fields:
    """The tables that are built in and those of a file; one of the same name takes the place of a built-in one."""
    tables: dict[str, Field] = {}
    for file in (*sorted(_OWN_TABLES.glob("*.json")), *([path] if path else ())):
        tables |= {field.name: field for field in read_fields(file)}
    taken: dict[str, str] = {}
    for field in tables.values():
        for column in field.columns:
            if taken.setdefault(column, field.name) != field.name:
                raise FieldError(f"{path}: the column {column!r} is of {taken[column]} and of {field.name}; leave it "
                                 "out of one")
    return tuple(tables.values())


def read_fields(path: Path) -> Fields:
    """The tables of a file, each checked; none where there is no such file in a build."""
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FieldError(f"{path}: cannot be read ({error.strerror}); give a file of tables") from None
    except ValueError as error:
        raise FieldError(f"{path}: not JSON ({error}); mend it") from None
    if not isinstance(tables, dict) or not tables:
        raise FieldError(f"{path}: holds no tables; write {{\"role\": {{\"classes\": …, \"languages\": …}}}}")
    return tuple(parse_field(name, table, f"{path}: {name}") for name, table in tables.items())


def read_build_fields(build: Path) -> Fields:
    """Those that a build's rows are about."""
    return read_fields(build / FILE) if (build / FILE).is_file() else ()


def write_fields(path: Path, fields: Iterable[Field]) -> None:
    tables = {field.name: field.to_json() for field in fields}
    path.write_text(json.dumps(tables, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def find_style(fields: Iterable[Field], phrase: str, language: str) -> tuple[Field, str] | None:
    """The field and class of a phrase of a style ("angrily"), if it is one that may be asked of a speaker."""
    for field in fields:
        if field.is_style and language in field.languages:
            spoken = field.list_names(language, "spoken")
            spoken |= {field.write_form(label, "spoken", language): label for label in field.classes}
            found = {normalise(name): label for name, label in spoken.items()}.get(normalise(phrase))
            if found:
                return field, found
    return None


def find_styles(fields: Iterable[Field], text: str, language: str) -> dict[str, str]:
    """Field to class, of the spoken phrases that stand in a text; of a field with two, none."""
    found = {}
    for field in fields:
        if not field.is_style or language not in field.languages:
            continue
        labels = {label for label in field.classes
                  if re.search(rf"(?<!\w){re.escape(normalise(field.write_form(label, 'spoken', language)))}(?!\w)",
                               normalise(text))}
        if len(labels) == 1:
            found[field.name] = labels.pop()
    return found


def find_field(fields: Iterable[Field], question: str, language: str) -> tuple[Field, str] | None:
    """Which field a question asks for, and whether directly or openly: it ends with one of the field's own."""
    asked = normalise(question)
    for field in fields:
        wording = field.languages.get(language, {})
        for kind, questions in ((DIRECT, wording.get("questions")), (OPEN, wording.get("open", {}).get("questions"))):
            if any(asked.endswith(normalise(text)) for text in questions or ()):
                return field, kind
    return None


def parse_field(name: str, table: Any, place: str) -> Field:
    """A field from its JSON value; an error says what is wrong with it and what would be right."""
    _demand(isinstance(table, dict), place, "is no object")
    _demand(bool(_NAME.fullmatch(name)) and name not in LABELS, place,
            "is no name for a field; take small letters and _, and none of " + ", ".join(LABELS))
    strange = table.keys() - _KEYS
    _demand(not strange, place, f"has {', '.join(sorted(strange))}; it takes {', '.join(sorted(_KEYS))}")
    classes = _parse_classes(table.get("classes"), place)
    languages = table.get("languages")
    _demand(isinstance(languages, dict) and bool(languages) and languages.keys() <= set(LANGUAGES), place,
            f"languages are {{xx: wording}}, of {', '.join(LANGUAGES)}")
    near = tuple(map(tuple, table.get("near", ())))
    _demand(all(label in classes for group in near for label in group), place, "near names what is no class")
    confidence = table.get("least_confidence", 0.8)
    _demand(isinstance(confidence, int | float) and 0 <= confidence <= 1, place, "least_confidence is 0 to 1")
    flags = {key: table.get(key, False) for key in ("is_style", "is_balanced")}
    _demand(all(isinstance(flag, bool) for flag in flags.values()), place, f"{' and '.join(flags)} are true or false")
    field = Field(name=name, columns=_parse_texts(table.get("columns", [name]), f"{place}: columns"), classes=classes,
                  near=near, least_confidence=float(confidence), languages=languages, **flags)
    for language, wording in languages.items():
        _check_wording(field, language, wording, f"{place}: {language}")
    return field


def _parse_classes(value: Any, place: str) -> dict[str, tuple[str, ...]]:
    _demand(isinstance(value, dict) and len(value) > 1, place, "classes are {class: [other spellings]}, two or more")
    classes = {label: _parse_texts(names, f"{place}: {label}", least=0) for label, names in value.items()}
    taken: dict[str, str] = {}
    for label, names in classes.items():
        for name in (label, *names):
            _demand(taken.setdefault(_fold(name), label) == label, place,
                    f"{name!r} is {taken[_fold(name)]} and {label}; leave it to one")
    return classes


def _check_wording(field: Field, language: str, wording: Any, place: str) -> None:
    _demand(isinstance(wording, dict), place, "is no object")
    forms = _check_forms(field, language, wording.get("forms"), place)
    known = {key[0] for key in _LISTS} | {"forms"}
    _demand(wording.keys() <= known, place, f"has {', '.join(sorted(wording.keys() - known))}; it takes "
                                            f"{', '.join(sorted(known))}")
    for keys, verdict in _LISTS.items():
        texts = functools.reduce(lambda node, key: node.get(key) if isinstance(node, dict) else None, keys, wording)
        if texts is None:
            whole = wording.get(keys[0]) is not None and len(keys) > 1
            _demand(not whole and keys not in (("questions",), ("answers",)), place, f"{'.'.join(keys)} is missing")
            continue
        slots = set() if keys in _SLOTLESS else forms | ({f"other_{form}" for form in forms}
                                                         if keys == ("same", "different") else set())
        for text in _parse_texts(texts, f"{place}: {'.'.join(keys)}"):
            _check_text(text, slots, verdict, language, f"{place}: {'.'.join(keys)}")


def _check_forms(field: Field, language: str, forms: Any, place: str) -> set[str]:
    """The names of the forms, which all classes have."""
    _demand(isinstance(forms, dict) and forms.keys() == field.classes.keys(), place,
            f"forms has one entry for each of {', '.join(field.classes)}")
    names = set.intersection(*(set(own) if isinstance(own, dict) else set() for own in forms.values()))
    needed = {"label", "spoken"} if field.is_style else {"label"}
    _demand(needed <= names and all(set(own) == names for own in forms.values()), place,
            f"each class has the same forms, {' and '.join(sorted(needed))} among them")
    taken: dict[str, str] = {}
    for label, own in forms.items():
        for text in own.values():
            _demand(isinstance(text, str) and bool(text.strip()), place, f"a form of {label} is no text")
            for name in _list_bracketed(text):
                _demand(taken.setdefault(normalise(name), label) == label, place,
                        f"{name!r} stands for {taken[normalise(name)]} and for {label}; reword one")
            other = find_labels(text, language)
            _demand(not other, place, f"{text!r} holds words of {other[0][0] if other else ''}; reword it")
    return names


def _check_text(text: str, slots: Collection[str], verdict: bool | None, language: str, place: str) -> None:
    try:
        used = {name.casefold() for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise FieldError(f"{place}: {text!r}: {error}; mend its braces") from None
    _demand(used <= set(slots), place, f"{text!r} has the slots {', '.join(sorted(used))}; "
                                       f"it takes {', '.join(sorted(slots)) or 'none'}")
    _demand(not slots or bool(used), place, f"{text!r} has no slot; it takes {', '.join(sorted(slots))}")
    if verdict is not None:
        word = "yes" if verdict else "no"
        _demand(read_first_word(text, language) is verdict, place, f"{text!r} does not begin with {word}")


def _parse_texts(value: Any, place: str, least: int = 1) -> tuple[str, ...]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    _demand(is_list and len(value) >= least and all(isinstance(text, str) and text.strip() for text in value), place,
            "is no list of texts")
    return tuple(value)


def _demand(is_right: bool, place: str, fault: str) -> None:
    if not is_right:
        raise FieldError(f"{place} {fault}")


def _fold(value: str) -> str:
    return " ".join(re.sub(r"[_\-]+", " ", normalise(value)).split())


def _list_bracketed(text: str) -> list[str]:
    match = _BRACKETS.search(text)
    return match[1].split("|") if match else [text]


def _limit(value: Any, wordings: int) -> Any:
    if isinstance(value, Mapping):
        return {name: item if name == "forms" else _limit(item, wordings) for name, item in value.items()}
    return tuple(value)[:wordings] if isinstance(value, Sequence) and not isinstance(value, str) else value
