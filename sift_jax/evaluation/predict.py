"""Answers of a system to items, written down as they come and found again after a kill.

    questions ─ plan ─► windows of batches, the same whatever was done before ─ process i takes i, i + n, … ─►
    predictions/<system>.jsonl.part<i>     a batch at a time, on the disk before the next
    predictions/<system>.jsonl             all of them in the order of the items, once there are all
    predictions/<system>.json              what made them: other answers are not put among them

Questions about one recording lie in one window, so that it is encoded once; in a window batches are
of like length.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, plan_batches
from sift_jax.evaluation.model_inputs import Question
from sift_jax.evaluation.scores.schema import (
    EvaluationError,
    Item,
    Prediction,
    read_predictions,
    write_prediction,
)
from sift_jax.parallel.distributed import is_first_process
from sift_jax.progress import track
from sift_jax.storage.whole_files import write_whole

# Batches whose recordings are encoded together, and among which questions are sorted by length.
WINDOW_BATCHES = 8
Batch = list[Question]


def plan_questions(questions: Sequence[Question], rows: int) -> list[list[Batch]]:
    """Windows of batches. It knows only the questions: a run that resumes makes the batches of the
    one that began."""
    ordered = sorted(questions, key=lambda question: question.audio)
    windows = []
    for start in range(0, len(ordered), WINDOW_BATCHES * rows):
        window = ordered[start : start + WINDOW_BATCHES * rows]
        planned = plan_batches([question.length for question in window], rows)
        windows.append([[window[place] for place in batch] for batch in planned])
    return windows


class PredictionFile:
    """The answers of one system: those of this process are appended, those of all are read."""

    def __init__(self, out: Path, system: str):
        self.system, self.path = system, out / "predictions" / f"{system}.jsonl"
        self.own = self.path.with_name(f"{self.path.name}.part{jax.process_index()}")

    def check_meta(self, meta: dict[str, Any]) -> None:
        """Writes down what makes these answers, or compares it with what made those that are
        there."""
        path = self.path.with_suffix(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = json.loads(json.dumps(meta))
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            wrong = next(
                (key for key in {**found, **meta} if found.get(key) != meta.get(key)), None
            )
            if wrong:
                raise EvaluationError(
                    f"{path}: its answers were made with {wrong} = {found.get(wrong)!r}, asked is "
                    f"{meta.get(wrong)!r}; give another --out, or the same as before"
                )
        elif is_first_process():
            write_whole(path, json.dumps(meta, indent=1, ensure_ascii=False) + "\n")

    def read(self, items: Iterable[Item]) -> dict[str, str]:
        """Answers that are there by id; an error where they answer something else than these
        items."""
        wanted, answers = {item.id: item for item in items}, {}
        for path in [self.path, *sorted(self.path.parent.glob(f"{self.path.name}.part*"))]:
            for prediction in read_predictions(path) if path.is_file() else ():
                item = wanted.get(prediction.item.id)
                # the model's answer depends on nothing else of an item
                if item is None or json.dumps(item.messages) != json.dumps(
                    prediction.item.messages
                ):
                    what = (
                        "is not asked now"
                        if item is None
                        else "was asked in other words or of other audio"
                    )
                    raise EvaluationError(
                        f"{path}: {prediction.item.id} {what}; give another --out, or remove it"
                    )
                answers[item.id] = prediction.answer
        return answers

    def append(self, predictions: Iterable[Prediction]) -> None:
        with self.own.open("a", encoding="utf-8") as file:
            file.writelines(map(write_prediction, predictions))
            file.flush()
            os.fsync(file.fileno())

    def cut_torn_line(self) -> None:
        """What a kill left of a line."""
        if self.own.is_file():
            with self.own.open("rb+") as file:
                file.truncate(file.read().rfind(b"\n") + 1)

    def remove(self) -> None:
        """As if this system had not been asked."""
        for path in (self.path, self.path.with_suffix(".json")):
            path.unlink(missing_ok=True)

    def finish(self, items: Sequence[Item], answers: dict[str, str]) -> None:
        """All answers in the order of the items, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [write_prediction(Prediction(item=item, answer=answers[item.id])) for item in items]
        write_whole(self.path, "".join(lines))
        for path in self.path.parent.glob(f"{self.path.name}.part*"):
            path.unlink()


def predict(
    generator: TextGenerator,
    questions: Sequence[Question],
    make: Callable[[Question], Prompt],
    file: PredictionFile,
    *,
    decoding: DecodingConfig,
    seed: int,
) -> None:
    """Answers what has no answer yet. Every process of the run calls it with the same questions,
    and does its part."""
    file.cut_torn_line()
    done = file.read(question.item for question in questions)
    mine = plan_questions(questions, generator.rows)[jax.process_index() :: jax.process_count()]
    windows = [
        [batch for batch in window if any(question.item.id not in done for question in batch)]
        for window in mine
    ]
    total = sum(
        question.item.id not in done for window in windows for batch in window for question in batch
    )
    with track(total=total, name=file.system, unit="answer", is_shown=is_first_process()) as bar:
        for window, prompts in _prepare_ahead([window for window in windows if window], make):
            generator.hear([prompt for batch in prompts for prompt in batch])
            for batch, asked in zip(window, prompts, strict=True):
                draws = [question.draw for question in batch]
                texts = generator.answer_batch(asked, decoding, seed=seed, draws=draws)
                answered = zip((question.item for question in batch), texts, strict=True)
                new = [
                    Prediction(item=item, answer=text)
                    for item, text in answered
                    if item.id not in done
                ]
                file.append(new)
                bar.update(len(new))


def _prepare_ahead(
    windows: Sequence[list[Batch]], make: Callable[[Question], Prompt]
) -> Iterator[tuple[list[Batch], list[list[Prompt]]]]:
    """Audio of the next window is read while the devices answer this one."""

    def prepare(window: list[Batch]) -> list[list[Prompt]]:
        return [[make(question) for question in batch] for batch in window]

    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(prepare, window) for window in windows[:1]]
        for number, window in enumerate(windows):
            prompts = coming.pop().result()
            coming += [pool.submit(prepare, later) for later in windows[number + 1 : number + 2]]
            yield window, prompts
