"""How a suite's items are put as questions, where the suite itself has no words for them.

    prompts.json   {"asr": {"en": "Write down what the speaker says.", "de": …}, "emotion": {"en": "… {labels}."}, …}
    override       {"asr": {"de": "Transkribiere."}}     one language
                   {"asr": "Transcribe the speech."}     the same words in every language
                   "my_prompts.json"                     a file that holds either

What another model was trained to be asked is an override too, so that each is asked as it wants to
be.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.schema import EvaluationError

# task → language → wording
Prompts = dict[str, dict[str, str]]

_PACKAGED = Path(__file__).with_name("prompts.json")
# Fields that a wording may do without: a model may know them of its training.
_OPTIONAL = {"names", "into"}


def load_prompts(override: Mapping[str, Any] | str | Path = "") -> Prompts:
    """The package's wordings with those of a mapping, or of a JSON file, in their place."""
    prompts: Prompts = json.loads(_PACKAGED.read_text(encoding="utf-8"))
    if not isinstance(override, Mapping):
        override = _read_override(Path(override)) if str(override) else {}
    for task, wordings in override.items():
        if task not in prompts:
            raise EvaluationError(f"no prompts for {task!r}; the tasks are {', '.join(prompts)}")
        if not isinstance(wordings, Mapping):
            wordings = dict.fromkeys(prompts[task], wordings)
        for language, text in wordings.items():
            _check_wording(task, language, text, prompts[task]["en"])
            prompts[task][language] = text
    return prompts


def word_prompt(prompts: Prompts, task: str, language: str, **fields: str) -> str:
    """The question of a task in a language, its fields filled in."""
    if language not in prompts[task]:
        known = ", ".join(prompts[task])
        raise EvaluationError(
            f"no prompt for {task} in {language!r} (there is {known}); add one to the prompts"
        )
    return prompts[task][language].format(**fields)


def hash_prompts(prompts: Prompts) -> str:
    """Sixteen digits that tell one set of wordings from another."""
    return hashlib.sha256(json.dumps(prompts, sort_keys=True).encode()).hexdigest()[:16]


def _read_override(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = (
            f"{path}: prompts cannot be read ({error}); give a JSON file of task, language and text"
        )
        raise EvaluationError(message) from None
    if not isinstance(found, Mapping):
        raise EvaluationError(
            f"{path}: holds {type(found).__name__}, not an object of tasks; see prompts.json"
        )
    return found


def _check_wording(task: str, language: str, text: Any, example: str) -> None:
    """A field that a wording drops would take the choices out of the question; one too many would
    stop the run."""
    fields = _list_fields(example)
    try:
        found = _list_fields(text) if isinstance(text, str) else set()
    except ValueError:
        found = {"a broken field"}
    if not isinstance(text, str) or not text.strip() or not fields - _OPTIONAL <= found <= fields:
        names = " and ".join(f"{{{name}}}" for name in sorted(fields)) or "no field"
        raise EvaluationError(
            f"the prompt for {task} in {language!r} must be a text with {names} in it, not {text!r}"
        )


def _list_fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
