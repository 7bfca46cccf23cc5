"""SLURP: what people want of a household's assistant, English.

    {dataset/slurp,.}/{train,devel,test}.jsonl
        {"slurp_id": 7, "sentence": "wake me at nine", "scenario": "alarm", "action": "set",
         "tokens": [{"surface": "wake"}, …], "entities": [{"span": [3], "type": "time"}],
         "recordings": [{"file": "audio-1488_headset.flac"}, …]}
    {audio,scripts/audio,.}/slurp_real/audio-1488_headset.flac

The layout is that of SLURP's repository with the audio that its script downloads. The intent is
scenario and action, as the corpus counts it; a slot's value is the tokens in its span.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sift_jax.corpora.bad_item import BadItem

LIST_FOLDERS = ("dataset/slurp/", "")
AUDIO_FOLDERS = ("audio/slurp_real", "scripts/audio/slurp_real", "slurp_real")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """A sentence that several people spoke: "alarm set", (("time", "nine"),), their files."""

    intent: str
    # name and value, in the sentence's order
    slots: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    sentence: str


def parse_command(row: Mapping[str, Any]) -> Command:
    """A line of a list."""
    return Command(
        intent=name_intent(row),
        slots=_list_slots(row),
        files=_list_files(row),
        sentence=str(row.get("sentence", "")),
    )


def name_intent(row: Mapping[str, Any]) -> str:
    scenario, action = row.get("scenario"), row.get("action")
    if not all(isinstance(name, str) and name.strip() for name in (scenario, action)):
        raise BadItem("broken line", "no scenario and action")
    return _space(f"{scenario} {action}")


def _list_slots(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    try:
        words = [str(token["surface"]) for token in row["tokens"]]
        found = sorted(
            (
                min(entity["span"]),
                str(entity["type"]),
                " ".join(words[place] for place in entity["span"]),
            )
            for entity in row["entities"]
        )
    except (KeyError, TypeError, IndexError, ValueError):
        raise BadItem(
            "broken line", "entities without type, or with a span beyond the tokens"
        ) from None
    return tuple((_space(name), " ".join(value.split())) for _, name, value in found)


def _list_files(row: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(str(recording["file"]) for recording in row["recordings"])
    except (KeyError, TypeError):
        raise BadItem("broken line", "no recordings with their file") from None


def _space(name: str) -> str:
    return " ".join(name.replace("_", " ").split())
