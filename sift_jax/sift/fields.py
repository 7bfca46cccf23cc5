"""Free fields of a corpus as labels: a table a field says what its classes are called, and what is
asked about them.

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
        "forms": {"narrator": {"label": "a [narrator|storyteller]", "spoken": "like a [narrator]"},
        …},
        "questions": ["Who is speaking?", …],           without slots
        "answers": ["This is {label}."],                a slot is a form, as the language wants it
        "verify": {"questions": ["Is this {label}?"], "yes": ["Yes, this is {label}."], "no": ["No,
        this is {label}."]}, "open": {"questions": […], "answers": […]}, "which": ["In which
        recording do you hear {label}?"], "same": {"questions": […], "same": ["Yes, twice
        {label}."], "different": ["No, {label}, then {other_label}."]}
      }}}}

A form is written without its brackets and with the first of what they hold; what they hold is what
is looked for in an answer. `answers_female` and `answers_male` hold answers about a woman or a man.
Questions, answers and the form `label` must be there; all else may be left out, and is not asked
then. What a table does not say is never guessed.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.sift.field_checks import BRACKETS, check_table, fold, list_bracketed
from sift_jax.sift.field_checks import FieldError as FieldError
from sift_jax.sift.labels import GENDERS, normalise, remove_quotations

FILE = "fields.json"
DIRECT, OPEN = "direct", "open"
# Where a wording has its answers about a woman or a man.
GENDERED_ANSWERS = {gender: f"answers_{gender}" for gender in GENDERS}
_OWN_TABLES = Path(__file__).parent / "field_tables"


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
        return {
            fold(name): label for label, names in self.classes.items() for name in (label, *names)
        }

    def find_class(self, value: str) -> str | None:
        """The class that a corpus's value is one of the spellings of."""
        return self._spellings.get(fold(value))

    def is_near(self, one: str, other: str) -> bool:
        return one == other or any(one in group and other in group for group in self.near)

    def write_form(self, label: str, form: str, language: str) -> str:
        text = self.languages[language]["forms"][label][form]
        return BRACKETS.sub(lambda match: match[1].split("|")[0], text)

    def list_slots(self, label: str, language: str, prefix: str = "") -> dict[str, str]:
        """All forms of a class, by the names of their slots."""
        forms = self.languages[language]["forms"][label]
        return {f"{prefix}{form}": self.write_form(label, form, language) for form in forms}

    def list_names(self, language: str, form: str | None = None) -> dict[str, str]:
        """What stands in a text for a class, of one form or of all: {"wütend": "angry", "Wut":
        "angry", …}."""
        if language not in self.languages:
            return {}
        return {
            name: label
            for label, forms in self.languages[language]["forms"].items()
            for key, text in forms.items()
            if form in (None, key)
            for name in list_bracketed(text)
        }

    def find_named(self, text: str, language: str) -> list[str]:
        """The classes of which a word stands in a text outside of quotations, each once, in
        order."""
        names = {normalise(name): label for name, label in self.list_names(language).items()}
        if not names:
            return []
        longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        found = re.findall(rf"(?<!\w)(?:{longest_first})(?!\w)", normalise(remove_quotations(text)))
        return list(dict.fromkeys(names[name] for name in found))

    def limit(self, wordings: int | None) -> "Field":
        """With at most so many wordings of each question and answer."""
        return (
            self
            if wordings is None
            else dataclasses.replace(self, languages=_limit(self.languages, wordings))
        )

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "name"}


Fields = tuple[Field, ...]


def load_fields(path: Path | None = None) -> Fields:
    """The tables that are built in and those of a file; one of the same name takes the place of a
    built-in one."""
    tables: dict[str, Field] = {}
    for file in (*sorted(_OWN_TABLES.glob("*.json")), *([path] if path else ())):
        tables |= {field.name: field for field in read_fields(file)}
    taken: dict[str, str] = {}
    for field in tables.values():
        for column in field.columns:
            if taken.setdefault(column, field.name) != field.name:
                raise FieldError(
                    f"{path}: the column {column!r} is of {taken[column]} and of "
                    f"{field.name}; leave it out of one"
                )
    return tuple(tables.values())


def read_fields(path: Path) -> Fields:
    """The tables of a file, each checked; none where there is no such file in a build."""
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FieldError(
            f"{path}: cannot be read ({error.strerror}); give a file of tables"
        ) from None
    except ValueError as error:
        raise FieldError(f"{path}: not JSON ({error}); fix it") from None
    if not isinstance(tables, dict) or not tables:
        raise FieldError(
            f'{path}: holds no tables; write {{"role": {{"classes": …, "languages": …}}}}'
        )
    return tuple(parse_field(name, table, f"{path}: {name}") for name, table in tables.items())


def read_build_fields(build: Path) -> Fields:
    """Those that a build's rows are about."""
    return read_fields(build / FILE) if (build / FILE).is_file() else ()


def write_fields(path: Path, fields: Iterable[Field]) -> None:
    tables = {field.name: field.to_json() for field in fields}
    path.write_text(json.dumps(tables, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def find_style(fields: Iterable[Field], phrase: str, language: str) -> tuple[Field, str] | None:
    """The field and class of a phrase of a style ("angrily"), if it is one that may be asked of a
    speaker."""
    for field in fields:
        if field.is_style and language in field.languages:
            spoken = field.list_names(language, "spoken")
            spoken |= {
                field.write_form(label, "spoken", language): label for label in field.classes
            }
            found = {normalise(name): label for name, label in spoken.items()}.get(
                normalise(phrase)
            )
            if found:
                return field, found
    return None


def find_styles(fields: Iterable[Field], text: str, language: str) -> dict[str, str]:
    """Field to class, of the spoken phrases that stand in a text; of a field with two, none."""
    found = {}
    for field in fields:
        if not field.is_style or language not in field.languages:
            continue
        labels = {
            label
            for label in field.classes
            if re.search(
                rf"(?<!\w){re.escape(normalise(field.write_form(label, 'spoken', language)))}(?!\w)",
                normalise(text),
            )
        }
        if len(labels) == 1:
            found[field.name] = labels.pop()
    return found


def find_field(fields: Iterable[Field], question: str, language: str) -> tuple[Field, str] | None:
    """Which field a question asks for, and whether directly or openly: it ends with one of the
    field's own."""
    asked = normalise(question)
    for field in fields:
        wording = field.languages.get(language, {})
        for kind, questions in (
            (DIRECT, wording.get("questions")),
            (OPEN, wording.get("open", {}).get("questions")),
        ):
            if any(asked.endswith(normalise(text)) for text in questions or ()):
                return field, kind
    return None


def parse_field(name: str, table: Any, place: str) -> Field:
    """A field from its JSON value; an error says what is wrong with it and what would be right."""
    return Field(name=name, **check_table(name, table, place))


def _limit(value: Any, wordings: int) -> Any:
    if isinstance(value, Mapping):
        return {
            name: item if name == "forms" else _limit(item, wordings)
            for name, item in value.items()
        }
    return (
        tuple(value)[:wordings]
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )
