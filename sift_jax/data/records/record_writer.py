"""Writing training records: an utterance (or a compared pair) with its audio once and all its questions.

    records/sift_en/1.0.0/sift_en-train.array_record-…      a TFDS dataset with random access
    records/sift_en/index.json                              {"train": {"closed_ended/acoustic_level": [0, 3, …]}, …}
    records/sift_en/counts.json                             its size, and the lengths of its lists alone
    records/sift_en/index.digest                            a hash of index.json, made when it is first asked for
    records/sift_en/digest                                  a hash of all that was written, in order

A record: {"id", "language", "audio_ids": […], "audio": [clip, …], "turns": json [{"category",
"messages"}, …]}
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sift_jax.audio.files import AudioError
from sift_jax.data.records.record_audio import pack_file
from sift_jax.data.records.record_keys import KeyMaker
from sift_jax.data.records.record_reader import VERSION, count_places
from sift_jax.quiet import hush
from sift_jax.sift.rows import (
    ALL_CATEGORIES,
    LANGUAGES,
    SPLITS,
    audio_ids,
    list_files,
    name_utterance,
    parse_row,
    read_places,
)


def index_audio(audio_dir: Path, wanted: Container[str] | None = None) -> dict[str, Path]:
    """Utterance id to file, over the whole tree; the second microphone's where there is no other.

    Of millions of files no more are held than those that are wanted, if it is said which.
    """
    endings = {".flac", ".wav", ".mp3", ".ogg", ".opus"}
    found = sorted(
        path
        for path in audio_dir.rglob("*")
        if path.suffix.lower() in endings
        and (wanted is None or name_utterance(path.name) in wanted)
    )
    found.sort(key=lambda path: not path.stem.endswith("_mic2"))
    return {name_utterance(path.name): path for path in found}


class Groups(Protocol):
    """Utterance ids with their turns: a dict, or what reads them from disk as they are asked
    for."""

    def __len__(self) -> int: ...

    def items(self) -> Iterable[tuple[str, list[dict[str, Any]]]]: ...


class RowIndex:
    """Utterance ids with their turns in all categories, in the order of the files. Held are the
    places of the rows."""

    def __init__(self, sift_dir: Path, split: str, language: str):
        self._files: list[tuple[str, Path]] = []
        # Number of the file and first byte in it, again and again.
        self._places: dict[str, array.array[int]] = {}
        for category in ALL_CATEGORIES:
            for path in list_files(sift_dir, split, category, language):
                for start, row in read_places(path):
                    self._places.setdefault(row["id"], array.array("q")).extend(
                        (len(self._files), start)
                    )
                self._files.append((category, path))

    def __len__(self) -> int:
        return len(self._places)

    def items(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        with contextlib.ExitStack() as stack:
            files = [
                (category, stack.enter_context(path.open("rb"))) for category, path in self._files
            ]
            for identity, places in self._places.items():
                turns = []
                for number, start in zip(places[::2], places[1::2], strict=True):
                    category, file = files[number]
                    file.seek(start)
                    turns.append(
                        {
                            "category": category,
                            "messages": parse_row(json.loads(file.readline()))["messages"],
                        }
                    )
                yield identity, turns


class _Writer:
    """Makes the records of one language, skipping what has no audio."""

    def __init__(
        self, files: Mapping[str, Path], compression: str, pack: Callable[[str], bytes] | None
    ):
        self.files, self.compression = files, compression
        self.pack = pack or self._encode
        self.index: dict[str, dict[str, array.array[int]]] = {}
        self.rejected: list[dict[str, Any]] = []
        self.digest = hashlib.sha256()

    def make_records(
        self, groups: Groups, split: str, language: str
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        self.index[split] = {}
        place, keys = 0, KeyMaker()
        for identity, turns in groups.items():
            needed = list(dict.fromkeys(i for turn in turns for i in audio_ids(turn)))
            try:
                audio = [self.pack(name) for name in needed]
            except AudioError as error:
                self.rejected.append(
                    {
                        "id": identity,
                        "language": language,
                        "split": split,
                        "reason": str(error),
                        "rows": len(turns),
                    }
                )
                continue
            for category in dict.fromkeys(turn["category"] for turn in turns):
                self.index[split].setdefault(category, array.array("q")).append(place)
            record = {
                "id": identity,
                "language": language,
                "audio_ids": needed,
                "audio": audio,
                "turns": json.dumps(turns, ensure_ascii=False),
            }
            self.digest.update(f"{split} {identity} {needed} {record['turns']} ".encode())
            for data in audio:
                self.digest.update(hashlib.sha256(data).digest())
            yield keys.make(len(record["turns"]) + sum(map(len, audio))), record
            place += 1

    def _encode(self, name: str) -> bytes:
        if name not in self.files:
            raise AudioError(
                f"{name}: no audio file of that name; point --audio to the folder that holds it"
            )
        return pack_file(self.files[name], self.compression)


def list_languages(sift_dir: Path) -> list[str]:
    """Those that have rows; an error where none has."""
    found = [
        language
        for language in LANGUAGES
        if any(
            path.stat().st_size
            for split in SPLITS
            for path in list_files(sift_dir, split, language=language)
        )
    ]
    if not found:
        raise ValueError(
            f"no SIFT files under {sift_dir}; expected "
            f"{{train,dev,EvalSIFT}}/{{category}}/{{lang}}/split0.jsonl"
        )
    return found


def write_language(
    sift_dir: Path,
    files: Mapping[str, Path],
    out_dir: Path,
    language: str,
    compression: str,
    *,
    group: Callable[[Path, str, str], Groups] = RowIndex,
    pack: Callable[[str], bytes] | None = None,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """The dataset of one language, made again. Returns {split: records} and what was skipped.

    `group` brings the rows of an id together, by their places in the files if nothing else is
    given; `pack` makes the clip of an utterance, here and now if nothing else is given.
    """
    with hush():
        import tensorflow  # noqa: F401 - TFDS imports it when it writes, and its C++ side speaks up
        import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    groups = {split: group(sift_dir, split, language) for split in SPLITS}
    # what an interrupted call left is made again: TFDS would take it for whole, and the index would
    # be lost
    shutil.rmtree(out_dir / f"sift_{language}", ignore_errors=True)
    writer = _Writer(files, compression, pack)
    bytes_feature = tfds.features.Tensor(shape=(), dtype=np.bytes_)
    builder = tfds.dataset_builders.AdhocBuilder(
        name=f"sift_{language}",
        version=VERSION,
        description=f"Utterances in {language}, each with its audio once and all its questions.",
        features=tfds.features.FeaturesDict(
            {
                "id": tfds.features.Text(),
                "language": tfds.features.Text(),
                "audio_ids": tfds.features.Sequence(tfds.features.Text()),
                "audio": tfds.features.Sequence(bytes_feature),
                "turns": tfds.features.Text(),
            }
        ),
        split_datasets={
            split: writer.make_records(found, split, language)
            for split, found in groups.items()
            if found
        },
        data_dir=out_dir,
        file_format="array_record",
        disable_shuffling=True,
    )
    # TFDS prints of a download, and nothing is downloaded
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_dir=out_dir / "downloads")
    (out_dir / f"sift_{language}" / "digest").write_text(writer.digest.hexdigest())
    _write_index(out_dir / f"sift_{language}", writer.index)
    return {
        split: info.num_examples for split, info in builder.info.splits.items()
    }, writer.rejected


def _write_index(folder: Path, index: Mapping[str, Mapping[str, array.array[int]]]) -> None:
    draft = folder / ".index.json.part"
    with draft.open("w") as out:
        # as json.dumps would, a list at a time
        for number, (split, lists) in enumerate(index.items()):
            out.write(f"{', ' if number else '{'}{json.dumps(split)}: {{")
            for place, (name, places) in enumerate(lists.items()):
                out.write(
                    f"{', ' if place else ''}{json.dumps(name)}: {json.dumps(places.tolist())}"
                )
            out.write("}")
        out.write("}" if index else "{}")
    counts = {"index_bytes": draft.stat().st_size, "counts": count_places(index)}
    (folder / "counts.json").write_text(json.dumps(counts))
    # last: where it is, all is
    draft.replace(folder / "index.json")
