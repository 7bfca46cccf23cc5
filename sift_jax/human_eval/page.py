"""The page for raters: one file that asks nobody for anything, and the key that makes its names
mean something.

page.html   instructions, players, keys 0 to 9, progress kept in the browser, a file to send back
key.json    {"study": "3f2a…", "tasks": {"t001": {"item": …, "systems": […], "judged": […]}}}
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.audio.files import AudioError, read_audio
from sift_jax.evaluation.report.players import RATE, encode_audio
from sift_jax.human_eval.tasks import SCALES, HumanEvalError, Task
from sift_jax.pages.templating import render_page
from sift_jax.storage.whole_files import write_whole

_HERE = Path(__file__).parent
MOST_SECONDS = 120.0
QUESTIONS = {
    "score": "Listen, read the question, and rate the answer: 0 is useless, 10 is perfect.",
    "ab": "Listen, read the question, and choose the better answer, or say that they are alike.",
    "mos": "Listen, and rate how natural the speech is: 1 is bad, 5 is excellent.",
    "triple": "Listen, and say of the question and its answer whether each statement holds.",
}
# what a digit does, by the kind of task
_KEYS = {
    "score": "digits rate, ",
    "ab": "1 and 2 choose an answer, 0 says that they are alike, ",
    "mos": "digits rate, ",
}


def write_study(tasks: Sequence[Task], out: Path, *, title: str, seed: int) -> str:
    """Writes the page and the key; returns the study's name, which files of raters carry."""
    names = [f"t{number:03d}" for number in range(1, len(tasks) + 1)]
    about = json.dumps([dataclasses.asdict(task) for task in tasks], sort_keys=True)
    study = hashlib.sha256(f"{seed} {about}".encode()).hexdigest()[:12]
    key = {
        "study": study,
        "title": title,
        "seed": seed,
        "tasks": {
            name: {
                "kind": task.kind,
                "item": task.item,
                "language": task.language,
                "systems": task.systems,
                "judged": task.judged,
            }
            for name, task in zip(names, tasks, strict=True)
        },
    }
    shown = [_show(name, task) for name, task in zip(names, tasks, strict=True)]
    write_whole(out / "page.html", _make_page(title, study, shown, tasks[0].kind))
    write_whole(out / "key.json", json.dumps(key, ensure_ascii=False, indent=1) + "\n")
    return study


def _show(name: str, task: Task) -> dict[str, Any]:
    """What the page knows of a task: no system, no judge, no name of a file."""
    return {
        "name": name,
        "language": task.language,
        "question": task.question,
        "answers": task.answers,
        "audio": [_encode(path) for path in task.audio],
    }


def _encode(path: str) -> str:
    try:
        kind, data = encode_audio(Path(path), read_audio(path, rate=RATE, max_seconds=MOST_SECONDS))
    except (OSError, AudioError) as error:
        raise HumanEvalError(f"the recording {path} cannot be read: {error}") from error
    return f"data:audio/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _make_page(title: str, study: str, shown: Sequence[dict[str, Any]], kind: str) -> str:
    told = {"study": study, "kind": kind, "scales": SCALES[kind], "tasks": shown}
    # "</script>" would end the script wherever a text holds it, and "<!--" would change what ends it
    data = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    return render_page(
        _HERE / "raters.html",
        title=title,
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        question=QUESTIONS[kind],
        keys=_KEYS.get(kind, ""),
        data=data,
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
    )
