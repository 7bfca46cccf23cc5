"""What is made once before a plan can be: the question index of records, and records of tasks that
have none.

    records/sift_en/questions-<key>/train/<category>/      an index of each category (question_index.py), in one pass
    records/cached/<task>-<key>/train/                     the same of a task with a source of its own, and its audio
    pairs/cached/pairs-<key>/train/                        the same of a file of preference pairs (pair_files.py)

The key is a hash of the records, their index.json, the tokenizer, the chat template and the units
of speech, if a codec is named; of another task it is a hash of its source's files, its
preprocessors and its first examples. A folder appears whole or not at all. Where the file system
has locks only one process makes it; elsewhere each makes its own, and the first to be done gives it
its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import io
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from tqdm import tqdm

from sift_jax.data.records.code_digest import digest_code
from sift_jax.data.records.pair_files import PAIRS, digest_pairs, encode_pairs, read_pairs
from sift_jax.data.records.question_index import IndexWriter, Question, QuestionIndex
from sift_jax.data.records.record_audio import encode_clip
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.data.records.record_units import UnitSet, list_spoken
from sift_jax.data.records.unreadable import UNREADABLE, is_too_many
from sift_jax.progress import track
from sift_jax.sift.rows import name_utterance
from sift_jax.text.chat import Rendered, render_chat
from sift_jax.text.tokenizers import AUDIO, SpeechTokenizer
from sift_jax.text.unit_tokens import CodecIdentity

if TYPE_CHECKING:
    import seqio

# changes with the meaning of what is written
_FORMAT = 3
# examples by which a changed source is recognized
_SAMPLE = 16
_AUDIO = "audio.array_record"


class CachedAudio:
    """The clips of an item of a cached task."""

    def __init__(self, folder: Path, index: QuestionIndex):
        from array_record.python import array_record_data_source

        self.index = index
        self._source = array_record_data_source.ArrayRecordDataSource([str(folder / _AUDIO)])
        if len(self._source) != index.counts["clips"]:
            raise ValueError(f"{folder / _AUDIO} is damaged: clips are missing; delete {folder}")

    def __call__(self, item: int) -> list[np.ndarray]:
        start, stop = self.index.items["clip"][item : item + 2].tolist()
        return [decode_clip(self._source[clip]) for clip in range(start, stop)]


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder as `make` leaves it; whoever comes while it is being made waits."""
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(folder.name + ".lock").open("w")
    except OSError as error:
        raise ValueError(
            f"{folder} is kept beside the records ({error}); make that folder writable"
        ) from None
    with lock:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _make_draft(folder, make)
    return folder


def _make_draft(folder: Path, make: Callable[[Path], None]) -> None:
    # process numbers do not tell processes apart: those of two containers are often the same
    draft = folder.with_name(f"{folder.name}.part-{uuid.uuid4().hex}")
    try:
        make(draft)
        draft.rename(folder)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        # a folder that has got its name meanwhile is another process's, of the same things
        if not (isinstance(error, OSError) and folder.is_dir()):
            raise


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=4)
def _digest_tokenizer(tokenizer: SpeechTokenizer) -> str:
    return _digest(_FORMAT, tokenizer.digest)


def count_samples(data: bytes) -> int:
    """Samples of a clip: FLAC says it in its header, Ogg on its last page."""
    count = int.from_bytes(data[18:26], "big") & (1 << 36) - 1 if data[:4] == b"fLaC" else 0
    return count or soundfile.info(io.BytesIO(data)).frames


def index_records(
    reader: RecordReader,
    split: str,
    tokenizer: SpeechTokenizer,
    codec: CodecIdentity | None = None,
    *,
    most_unreadable: float = 0.0,
    hears_units: bool = False,
) -> Path:
    """The folder with an index of each category of a split, made where there is none yet.

    Without a codec an answer that is speech has no ids: such questions are left out. Where a model
    `hears_units`, recordings that are asked about are units, too. A record that
    cannot be read is left out, too, if no more than that share of them are so.
    """
    units = None
    if codec is not None:
        language = reader.folder.name.removeprefix("sift_")
        units = UnitSet(
            reader.folder.parent,
            codec,
            language,
            split,
            digest=reader.digest,
            has_heard=hears_units,
        )

    def make(draft: Path) -> None:
        categories = reader.index[split]
        writers = {
            name: IndexWriter(draft / name.replace("/", "."), tokenizer.ids[AUDIO])
            for name in categories
        }
        places, unreadable = sorted(set().union(*categories.values())), []
        lists = {name: np.unique(np.array(listed, np.int64)) for name, listed in categories.items()}
        for place in track(places, name=f"indexing {reader.folder.name} {split}", unit="record"):
            try:
                record = reader.read(split, place)
                samples = [count_samples(data) for data in record["audio"]]
            except UNREADABLE as error:
                unreadable.append(place)
                said = (
                    f"record {place} of {reader.folder} {split} cannot be read "
                    f"({' '.join(str(error).split())})"
                )
                tqdm.write(f"left out: {said}")
                if is_too_many(len(unreadable), len(places), most_unreadable):
                    raise ValueError(
                        f"{said}, as {len(unreadable) - 1} of {len(places)} before it, which is "
                        f"more than DataConfig.most_unreadable = {most_unreadable:g}; make those "
                        "records again"
                    ) from error
                continue
            # what the lists leave out of a category is none of its items, whatever the record has
            named = {name: writers[name] for name, listed in lists.items() if _has(listed, place)}
            _index_record(record, samples, place, named, tokenizer, units)
        for writer in writers.values():
            writer.close()

    key = _digest(
        reader.digest,
        reader.index_digest,
        _digest_tokenizer(tokenizer),
        *([units.digest] if units else []),
        *(["heard"] if hears_units else []),
    )
    return make_once(reader.folder / f"questions-{key}" / split, make)


