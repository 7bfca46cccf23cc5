"""The worked examples that stand in a prompt: invented clips with their pairs, by language and set.

    load_worked("closed_ended/acoustic_level", "de") ─►  Worked(request, briefs, pairs)   as if asked, and answered

A small model does what it is shown and not what it is told; it also says again what it was shown,
which `copies` finds.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from data_prep.instructions.filters.copies import Copies
from data_prep.instructions.llm.briefs import Brief
from data_prep.instructions.llm.instruction_sets import SETS
from data_prep.instructions.llm.requests import Request, make_request

# Of the two clips, in the order of a word's numbers in worked.json.
_WORD_KEYS = ("word", "start", "end", "average_pitch", "average_intensity")
_FIRST = {
    "gender": "female",
    "age_category": "forties",
    "duration": 2.3,
    "labels": {
        "average_pitch": "slightly high pitch",
        "pitch_variation": "quite expressive",
        "speaking_rate": "slightly fast",
        "average_intensity": "loudly",
        "noise_level": "clean",
        "reverberation": "slightly close-sounding",
        "distortion_level": "almost no noise",
        "speech_quality": "great",
    },
    "values": {"average_pitch": 210.0},
}
_SECOND = {
    "gender": "male",
    "age_category": "sixties",
    "duration": 3.1,
    "labels": {
        "average_pitch": "quite low pitch",
        "pitch_variation": "very monotone",
        "speaking_rate": "quite slowly",
        "average_intensity": "softly",
        "noise_level": "noisy",
        "reverberation": "distant-sounding",
        "distortion_level": "noisy",
        "speech_quality": "slightly bad",
    },
    "values": {"average_pitch": 95.0},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Worked:
    """A request about invented clips, and its pairs in the order of their briefs."""

    request: Request
    briefs: tuple[Brief, ...]
    pairs: tuple[dict[str, str], ...]

    @property
    def copies(self) -> Copies:
        return Copies(tuple(text for pair in self.pairs for text in pair.values()))


@functools.cache
def load_worked(name: str, language: str) -> Worked:
    """The example of a set in a language."""
    table = _load()[language]
    first = _complete(table["first"], _FIRST, "worked_1", language)
    second = _complete(table["second"], _SECOND, "worked_2", language)
    request = make_request(name, [first, second][: SETS[name].clips])
    assert isinstance(request, Request), request
    entries = table["sets"][name]
    briefs = tuple(
        Brief(**{**entry["brief"], "keys": tuple(entry["brief"].get("keys", ()))})
        for entry in entries
    )
    pairs = tuple(
        {key: entry[key] for key in ("question", "answer") if key in entry} for entry in entries
    )
    return Worked(request=request, briefs=briefs, pairs=pairs)


@functools.cache
def _load() -> dict[str, dict[str, Any]]:
    return json.loads(Path(__file__).with_name("worked.json").read_text(encoding="utf-8"))


def _complete(
    entry: dict[str, Any], known: dict[str, Any], identity: str, language: str
) -> dict[str, Any]:
    words = [
        {**dict(zip(_WORD_KEYS, row, strict=True)), "position": place, "pitch_variation": None}
        for place, row in enumerate(entry.get("words", ()), 1)
    ]
    return {
        **known,
        **entry,
        "id": identity,
        "language": language,
        "split": "train",
        "words": words,
    }
