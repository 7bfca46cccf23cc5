"""The contract of the evaluation: what is asked, what was answered, what was judged, and the
figures.

    suite folder ─read─► Suite: items, and what was skipped
    items + model ─────► out/predictions/<system>.jsonl            an item and its answer a line, enough to judge again
    predictions + judge ► out/verdicts/<system>.<judge>.jsonl      id, score or null, status, reason
    both ──────────────► out/results.json: cells                   one figure each: what, value, interval, n of all

A system is the model or a baseline; a judge is whatever gives a score, so word error rate is one
too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sift_jax.text.chat import Message

MODEL, UNTRAINED = "model", "untrained"
# One answer to all questions of a kind: the training data's commonest, or where there are no
# training rows of a suite the one that its own references make best.
BASELINES = MAJORITY, CONSTANT = "majority", "constant"
# the decoder without its adapters, on transcripts
TEXT_MODEL = "text_model"


class EvaluationError(ValueError):
    """Something that stops an evaluation; one line that names the item and the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One question of a suite. Audio parts of its messages name files; the messages end with the
    user's turn."""

    id: str
    suite: str
    # what the suite's tables call a column: "closed_ended/acoustic_level", "test_clean",
    # "EmotionRecognition_…"
    subset: str
    language: str
    messages: tuple[Message, ...]
    # answers held to be right; empty where there is none
    references: tuple[str, ...]
    # the closed set that the answer must come from; empty for free answers
    labels: tuple[str, ...] = ()
    # other words for them: {"wütend": "angry"}
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # names of the scores that this item gets, the first one being the suite's own: "wer", "bleu",
    # "judge_closed", …
    metrics: tuple[str, ...]
    # other ways to split the figures: {"kind": "speaking_rate", "dimension": "paralinguistics"}
    facets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # what a judge may know of the audio, which it does not hear: AIR-Bench's description, or what is
    # asked, where the question is spoken
    context: str = ""

    @property
    def audio(self) -> tuple[str, ...]:
        return tuple(
            p["audio_path"] for m in self.messages for p in m["content"] if p.get("audio_path")
        )

    @property
    def question(self) -> str:
        texts = (p["text"] for m in self.messages for p in m["content"] if p.get("text"))
        return " ".join(text.strip() for text in texts)

    @property
    def asked(self) -> str:
        """The question in words: of one that is spoken, what is said."""
        return self.question or self.context


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetAside:
    """What a suite's folder has and the evaluation does not ask: the totals count it."""

    id: str
    subset: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    name: str
    items: tuple[Item, ...]
    set_aside: tuple[SetAside, ...]
    # how many more there are, which a limit leaves out
    left_out: int = 0
    # of PROTOCOLS; empty where the suite is asked in one way alone
    protocol: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """An item and what a system answered."""

    item: Item
    answer: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a judge says of one prediction: the status is "scored", or says why there is no score:
    "unparsed", "error", "no_judge", "no_label"."""

    id: str
    judge: str
    score: float | None
    status: str
    reason: str = ""
    # which of the item's metrics the score belongs to
    metric: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure: `value` in [low, high] over n scored of `of` items. An empty name means all of
    that kind."""

    suite: str
    subset: str
    language: str
    # "" or "name=value" of an item's facets
    facet: str
    metric: str
    system: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    of: int


def write_prediction(prediction: Prediction) -> str:
    """The line of a prediction."""
    row = {**dataclasses.asdict(prediction.item), "answer": prediction.answer}
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_predictions(path: Path) -> Iterator[Prediction]:
    """The predictions of a file; a torn last line, as a kill leaves it, is passed over."""
    # not splitlines: an answer may hold U+2028, where it would cut the line
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                row: dict[str, Any] = json.loads(line)
                answer = row.pop("answer")
                lists = {
                    name: tuple(row[name])
                    for name in ("messages", "references", "labels", "metrics")
                }
                yield Prediction(item=Item(**{**row, **lists}), answer=answer)
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                place = f"{path}:{number}"
                raise EvaluationError(
                    f"{place}: not a prediction ({error}); move it away, evaluate again"
                ) from error


def check_ids(items: Iterable[Item]) -> None:
    """Ids are keys: answers and verdicts are joined by them."""
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise EvaluationError(
                f"{item.suite}: two items are called {item.id}; a suite's reader must number them"
            )
        seen.add(item.id)