def _has(listed: np.ndarray, place: int) -> bool:
    """Whether a sorted list has it."""
    found = np.searchsorted(listed, place)
    return bool(found < len(listed) and listed[found] == place)


def _index_record(
    record: dict,
    clips: list[int],
    place: int,
    writers: dict[str, IndexWriter],
    tokenizer: SpeechTokenizer,
    units: UnitSet | None,
) -> None:
    """Adds what is asked about a record, whose clips have so many samples, to its categories."""
    names = [name.decode() for name in record["audio_ids"]]
    turns = json.loads(record["turns"])
    if units is None:
        turns = [turn for turn in turns if not list_spoken(turn["messages"])]
    else:
        units.attach(turns, names, place)
    rendered: dict[str, list[Rendered]] = {}
    for turn in turns:
        rendered.setdefault(turn["category"], []).append(render_chat(turn["messages"], tokenizer))
    for category in [name for name in rendered if name in writers]:
        found = rendered[category]
        heard = [[names.index(name_utterance(path)) for path in one.audio] for one in found]
        # what is spoken, and heard in none of the prompts, is no clip of this category's item
        sources = sorted(set().union(*heard))
        questions = [
            Question(
                tokens=np.asarray(one.tokens, np.int32),
                is_target=np.asarray(one.is_target, bool),
                clips=[sources.index(clip) for clip in each],
            )
            for one, each in zip(found, heard, strict=True)
        ]
        writers[category].add(place, questions, [clips[clip] for clip in sources], sources)


def cache_task(task: seqio.Task, split: str, records: Path, tokenizer: SpeechTokenizer) -> Path:
    """The folder with a task's examples as its preprocessors leave them, read from its source
    once."""

    def read() -> Iterator[dict[str, np.ndarray]]:
        return task.get_dataset(
            None, split=split, shuffle=False, num_epochs=1, seed=0
        ).as_numpy_iterator()

    key = _digest(_digest_tokenizer(tokenizer), _digest_task(task, split, read))
    folder = records / "cached" / f"{task.name}-{key}"
    is_there = (folder / split).is_dir()
    make_once(
        folder / split,
        lambda draft: _write_examples(draft, f"{task.name} {split}", read(), tokenizer),
    )
    if is_there:
        print(
            f"{task.name}: {split} as cached in {folder / split}; delete it to read the source again"
        )
    return folder / split


def cache_pairs(path: Path, tokenizer: SpeechTokenizer) -> Path:
    """The folder with a file's preference pairs as ids, and their recordings; made again where the
    file, a recording's size or the tokenizer is another."""
    key = _digest(_digest_tokenizer(tokenizer), digest_pairs(path))
    return make_once(
        path.parent / "cached" / f"{PAIRS}-{key}" / path.stem,
        lambda draft: _write_examples(
            draft, str(path), encode_pairs(read_pairs(path), tokenizer), tokenizer
        ),
    )


def _write_examples(
    draft: Path,
    name: str,
    examples: Iterable[dict[str, np.ndarray]],
    tokenizer: SpeechTokenizer,
) -> None:
    """An index of examples, and their audio beside it."""
    from array_record.python.array_record_module import ArrayRecordWriter

    index = IndexWriter(draft, tokenizer.ids[AUDIO])
    audio = ArrayRecordWriter(str(draft / _AUDIO), "group_size:1")
    for number, example in enumerate(track(examples, name=f"caching {name}", unit="example")):
        for clip in split_clips(example):
            data = encode_clip(clip)
            audio.write(data)
            index.digest.update(data)
        index.add(
            number,
            split_questions(example, tokenizer.ids[AUDIO]),
            example["audio_lengths"].tolist(),
        )
    audio.close()
    index.close()


def _digest_task(
    task: seqio.Task, split: str, read: Callable[[], Iterator[dict[str, np.ndarray]]]
) -> str:
    """Source files, preprocessors and the first examples: what tells a changed task from the one
    that was cached."""
    files = [Path(name) for name in task.source.list_shards(split)]
    stats = [
        (str(path), path.stat().st_size, path.stat().st_mtime) for path in files if path.is_file()
    ]
    # a FunctionDataSource is the function that it was made of
    code = digest_code(list(task.preprocessors), getattr(task.source, "_dataset_fn", None))
    digest = hashlib.sha256(repr((task.name, type(task.source).__name__, stats, code)).encode())
    for _, example in zip(range(_SAMPLE), read(), strict=False):
        for name in sorted(example):
            digest.update(np.ascontiguousarray(example[name]).tobytes())
    return digest.hexdigest()


def split_clips(example: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The clips of an example, which it has in one vector."""
    ends = np.cumsum(example["audio_lengths"])
    return [
        example["audio"][end - n : end]
        for end, n in zip(ends, example["audio_lengths"], strict=True)
    ]


def split_questions(example: dict[str, np.ndarray], audio_id: int) -> list[Question]:
    """The questions of an example, each with the clips of its markers."""
    questions, used = [], 0
    for number in np.unique(example["question"]):
        mine = example["question"] == number
        markers = int((example["tokens"][mine] == audio_id).sum())
        clips = example["clips"][used : used + markers].tolist()
        used += markers
        questions.append(
            Question(
                tokens=example["tokens"][mine],
                is_target=example["is_target"][mine].astype(bool),
                clips=clips,
            )
        )
    return questions
