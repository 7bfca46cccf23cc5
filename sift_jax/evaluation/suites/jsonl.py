"""A user's own questions: JSON lines, audio beside them.

    {"audio": "a.wav", "question": "Who speaks?", "answer": "A man."}
    {"audios": ["a.wav", "b.wav"], "question": "Is it one speaker?", "references": ["no"], "labels": ["yes", "no"],
     "metric": "accuracy", "language": "de", "subset": "speakers", "id": "s17", "facets": {"room":
     "hall"}, "context": "two women"}

`root` is the file, or a folder whose *.jsonl are read; relative names of audio are looked up beside
the file. Without a metric an answer from labels gets accuracy, and a free one is judged from 0 to
10; `metric` may be a list. Without a subset the file's name is one; without an id the line's number
is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import Row, read_json_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

METRICS = (
    "wer",
    "cer",
    "bleu",
    "chrf",
    "rouge_l",
    "accuracy",
    "exact_match",
    "choice",
    "judge_closed",
    "judge_open",
    "judge_air_bench",
    "qwk",
    "mae",
    "slot_f1",
)
# These look for labels in the answer; for qwk and mae the labels stand in their order.
_NEED_LABELS = ("accuracy", "choice", "qwk", "mae")


def read_jsonl(
    root: Path, *, name: str = "jsonl", subsets: Sequence[str] = (), prompts: Prompts
) -> Suite:
    gathering = Gathering(name)
    paths = [root] if root.is_file() else sorted(root.glob("*.jsonl"))
    if not paths:
        raise EvaluationError(
            f"{root}: no such file, and no folder with *.jsonl; give the file of questions"
        )
    for path in paths:
        ask_rows(path, path.stem, gathering, prompts, subsets=subsets)
    return gathering.finish()


def ask_rows(
    path: Path,
    subset: str,
    gathering: Gathering,
    prompts: Prompts,
    *,
    metrics: Sequence[str] = (),
    subsets: Sequence[str] = (),
) -> None:
    """The questions of one file; `subset` and `metrics` are for rows that name none."""
    for number, row in read_json_lines(path, ("question",), gathering, subset):
        part, own_id = (
            str(row.get("subset") or subset),
            str(row.get("id") or f"{path.stem}:{number}"),
        )
        if subsets and part not in subsets:
            continue
        labels, references = _list_texts(row, "labels"), _list_texts(row, "answer", "references")
        wanted = _list_texts(row, "metric", "metrics") or list(metrics)
        wanted = wanted or ["accuracy" if labels else "judge_open"]
        language = str(row.get("language") or "en")
        names, facets = _list_texts(row, "audio", "audios"), row.get("facets") or {}
        unknown = [metric for metric in wanted if metric not in METRICS]
        fault = f"no metric {', '.join(unknown)}; they are {', '.join(METRICS)}" if unknown else ""
        needing = [metric for metric in wanted if metric in _NEED_LABELS and not labels]
        fault = fault or (f"{needing[0]} needs labels" if needing else "")
        fault = (
            fault
            or ("" if names else "no audio")
            or ("" if isinstance(facets, Mapping) else "facets is not an object")
        )
        if fault:
            gathering.leave(own_id, part, fault)
            continue
        gathering.ask(
            own_id,
            subset=part,
            language=language,
            audio=[path.parent / clip for clip in names],
            # The question is the user's own: a language without a wording for it is as good as any.
            question=word_prompt(
                prompts,
                "qa",
                language if language in prompts["qa"] else "en",
                question=str(row["question"]),
            ),
            references=references,
            labels=labels,
            metrics=wanted,
            facets={str(key): str(value) for key, value in facets.items()},
            context=str(row.get("context") or ""),
        )


def _list_texts(row: Row, *keys: str) -> list[str]:
    """What the first of some keys that is there holds: one text, or a list of them."""
    value: Any = next((row[key] for key in keys if row.get(key) is not None), [])
    return [str(text) for text in (value if isinstance(value, list) else [value])]
