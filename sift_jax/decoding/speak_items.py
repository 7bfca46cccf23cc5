"""Many instructions, spoken into a folder: a line and a recording for each sample, kept as they
come.

    items.jsonl   {"id", "language", "instruction", "text", "asked"}
    out/speaking.json                    what is spoken by whom, and how; another such run is refused here
    out/audio/<number>-<sample>.flac     written before its line
    out/spoken.jsonl                     {…, "sample", "seed", "audio", "units", "ended"}, in the order of the items
    at the end

Killed, the same command resumes: what has a line is done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.audio.files import write_audio
from sift_jax.codecs.codec import Codec
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.speech_answers import Request, SpeechGenerator, limit_units, say
from sift_jax.sift.speaking_styles import check_language, check_text
from sift_jax.storage.whole_files import write_whole

_FIELDS = {"id": str, "language": str, "instruction": str, "text": str, "asked": dict}


def read_items(path: Path) -> list[dict[str, Any]]:
    """Items, each checked."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); give a file of items"
        ) from None
    items: list[dict[str, Any]] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in ((number, line) for number, line in enumerate(lines, 1) if line.strip()):
        try:
            item = json.loads(line)
            if not isinstance(item, dict) or any(
                not isinstance(item.get(k), kind) for k, kind in _FIELDS.items()
            ):
                raise ValueError(f"an item is an object with {', '.join(_FIELDS)}")
            check_language(item["language"])
            check_text(item["text"])
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}; correct or remove the line") from None
        first = seen.setdefault((item["language"], item["id"]), number)
        if first != number:
            raise ValueError(
                f"{path}:{number}: {item['id']!r} stands in line {first} too; give each an id "
                "of its own"
            )
        items.append(item)
    if not items:
        raise ValueError(f"{path}: holds no items; there is nothing to say")
    return items


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeakingRun:
    """How a folder is filled."""

    out: Path
    samples: int
    seed: int
    decoding: DecodingConfig
    max_seconds: float
    # what else decides what is said: the checkpoint, its step, the codec
    about: dict[str, Any]

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"--samples={self.samples} is too few; give 1 or more")


def speak_items(
    items: Sequence[dict[str, Any]],
    generator: SpeechGenerator,
    codec: Codec,
    run: SpeakingRun,
    *,
    reference: np.ndarray | None,
) -> list[dict[str, Any]]:
    """Speaks what has no line yet; returns all lines."""
    (run.out / "audio").mkdir(parents=True, exist_ok=True)
    _claim(items, run)
    path = run.out / "spoken.jsonl"
    done = {(line["language"], line["id"], line["sample"]): line for line in _read_done(path)}
    limits = [limit_units(item["text"], codec, max_seconds=run.max_seconds) for item in items]
    pairs = [(number, sample) for number in range(len(items)) for sample in range(run.samples)]
    waiting = [pair for pair in pairs if (*_name(items[pair[0]]), pair[1]) not in done]
    requests = [
        Request(
            messages=[{"role": "user", "content": [{"text": items[number]["instruction"]}]}],
            limit=limits[number],
            draw=zlib.crc32(f"{items[number]['language']}/{items[number]['id']}/{sample}".encode()),
        )
        for number, sample in waiting
    ]
    with path.open("a", encoding="utf-8") as lines:
        for place, spoken in generator.talk(requests, run.decoding, seed=run.seed):
            number, sample = waiting[place]
            audio = f"audio/{number:06d}-{sample}.flac"
            wave, is_silent = say(spoken.units, codec, reference, seed=run.seed)
            write_audio(run.out / audio, wave, rate=codec.config.sample_rate)
            said = {
                name: items[number][name] for name in (*_FIELDS, "fields") if name in items[number]
            }
            line = {
                **said,
                "sample": sample,
                "seed": run.seed,
                "audio": audio,
                "units": len(spoken.units),
                "ended": spoken.has_ended,
                "silent": is_silent,
            }
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
            lines.flush()
            done[(*_name(items[number]), sample)] = line
    ordered = [done[(*_name(items[number]), sample)] for number, sample in pairs]
    write_whole(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in ordered))
    return ordered


def _name(item: dict[str, Any]) -> tuple[str, str]:
    return item["language"], item["id"]


def _claim(items: Sequence[dict[str, Any]], run: SpeakingRun) -> None:
    """speaking.json of a new folder, or an error where it is of another run."""
    digest = hashlib.sha256(json.dumps(list(items), sort_keys=True).encode()).hexdigest()
    said = {
        **run.about,
        "seed": run.seed,
        "samples": run.samples,
        "max_seconds": run.max_seconds,
        "items": digest,
        "decoding": run.decoding.describe(),
    }
    path = run.out / "speaking.json"
    if not path.is_file():
        write_whole(path, json.dumps(said, indent=1))
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    other = sorted(name for name in said if found.get(name) != said[name])
    if other:
        raise ValueError(
            f"{run.out} holds speech of another {other[0]} ({found.get(other[0])}, not "
            f"{said[other[0]]}); give another --out"
        )


def _read_done(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole and whose recordings are there; what a kill has torn is cut off."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    lines = [json.loads(line) for line in whole.decode().split("\n") if line]
    return [line for line in lines if (path.parent / line["audio"]).is_file()]
