"""What is put before a rater, and the key that stays with whoever asked.

kind     what the rater sees                           what the rater gives
score    recordings, a question, one answer            0 to 10
ab       recordings, a question, two answers           first, second or both alike: 1, −1, 0
mos      a text and one spoken recording               1 to 5, naturalness
triple   a recording, a question and its answer        1 or 0 each: factual, relevant, answerable

A task does not say which system it is of; its name is a number of the page's order, which the seed
draws.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.players import AudioShelf
from sift_jax.evaluation.report.read_results import Evaluation, read_evaluation
from sift_jax.evaluation.scores.schema import MODEL, Item, Prediction

# what a rater gives, by the kind of task: name → (lowest, highest)
SCALES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "score": {"score": (0, 10)},
    "ab": {"preference": (-1, 1)},
    "mos": {"naturalness": (1, 5)},
    "triple": {"factual": (0, 1), "relevant": (0, 1), "answerable": (0, 1)},
}


class HumanEvalError(ValueError):
    """One line for whoever asks raters, naming the file and the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to rate. `systems`, `item` and `judged` go into the key, not onto the page."""

    kind: str
    item: str
    language: str
    # recordings that are heard before the question; of a spoken text, the one to rate
    audio: tuple[str, ...]
    question: str
    answers: tuple[str, ...]
    systems: tuple[str, ...]
    # what the judge of the evaluation gave each answer
    judged: tuple[float | None, ...] = ()


def draw_tasks(tasks: Sequence[Task], *, count: int, seed: int) -> list[Task]:
    """As many as asked (0: all), in an order drawn by the seed: the same tasks for every rater."""
    if not tasks:
        raise HumanEvalError("there is nothing to rate; see --subset and the folder's predictions")
    if count < 0:
        raise HumanEvalError(
            f"--count={count} is not a number of tasks; give 1 or more, or 0 for all"
        )
    drawn = random.Random(seed).sample(list(tasks), len(tasks))
    return drawn[: count or len(drawn)]


def read_score_tasks(folder: Path, systems: Sequence[str], subset: str) -> list[Task]:
    """One task an answer, of each of the systems, whose items are the same."""
    evaluation = read_evaluation(folder)
    return [
        Task(
            kind="score",
            item=item.id,
            language=item.language,
            audio=_find_audio(evaluation, item),
            question=item.question,
            answers=(answers[system].answer,),
            systems=(system,),
            judged=(_find_score(evaluation, item, system),),
        )
        for item, answers in _pair(_list_predictions(evaluation, systems), subset)
        for system in systems
    ]


def read_ab_tasks(first: Path, second: Path, subset: str, *, seed: int) -> list[Task]:
    """One task an item that the models of two evaluations answered; which comes first is
    drawn."""
    folders = {first.name: first, second.name: second}
    if len(folders) < 2:
        raise HumanEvalError(f"{first} and {second} have one name; rename a folder")
    read = {name: read_evaluation(folder) for name, folder in folders.items()}
    predictions = {
        name: _list_predictions(evaluation, [MODEL])[MODEL] for name, evaluation in read.items()
    }
    rng, tasks = random.Random(seed), []
    for item, answers in _pair(predictions, subset):
        names = rng.sample(sorted(answers), 2)
        tasks.append(
            Task(
                kind="ab",
                item=item.id,
                language=item.language,
                audio=_find_audio(read[first.name], item),
                question=item.question,
                answers=tuple(answers[name].answer for name in names),
                systems=tuple(names),
                judged=tuple(_find_score(read[name], item, MODEL) for name in names),
            )
        )
    return tasks


def read_mos_tasks(folders: Sequence[Path]) -> list[Task]:
    """One task a recording of each folder that a speaker has left; a folder is a system."""
    tasks = []
    for folder in folders:
        for line in _read_lines(folder / "spoken.jsonl"):
            tasks.append(
                Task(
                    kind="mos",
                    item=f"{line['id']}/{line.get('sample', 0)}",
                    language=line["language"],
                    audio=(str(folder / line["audio"]),),
                    question=line["text"],
                    answers=("",),
                    systems=(folder.name,),
                )
            )
    return tasks


def read_triple_tasks(path: Path, audio: Path) -> list[Task]:
    """One task a question–answer pair that a language model has written about a recording."""
    return [
        Task(
            kind="triple",
            item=line["key"],
            language=line["language"],
            audio=(str(_find_recording(audio, line["id"])),),
            question=line["question"],
            answers=(line["answer"],),
            systems=(line.get("source", path.stem),),
        )
        for line in _read_lines(path)
    ]


def _list_predictions(
    evaluation: Evaluation, systems: Sequence[str]
) -> dict[str, tuple[Prediction, ...]]:
    missing = [name for name in systems if name not in evaluation.predictions]
    if missing:
        there = ", ".join(sorted(evaluation.predictions)) or "none"
        raise HumanEvalError(
            f"{evaluation.folder} has no predictions of {missing[0]}; there are: {there}"
        )
    return {name: evaluation.predictions[name] for name in systems}


def _pair(
    predictions: Mapping[str, Sequence[Prediction]], subset: str
) -> list[tuple[Item, dict[str, Prediction]]]:
    """The items that all of them answered."""
    by_id: dict[str, dict[str, Prediction]] = {}
    for name, found in predictions.items():
        for prediction in found:
            if prediction.item.subset.startswith(subset):
                by_id.setdefault(prediction.item.id, {})[name] = prediction
    return [
        (next(iter(answers.values())).item, answers)
        for _, answers in sorted(by_id.items())
        if len(answers) == len(predictions)
    ]


def _find_audio(evaluation: Evaluation, item: Item) -> tuple[str, ...]:
    """An item names its recordings by their paths, or by their ids in the evaluation's data."""
    data = evaluation.results.get("data")
    shelf = AudioShelf(Path(data) if data else None)
    found = [shelf.find(name) for name in item.audio]
    if None in found:
        raise HumanEvalError(
            f"the recording {item.audio[found.index(None)]} of {item.id} is not there; evaluate "
            "again where the data is"
        )
    return tuple(str(path) for path in found)


def _find_score(evaluation: Evaluation, item: Item, system: str) -> float | None:
    verdict = evaluation.find_verdict(item, system)
    return None if verdict is None else verdict.score


def _find_recording(folder: Path, name: str) -> Path:
    # a build has them side by side, a synthesis in a folder of each language or hash
    found = sorted(folder.rglob(f"{glob.escape(name)}.*"))
    if not found:
        raise HumanEvalError(f"{folder} has no recording {name}; give its folder by --audio")
    return found[0]


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HumanEvalError(
            f"{path} is not there; give the folder or file that holds it"
        ) from None
    try:
        return [json.loads(line) for line in text.split("\n") if line]
    except ValueError as error:
        raise HumanEvalError(f"{path} is not JSON lines ({error}); write it again") from error
