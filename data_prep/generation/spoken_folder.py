"""What a speaker leaves: a folder of recordings, and a line for each of them.

    spoken.jsonl  {"id", "language", "instruction", "text", "asked": {key: label}, "sample": 0, "seed": 17,
                   "audio": "u1--0.0.wav", "units": 93, "ended": true}

    speaking.json {"codec": "<fingerprint>", …}     where the speaker says by which codec it spoke

`sample` counts the runs of an item from 0. `ended` is false where the speaker was stopped at its
limit.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_prep.generation.requests import Request, check_request, list_fields, read_lines
from sift_jax.storage.whole_files import open_whole

NAME, ABOUT = "spoken.jsonl", "speaking.json"
_WRITER = "python -m sift_jax.speak --items=items.jsonl --samples=N --out=DIR"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spoken:
    """One recording of one request."""

    request: Request
    sample: int
    seed: int
    # relative to the folder
    audio: str
    units: int
    has_ended: bool

    def to_json(self) -> str:
        fields = {
            **list_fields(self.request),
            "sample": self.sample,
            "seed": self.seed,
            "audio": self.audio,
            "units": self.units,
            "ended": self.has_ended,
        }
        return json.dumps(fields, ensure_ascii=False)


def write_spoken(folder: Path, lines: Iterable[Spoken]) -> None:
    with open_whole(folder / NAME) as out:
        for line in lines:
            out.write(line.to_json() + "\n")


def read_spoken(folder: Path) -> list[Spoken]:
    """All lines of a folder: each checked, each sample of an item once, and all samples of an item
    of one request."""
    found: list[Spoken] = []
    requests: dict[str, tuple[Request, str]] = {}
    seen: dict[tuple[str, int], str] = {}
    for place, fields in read_lines(folder / NAME, _WRITER):
        try:
            line = _parse(fields)
        except ValueError as error:
            raise ValueError(f"{place}: {error}; write it with `{_WRITER}`") from None
        request, first = requests.setdefault(line.request.id, (line.request, place))
        if request != line.request:
            raise ValueError(
                f"{place}: the item {request.id!r} asks for something else than at {first}; score "
                "the samples of one items.jsonl alone"
            )
        if (request.id, line.sample) in seen:
            raise ValueError(
                f"{place}: sample {line.sample} of {request.id!r} is also at "
                f"{seen[request.id, line.sample]}; keep one of them"
            )
        seen[request.id, line.sample] = place
        found.append(line)
    return found


def _parse(fields: dict[str, Any]) -> Spoken:
    request = Request(**check_request(fields))
    kinds = {"sample": int, "seed": int, "audio": str, "units": int, "ended": bool}
    for name, kind in kinds.items():
        if type(fields.get(name)) is not kind:
            raise ValueError(f"{name} is {fields.get(name)!r}, not {kind.__name__}")
    audio = Path(fields["audio"])
    if audio.is_absolute() or ".." in audio.parts:
        raise ValueError(
            f"audio {fields['audio']!r} is not below the folder; give a name relative to it"
        )
    if fields["sample"] < 0:
        raise ValueError(f"sample {fields['sample']} is below 0; runs count from 0")
    return Spoken(
        request=request,
        sample=fields["sample"],
        seed=fields["seed"],
        audio=fields["audio"],
        units=fields["units"],
        has_ended=fields["ended"],
    )


def check_same_codec(folder: Path, other: Path, *, flag: str) -> None:
    """An error where both folders tell their codec, and these are two."""
    mine, theirs = _read_codec(folder), _read_codec(other)
    if mine and theirs and mine != theirs:
        raise ValueError(
            f"{other}: was spoken by the codec {theirs[:12]}…, and {folder} by "
            f"{mine[:12]}…; give --{flag} a folder of the same codec"
        )


def _read_codec(folder: Path) -> str | None:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    codec = about.get("codec") if isinstance(about, dict) else None
    return codec if isinstance(codec, str) else None


def check_same_items(
    spoken: Sequence[Spoken], others: Sequence[Spoken], *, folder: Path, flag: str
) -> list[Spoken]:
    """Those of `others` about the items of `spoken`; an error where they are other ones, or ask for
    other things.

    Some items may have none: not every recording has what a row from elsewhere says of it.
    """
    own = {line.request.id: line.request for line in spoken}
    theirs = {line.request.id: line.request for line in others}
    remedy = f"give --{flag} a folder made from the same items.jsonl"
    if not own.keys() & theirs.keys():
        raise ValueError(
            f"{folder}: has none of the {len(own)} items, such as {next(iter(own))!r}; {remedy}"
        )
    for name, request in own.items():
        if name in theirs and (request.text, request.asked) != (
            theirs[name].text,
            theirs[name].asked,
        ):
            raise ValueError(
                f"{folder}: the item {name!r} is another text or asks for something else; {remedy}"
            )
    return [line for line in others if line.request.id in own]
