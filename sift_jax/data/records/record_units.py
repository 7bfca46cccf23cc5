"""The units of a records folder's clips by one codec, beside the records: one set of records,
several codecs.

    records/units-<fingerprint>/en_train/clips.bin    one line a clip: record, clip of the record, first unit, units
                                         units.bin    all units, one clip's after the other
                                         counts.json  lines of both, their hash, the codec, the digest of the records
                              en_train_heard/         the same of all clips, for a model that hears units

`python -m data_prep.units` writes them: of clips that an assistant speaks, or with --heard of all.
Rows of a conversation get them as "units" of the audio part, which the chat template writes as ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.sift.rows import name_utterance
from sift_jax.storage.whole_files import write_whole
from sift_jax.text.unit_tokens import CodecIdentity

CLIP = np.dtype([("record", "<i8"), ("clip", "<i4"), ("count", "<i4"), ("start", "<i8")])
UNIT = np.dtype("<i4")
_KEPT = 16


def name_set(records: str | Path, codec: CodecIdentity) -> Path:
    """The folder of a codec's units."""
    return Path(records) / f"units-{codec.fingerprint[:_KEPT]}"


def list_spoken(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The audio parts that an assistant speaks."""
    answers = (message["content"] for message in messages if message["role"] == "assistant")
    return [part for content in answers for part in content if part.get("audio_path")]


def list_audio(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All audio parts, whoever speaks."""
    return [part for message in messages for part in message["content"] if part.get("audio_path")]


def name_split(language: str, split: str, *, has_heard: bool) -> str:
    """The folder of a language and split within a codec's."""
    return f"{language}_{split}_heard" if has_heard else f"{language}_{split}"


def write_unit_set(
    folder: Path,
    rows: Iterable[tuple[int, int, Sequence[int]]],
    *,
    codec: CodecIdentity,
    records: str,
) -> dict[str, Any]:
    """Writes (record, clip, units) rows, sorted by record and clip; counts.json last. Returns what
    it says."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counts.json").unlink(missing_ok=True)
    lines, start, digest = [], 0, hashlib.sha256()
    with (folder / "units.bin").open("wb") as file:
        for record, clip, units in rows:
            data = np.asarray(units, UNIT).tobytes()
            file.write(data)
            digest.update(data)
            lines.append((record, clip, len(units), start))
            start += len(units)
    table = np.array(lines, CLIP)
    (folder / "clips.bin").write_bytes(table.tobytes())
    digest.update(table.tobytes())
    counts = {
        "codec": codec.fingerprint,
        "codes": codec.codes,
        "records": records,
        "clips": len(lines),
        "units": start,
        "digest": digest.hexdigest(),
    }
    write_whole(folder / "counts.json", json.dumps(counts))
    return counts


def read_counts(folder: Path) -> dict[str, Any] | None:
    """What was written; None where nothing was, or not to the end."""
    path = folder / "counts.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class UnitSet:
    """The units of one language and split: of what is spoken, or of what is heard, too."""

    def __init__(
        self,
        records: str | Path,
        codec: CodecIdentity,
        language: str,
        split: str,
        *,
        digest: str,
        has_heard: bool = False,
    ):
        self._list = list_audio if has_heard else list_spoken
        self.folder = name_set(records, codec) / name_split(language, split, has_heard=has_heard)
        self._remedy = f"python -m data_prep.units --records={records} --codec={codec.folder}" + (
            " --heard" if has_heard else ""
        )
        counts = read_counts(self.folder)
        if counts is None:
            raise ValueError(
                f"no units of {language} {split} by the codec {codec.folder} "
                f"({codec.fingerprint[:12]}…) beside the records; make them with {self._remedy}"
            )
        if counts["codec"] != codec.fingerprint or counts["records"] != digest:
            raise ValueError(
                f"{self.folder} is of other records than those that are there now; make the units "
                f"again with {self._remedy}"
            )
        self.digest: str = counts["digest"]
        self._clips = self._map("clips.bin", CLIP, counts["clips"])
        self._units = self._map("units.bin", UNIT, counts["units"])

    def _map(self, name: str, dtype: np.dtype, count: int) -> np.ndarray:
        path = self.folder / name
        if not path.is_file() or path.stat().st_size != count * dtype.itemsize:
            raise ValueError(
                f"{path} is damaged: not the {count} lines it was written with; delete "
                f"{self.folder}, and make it again with {self._remedy}"
            )
        return np.memmap(path, dtype, "r").view(np.ndarray) if count else np.zeros(0, dtype)

    def read(self, record: int, clip: int) -> list[int]:
        """The units of a record's clip."""
        first, last = np.searchsorted(self._clips["record"], [record, record + 1])
        for _, number, count, start in self._clips[first:last].tolist():
            if number == clip:
                return self._units[start : start + count].tolist()
        raise ValueError(
            f"{self.folder}: no units of clip {clip} of record {record}; delete that folder, and "
            f"make it again with {self._remedy}"
        )

    def attach(self, turns: list[dict[str, Any]], names: Sequence[str], record: int) -> None:
        """Puts into each audio part that an assistant speaks, or into all, its "units"; `names` are
        the ids of the record's clips."""
        for turn in turns:
            for part in self._list(turn["messages"]):
                part["units"] = self.read(record, names.index(name_utterance(part["audio_path"])))
