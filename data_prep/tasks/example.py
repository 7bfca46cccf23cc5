"""What a reader of a task finds: a recording, and what its task wants to know of it.

    covost_v2.de_en.train.tsv:7   "common_voice_de_1.mp3⇥Es regnet.⇥It rains.⇥f3a…"
        ─►  Example(recording=Recording(id="common_voice_de_1", …), target="en", translation="It rains.")

A reader is a function (root, languages) ─► iterator of examples and rejections, as those of the corpora are: it opens
no audio, and raises only where the corpus is not there.
"""

import dataclasses
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import Recording, check_id, parse_recording
from data_prep.engine.ledger import Rejection
from sift_jax.corpora.bad_item import BadItem

# Where an intent is asked for as a multiple choice: as many besides the right one.
_OTHERS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """A recording with the labels of one task; those of other tasks are empty."""

    recording: Recording
    # the language translated into, with the text or the speech of the translation
    target: str | None = None
    translation: str | None = None
    speech: Recording | None = None
    emotion: str | None = None
    intent: str | None = None
    # intents that are wrong here
    others: tuple[str, ...] = ()
    # name and value, in the order of the sentence; none is a label too
    entities: tuple[tuple[str, str], ...] = ()
    # who, under any name, and what was said
    turns: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """What no two examples of a task share."""
        return f"{self.recording.language}/{self.recording.id}/{self.target or ''}"

    @property
    def recordings(self) -> tuple[Recording, ...]:
        return tuple(filter(None, (self.recording, self.speech)))

    def to_json(self) -> str:
        # What dataclasses.asdict gives, without its copies of everything: there are millions of
        # them.
        row = {
            **vars(self),
            "recording": _plain(self.recording),
            "speech": self.speech and _plain(self.speech),
        }
        return json.dumps(row, ensure_ascii=False)


def _plain(recording: Recording) -> dict[str, Any]:
    return {**vars(recording), "words": [vars(word) for word in recording.words]}


Found = Example | Rejection
TaskReader = Callable[[Path, Sequence[str]], Iterator[Found]]


def parse_example(line: str) -> Example:
    row: dict[str, Any] = json.loads(line)
    parts = row.pop("recording"), row.pop("speech")
    recording, speech = (part and parse_recording(json.dumps(part)) for part in parts)
    entities, turns = (
        tuple((first, second) for first, second in row.pop(name)) for name in ("entities", "turns")
    )
    return Example(
        recording=recording,
        speech=speech,
        others=tuple(row.pop("others")),
        entities=entities,
        turns=turns,
        **row,
    )


def draw_others(intent: str, intents: Iterable[str], identity: str) -> tuple[str, ...]:
    """Wrong intents for a multiple choice, others for each id."""
    others = sorted(set(intents) - {intent})
    return tuple(random.Random(identity).sample(others, min(_OTHERS, len(others))))


def rename(recording: Recording, collection: str) -> Recording:
    """The recording under an id that no other collection has, for one folder holds the audio of
    them all."""
    if recording.id.startswith(f"{collection}_"):
        return recording
    try:
        identity = check_id(f"{collection}_{recording.language}_{recording.id}")
    except BadItem:
        raise BadItem("id too long", "", recording.id) from None
    return dataclasses.replace(recording, id=identity)


def rename_all(items: Iterator[Recording | Rejection], collection: str) -> Iterator[Found]:
    """Examples of the recordings, with nothing known but what is said."""
    for item in items:
        if isinstance(item, Rejection):
            yield item
            continue
        try:
            yield Example(recording=rename(item, collection))
        except BadItem as bad:
            yield Rejection(
                reason=bad.reason, id=bad.identity, language=item.language, file=item.audio
            )
