"""Answers of a run's evaluation sets as its boards show them: beside the reference, and beside what
was answered at earlier steps.

    run/evaluations/<set>/{10,20,30}.jsonl ─► eval/<set>/<subset>/1/text
                                              | question  | How fast does she speak? |
                                              | reference | slowly                   |
                                              | step 10   | the the                  |
                                              | step 20   | fast                     |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sift_jax.evaluation.model_inputs import ClipReader
from sift_jax.evaluation.scores.schema import Item, read_predictions
from sift_jax.training.logged_samples import Samples, name_recordings, write_table

# items of a subset, and steps of an item: the latest
SHOWN_ITEMS, SHOWN_STEPS = 3, 12


class ShownAnswers:
    """The first items of each subset that are asked, the same at every step. `asked` has the audio of
    each."""

    def __init__(
        self,
        folder: Path,
        items: Sequence[Item],
        asked: Mapping[str, tuple[str, ...]],
        reader: ClipReader,
    ):
        self._folder = folder
        self._chosen: dict[str, Item] = {}
        seen: Counter[tuple[str, str]] = Counter()
        for item in items:
            place = (item.suite, item.subset)
            if item.id in asked and seen[place] < SHOWN_ITEMS:
                seen[place] += 1
                parts = ("eval", item.suite, item.subset, str(seen[place]))
                self._chosen["/".join(part for part in parts if part)] = item
        # they do not change: shown once
        self._audios = {
            tag: clip
            for name, item in self._chosen.items()
            for tag, clip in name_recordings(
                name, [reader(audio) for audio in asked[item.id]]
            ).items()
        }

    def describe(self, step: int) -> Samples:
        """What there is to show after this step, whose answers are written already."""
        answers = {
            suite: self._read(suite, step)
            for suite in sorted({item.suite for item in self._chosen.values()})
        }
        texts = {}
        for name, item in self._chosen.items():
            said = [
                (f"step {number}", found[item.id])
                for number, found in answers[item.suite]
                if item.id in found
            ]
            rows = [("question", item.asked), ("reference", " / ".join(item.references))]
            texts[f"{name}/text"] = write_table([*rows, *said])
        audios, self._audios = self._audios, {}
        return Samples(texts=texts, audios=audios)

    def _read(self, suite: str, step: int) -> list[tuple[int, dict[str, str]]]:
        """(step, item to answer) of the latest steps, up to this one."""
        paths = {int(path.stem): path for path in (self._folder / suite).glob("*.jsonl")}
        steps = sorted(number for number in paths if number <= step)[-SHOWN_STEPS:]
        return [
            (
                number,
                {found.item.id: found.answer for found in read_predictions(paths[number])},
            )
            for number in steps
        ]
