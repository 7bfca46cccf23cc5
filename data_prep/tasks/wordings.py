"""More wordings of stage 1's instructions than the package has: a file of them, and what a wording
must keep.

    {"en": {"asr": ["Could you put this speech into writing?", …], "tts": ["Read out loud: {text}", …]}, "de": …}
    ─ read_wordings ─►  the same, checked: slots kept, language, length, none twice

`python -m data_prep.tasks.write_wordings` has a language model write such a file; one may as well
write it by hand.
"""

import functools
import json
import re
import string
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import CorpusError
from data_prep.instructions.filters.language_id import is_in_language, list_frequent_words
from data_prep.tasks.example_to_row import LISTS, Templates, load_templates
from sift_jax.sift.labels import LANGUAGES, simplify

# By language and task.
Wordings = dict[str, dict[str, list[str]]]

# The slots that an instruction must have; of the others one or more.
_MUST = {"emotion": {"labels"}, "intent": {"options"}, "tts": {"text"}}
_ANY = {"translation": {"from", "into", "in"}, "speech_to_speech": {"from", "into", "in"}}
# Where a slot holds more than a word it stands at the end, behind a mark.
_AT_THE_END = {"intent": ("options", "\n"), "tts": ("text", " ")}
_LONGEST, _LEAST_LETTERS = 160, 8
_STEM, _LEAST_STEM = 5, 3
# in every request, whatever it is about
_POLITE = {"pleas", "bitte", "plaît", "favor"}
_SLOT = re.compile(r"\{\w+\}")
# In place of a slot, to tell the language and to see what is twice.
_STAND_INS = {"labels": "", "options": "", "text": "", "from": "", "into": "", "in": ""}


def find_wording_fault(text: str, task: str, language: str) -> str | None:
    """What is wrong with a wording, in a few words; None of a good one."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return "braces that do not close"
    names = [name for _, name, _, _ in parts if name is not None]
    must, may = _MUST.get(task, set()), _ANY.get(task, set())
    if any(name is not None and (spec or conversion) for _, name, spec, conversion in parts):
        return "a slot with more than its name"
    if len(names) != len(set(names)) or not must <= set(names) <= must | may:
        return f"its slots are {', '.join(names) or 'none'}"
    if may and not {"into", "in"} & set(names):
        return "the language translated into is missing"
    plain = text.format(**_STAND_INS)
    if len(text) > _LONGEST:
        return "too long"
    if len([letter for letter in plain if letter.isalpha()]) < _LEAST_LETTERS:
        return "too short"
    if not _ends_well(text, task):
        return "the slot does not stand where it belongs"
    if "\n" in text.replace("\n{options}", "") or not (text[0].isupper() or text[0] in "¿¡"):
        return "not one sentence that begins with a capital"
    if not is_in_language(plain, language):
        return "wrong language"
    return (
        None
        if _list_stems(plain, language) & _list_topic(task, language)
        else "it is about something else"
    )


def _ends_well(text: str, task: str) -> bool:
    if task not in _AT_THE_END:
        return True
    name, before = _AT_THE_END[task]
    return text.endswith(f"{before}{{{name}}}")


def _list_stems(text: str, language: str) -> set[str]:
    """The beginnings of its words: "transcribe" and "transcript" are one."""
    frequent = list_frequent_words(language)
    return {
        word[:_STEM]
        for word in simplify(text).split()
        if len(word) >= _LEAST_STEM and word not in frequent
    }


@functools.cache
def _list_topic(task: str, language: str) -> frozenset[str]:
    """The words in which the package's own wordings speak of a task."""
    stems = [_list_stems(_SLOT.sub(" ", text), language) for text in load_templates(language)[task]]
    return frozenset().union(*stems) - _POLITE


def make_wording_key(text: str) -> str:
    """Two wordings that differ in case, spaces and punctuation only are one."""
    return simplify(text)


def read_wordings(path: Path) -> Wordings:
    """The wordings of a file; an error names the first that is wrong."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(
            f"--wordings={path}: {error.strerror}; give a number, or a file that "
            "python -m data_prep.tasks.write_wordings has written"
        ) from None
    except ValueError:
        raise CorpusError(
            f'--wordings={path} is not JSON; give {{"en": {{"asr": ["…"]}}}}'
        ) from None
    if not isinstance(found, dict) or not all(isinstance(tasks, dict) for tasks in found.values()):
        raise CorpusError(
            f'--wordings={path} does not hold tasks by language; give {{"en": {{"asr": ["…"]}}}}'
        )
    for language, tasks in found.items():
        if language not in LANGUAGES:
            raise CorpusError(
                f"--wordings={path}: no language {language!r}; the languages are "
                f"{', '.join(LANGUAGES)}"
            )
        for task, texts in tasks.items():
            _check(path, language, task, texts)
    return found


def _check(path: Path, language: str, task: str, texts: Any) -> None:
    if task not in LISTS:
        raise CorpusError(f"--wordings={path}: no task {task!r}; choose of {', '.join(LISTS)}")
    if not isinstance(texts, list):
        raise CorpusError(f"--wordings={path}: {language} {task} is not a list of texts")
    for text in texts:
        fault = (
            find_wording_fault(text, task, language)
            if isinstance(text, str) and text
            else "it is not text"
        )
        if fault is not None:
            raise CorpusError(
                f"--wordings={path}: {language} {task} {str(text)[:60]!r}: {fault}; fix or "
                "delete it"
            )


def make_templates(limit: int | None, added: Wordings) -> dict[str, Templates]:
    """The templates of all languages, with wordings beside the package's own and at most so many of
    each list."""
    templates = {}
    for language in LANGUAGES:
        own = load_templates(language)
        lists = {
            task: list(dict.fromkeys([*own[task], *added.get(language, {}).get(task, ())]))[:limit]
            for task in LISTS
        }
        templates[language] = {**own, **lists}
    return templates
