"""Reading training records: from the bytes of an utterance to its samples, at random.

    records/sift_en/index.json          {"train": {"closed_ended/acoustic_level": [0, 3, …]}, …}: places of records
    records/sift_en/1.0.0/…             place 3 ─► {"id", "language", "audio_ids", "audio": [clip, …], "turns"}
    a clip                              "fLaC…" | "OggS…" ─ decode_clip ─► int16 [n], 16 kHz, one channel

record_writer.py has the whole layout; record_audio.py makes the clips.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sift_jax.data.records.question_index import QuestionIndex
from sift_jax.storage.whole_files import write_whole

# of the layout, as TFDS names the folder
VERSION = "1.0.0"


def decode_clip(data: bytes) -> np.ndarray:
    """The samples as int16, of either compression."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        if file.format == "FLAC":
            return file.read(dtype="int16")
        # Opus may overshoot full scale, and as integers of 16 bits that would wrap around.
        return np.round(np.clip(file.read(dtype="float32"), -1.0, 1.0) * 32767).astype(np.int16)


def count_places(index: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[str, dict[str, int]]:
    return {
        split: {name: len(places) for name, places in lists.items()}
        for split, lists in index.items()
    }


def digest_records(records_dir: str | Path) -> str | None:
    """One hash of all languages' records; None where there are none of ours."""
    found = {
        path.parent.name: path.read_text()
        for path in sorted(Path(records_dir).glob("sift_*/digest"))
    }
    return hashlib.sha256(json.dumps(found).encode()).hexdigest() if found else None


class RecordReader:
    """Random access to one language's records; picklable state is its folder alone."""

    def __init__(self, records_dir: str | Path, language: str):
        self.folder = Path(records_dir) / f"sift_{language}"
        if not (self.folder / "index.json").is_file():
            raise ValueError(
                f"no records at {self.folder}; make them with python -m data_prep.build or "
                "data_prep.records"
            )
        self._sources: dict[str, Any] = {}

    @functools.cached_property
    def index(self) -> dict[str, dict[str, list[int]]]:
        """Split to category to the places of its records. Of millions it is a gigabyte: a run has
        no need of it."""
        return json.loads((self.folder / "index.json").read_text())

    @functools.cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Split to category to how many records it has."""
        path = self.folder / "counts.json"
        said = json.loads(path.read_text()) if path.is_file() else {}
        # records of older versions have none, and an index that somebody has changed has another
        # size
        is_of_index = said.get("index_bytes") == (self.folder / "index.json").stat().st_size
        return said["counts"] if is_of_index else count_places(self.index)

    @functools.cached_property
    def digest(self) -> str:
        """What tells these records from any others."""
        written = self.folder / "digest"
        if written.is_file():
            return written.read_text()
        # records of older versions have no digest of their own
        files = sorted(
            path
            for path in self.folder.glob("*/*")
            if path.is_file() and "questions-" not in str(path)
        )
        named = repr(
            (
                (self.folder / "index.json").read_bytes(),
                [(path.name, path.stat().st_size) for path in files],
            )
        )
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    @functools.cached_property
    def index_digest(self) -> str:
        """A hash of index.json alone, which may be edited; kept beside it, for millions of records
        take seconds."""
        path, kept = self.folder / "index.json", self.folder / "index.digest"
        stamp = [path.stat().st_size, path.stat().st_mtime_ns]
        with contextlib.suppress(OSError, ValueError, KeyError):
            said = json.loads(kept.read_text())
            if said["stamp"] == stamp:
                return said["digest"]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # where it cannot be written it is computed at each start
        with contextlib.suppress(OSError):
            write_whole(kept, json.dumps({"stamp": stamp, "digest": digest}))
        return digest

    def _source(self, split: str) -> Any:
        if split not in self._sources:
            import tensorflow_datasets as tfds

            self._sources[split] = tfds.builder_from_directory(
                self.folder / VERSION
            ).as_data_source(split)
        return self._sources[split]

    def read(self, split: str, place: int) -> dict[str, Any]:
        return self._source(split)[int(place)]

    def read_audio(self, split: str, place: int) -> list[bytes]:
        """The audio of a record alone: decoding all of its features takes several times as long."""
        from tensorflow_datasets.proto import tf_example_pb2

        example = tf_example_pb2.Example.FromString(self._source(split).data_source[int(place)])
        return list(example.features.feature["audio"].bytes_list.value)


class RecordAudio:
    """The clips of an item whose record has them."""

    def __init__(self, reader: RecordReader, split: str, index: QuestionIndex):
        self.reader, self.split, self.index = reader, split, index

    def __call__(self, item: int) -> list[np.ndarray]:
        wanted = self.index.list_sources(item)
        if not wanted:
            return []
        audio = self.reader.read_audio(self.split, int(self.index.items[item]["record"]))
        return [decode_clip(audio[clip]) for clip in wanted]
