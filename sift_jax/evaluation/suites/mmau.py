"""MMAU's test-mini: a thousand questions with choices about sound, music and speech.

    mmau-test-mini.json              [{"id": "3fe64f3d", "audio_id": "./test-mini-audios/3fe64f3d.wav", "question": …,
                                       "choices": ["Man", "Woman", …], "answer": "Man", "task": "sound",
                                       "difficulty": "easy", "category": "Reasoning",
                                       "sub-category": "Acoustic Source Inference", …}, …]
    test-mini-audios/3fe64f3d.wav
    test_mini.parquet                context {bytes, path}, instruction, choices ["(A) Man", …], answer "(A) Man",
                                     other_attributes '{"id": "3fe64f3d", "task": "sound", …}'

The first two are the list in the benchmark's repository (`Sakshi113/MMAU`) with the archive of its
audio unpacked beside it; the third is the hub's `gamma-lab-umd/MMAU-test-mini`, whose audio is
written out once. A part is a domain, `task` in the files. The score is the benchmark's own
comparison of words (`scores/choices.py`). Answers to the 9,000 questions of its test are withheld:
a row without an answer is skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import Row, read_json, read_parquet, write_clip
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("sound", "music", "speech")
LIST, TABLE = "mmau-test-mini.json", "test_mini.parquet"
# what a facet of ours is called in the files
_FACETS = {"difficulty": "difficulty", "category": "category", "skill": "sub-category"}
_KEYS = ("audio_id", "question", "choices", "task")
_COLUMNS = ("context", "instruction", "choices", "other_attributes")
_LETTER = re.compile(r"\(([A-Z])\)\s+")


def read_mmau(
    root: Path,
    *,
    name: str = "mmau",
    subsets: Sequence[str] = SUBSETS,
    cache_dir: Path | None = None,
    prompts: Prompts,
) -> Suite:
    gathering = Gathering(name)
    if unknown := [subset for subset in subsets if subset not in SUBSETS]:
        raise EvaluationError(
            f"{name}: no domain {', '.join(unknown)}; its domains are {', '.join(SUBSETS)}"
        )
    for place, row in _read_rows(root, cache_dir):
        if isinstance(row, str):
            gathering.leave(place, "", row)
        elif row["task"] in subsets:
            _ask_row(place, row, gathering, prompts)
    return gathering.finish()


def _ask_row(place: str, row: Row, gathering: Gathering, prompts: Prompts) -> None:
    own_id, subset = str(row.get("id") or place), str(row["task"])
    if not row.get("answer"):
        reason = "its answer is withheld; the benchmark's authors score it"
        gathering.leave(own_id, subset, reason)
        return
    *choices, answer = _remove_letters([*map(str, row["choices"]), str(row["answer"])])
    gathering.ask(
        own_id,
        subset=subset,
        language="en",
        audio=[row["clip"]] if row["clip"] else [],
        question=word_prompt(
            prompts, "choice", "en", question=str(row["question"]), options="\n".join(choices)
        ),
        references=[answer],
        # a few questions list a choice twice
        labels=list(dict.fromkeys(choices)),
        metrics=["choice"],
        facets={facet: _join(row.get(key)) for facet, key in _FACETS.items()},
    )


def _read_rows(root: Path, cache_dir: Path | None) -> Iterator[tuple[str, Row | str]]:
    """The rows of either layout in the words of the first, each with its clip; or what is wrong
    with one."""
    listing, table = root / LIST, root / TABLE
    if listing.is_file():
        yield from _read_list(listing)
    elif table.is_file():
        yield from _read_table(table, cache_dir)
    else:
        raise EvaluationError(f"{root}: no MMAU; expected {LIST} or {TABLE} in it")


def _read_list(path: Path) -> Iterator[tuple[str, Row | str]]:
    rows = read_json(path)
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        raise EvaluationError(f"{path}: not a list of objects; download it again")
    if missing := [key for key in _KEYS if key not in rows[0]]:
        raise EvaluationError(
            f"{path}: no {' and no '.join(missing)} among the keys of its first row ("
            f"{', '.join(rows[0])}); take the release that has them"
        )
    for number, row in enumerate(rows, 1):
        place = f"{path.name}:{number}"
        fault = _find_fault(row)
        yield place, fault or {**row, "clip": path.parent / str(row["audio_id"])}


def _read_table(path: Path, cache_dir: Path | None) -> Iterator[tuple[str, Row | str]]:
    for number, held in read_parquet(path, _COLUMNS, ("answer",)):
        place = f"{path.name}:{number}"
        try:
            about = held["other_attributes"]
            about = dict(json.loads(about) if isinstance(about, str) else about)
        except (TypeError, ValueError):
            yield place, "other_attributes is not a JSON object"
            continue
        clip = write_clip(held["context"], cache_dir, path.parent)
        row = {**about, **held, "question": held["instruction"], "audio_id": place, "clip": clip}
        yield place, _find_fault(row) or row


def _find_fault(row: object) -> str:
    if not isinstance(row, dict):
        return "not an object"
    if missing := [key for key in _KEYS if row.get(key) is None]:
        return f"no {' and no '.join(missing)}"
    if row["task"] not in SUBSETS:
        return f"no domain {row['task']!r}"
    return "" if isinstance(row["choices"], list) else "choices is not a list"


def _remove_letters(choices: list[str]) -> list[str]:
    """The hub's table numbers the choices, "(A) Man": without that, if all of them have it."""
    if all(_LETTER.match(choice) for choice in choices):
        return [_LETTER.sub("", choice, count=1) for choice in choices]
    return choices


def _join(value: object) -> str:
    """Thirteen rows of the list have ["Reasoning"] for "Reasoning"."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
