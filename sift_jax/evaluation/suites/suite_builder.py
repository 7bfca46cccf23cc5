"""Where a reader puts what it finds: items that can be asked, and everything else with the reason.

    ask(own id, audio, question, references, …) ─► Item "librispeech/test_clean/1089-134686-0000"
                 └─ no audio · empty file · empty reference · no such label · an id twice ─► SetAside
    leave(own id, reason)                                                                 ─► SetAside
    finish() ─► Suite; an error where nothing can be asked

Ids begin with the suite and its part, so that those of several suites can lie in one file of
answers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sift_jax.evaluation.scores.metrics import METRICS
from sift_jax.evaluation.scores.schema import EvaluationError, Item, SetAside, Suite
from sift_jax.text.chat import Message, make_question


class Gathering:
    """The items of one suite, in the order in which its reader finds them."""

    def __init__(self, suite: str):
        self.suite = suite
        self._items: dict[str, Item] = {}
        self._set_aside: list[SetAside] = []

    def ask(
        self,
        own_id: str,
        *,
        subset: str,
        language: str,
        audio: Sequence[Path | str] = (),
        question: str = "",
        messages: Sequence[Message] = (),
        references: Sequence[str],
        metrics: Sequence[str],
        labels: Sequence[str] = (),
        aliases: Mapping[str, str] | None = None,
        facets: Mapping[str, str] | None = None,
        context: str = "",
        has_audio: bool = True,
    ) -> None:
        """An item, if all that it needs is there. Messages are given ready, or made of the audio
        and the question."""
        item = Item(
            id=self._name(subset, own_id),
            suite=self.suite,
            subset=subset,
            language=language,
            messages=tuple(messages or make_question(question, [str(path) for path in audio])),
            references=tuple(flatten(text) for text in references),
            labels=tuple(flatten(text) for text in labels),
            aliases=dict(aliases or {}),
            metrics=tuple(metrics),
            facets=dict(facets or {}),
            context=context,
        )
        if reason := self._find_fault(item) or ("no audio" if has_audio and not item.audio else ""):
            self._set_aside.append(SetAside(id=item.id, subset=subset, reason=reason))
        else:
            self._items[item.id] = item

    def leave(self, own_id: str, subset: str, reason: str) -> None:
        """A row that is not asked."""
        self._set_aside.append(
            SetAside(id=self._name(subset, own_id), subset=subset, reason=reason)
        )

    def finish(self) -> Suite:
        if not self._items:
            if not self._set_aside:
                raise EvaluationError(
                    f"{self.suite}: there are no rows of the parts and languages that are asked"
                )
            first = self._set_aside[0]
            reason = f"the first of {len(self._set_aside)} rows: {first.id}: {first.reason}"
            raise EvaluationError(f"{self.suite}: nothing can be asked; {reason}")
        return Suite(
            name=self.suite, items=tuple(self._items.values()), set_aside=tuple(self._set_aside)
        )

    def _name(self, subset: str, own_id: str) -> str:
        return f"{self.suite}/{subset}/{own_id}"

    def _find_fault(self, item: Item) -> str:
        if item.id in self._items:
            return "another row has this id"
        for path in item.audio:
            # Path.is_file raises where a name is too long for the disk.
            if not os.path.isfile(path):  # noqa: PTH113
                return f"no audio file {path}"
            if not Path(path).stat().st_size:
                return f"the audio file {path} is empty"
        if not item.asked.strip():
            return "no question"
        needs_reference = any(METRICS[name].needs_reference for name in item.metrics)
        if (needs_reference and not item.references) or not all(item.references):
            return "empty reference"
        # with other words for them a reference is a sentence that names one
        is_bare = item.labels and not item.aliases
        wrong = [text for text in item.references if is_bare and text not in item.labels]
        return f"label {wrong[0]!r} is not one of {', '.join(item.labels)}" if wrong else ""


def flatten(text: str) -> str:
    """Without blanks around its lines; line breaks stay, for slots have a line each."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
