"""A task's examples of one corpus into a folder that holds many: SIFT files, audio, records.

    out/jobs/asr.mls/           what was read, chosen and decoded of it; job.json says from what, and that it is done
    out/audio/<xx>/<id>.flac    every recording once
    out/sift/{split}/pretraining/asr/{lang}/split<N>.jsonl         one file for each corpus, in the order of their names
    out/records/  out/rejected.jsonl

A job that was stopped resumes; asked for in other words, it is made again. The SIFT files of a task
and the records are written again at each end from all jobs that are done, so what comes out does
not depend on the order of the commands.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import reject
from data_prep.corpora.registry import Reading
from data_prep.corpora.splits import SPLITS
from data_prep.engine.beam_engine import Engine
from data_prep.engine.chunks import BuildError, Chunk, sweep
from data_prep.engine.ledger import Accounts, Rejection, collect, settle
from data_prep.pipeline.gather import list_sources
from data_prep.tasks.decode import decode_examples
from data_prep.tasks.example import parse_example
from data_prep.tasks.example_to_row import Templates, make_row
from data_prep.tasks.gather import gather_examples
from data_prep.tasks.registry import read_task
from sift_jax.corpora.bad_item import BadItem
from sift_jax.sift.rows import Row, write_rows
from sift_jax.storage.folder_lock import FolderHeldError, hold_folder
from sift_jax.storage.whole_files import open_whole, write_whole

_STAGES = ("read", "choose", "decode", "word")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One task of one corpus; `name` is the corpus's, or what a manifest is called."""

    task: str
    corpus: str
    name: str
    reading: Reading
    languages: tuple[str, ...]
    train: int | None
    dev: int | None
    evaluation: int | None
    seed: int

    @property
    def folder_name(self) -> str:
        return f"{self.task}.{self.name}"

    @property
    def sizes(self) -> Mapping[str, int | None]:
        return dict(zip(SPLITS, (self.train, self.dev, self.evaluation), strict=True))

    @property
    def fingerprint(self) -> str:
        given = {**dataclasses.asdict(self), "reading": self.reading.fingerprint}
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def run_job(job: Job, out: Path, engine: Engine) -> Path:
    """Reads, chooses and decodes; goes on where the same job was stopped. Returns the job's
    folder."""
    folder = out / "jobs" / job.folder_name
    mark = folder / "job.json"
    sweep(folder)
    if (
        mark.is_file()
        and json.loads(mark.read_text(encoding="utf-8"))["fingerprint"] != job.fingerprint
    ):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8"))["is_done"]:
        print(f"{job.folder_name}: done before")
        return folder
    state = {"task": job.task, "name": job.name, "seed": job.seed, "fingerprint": job.fingerprint}
    write_whole(mark, json.dumps({**state, "is_done": False}))
    # Chosen afresh only with the job itself: one that goes on must find the chunks that it left.
    if not (folder / "parts" / "sources.json").exists():
        items = read_task(
            job.task, job.corpus, job.reading.root, job.reading.manifest, job.name, job.languages
        )
        gather_examples(items, folder, sizes=job.sizes, seed=job.seed)
    chunks = list_sources(folder, job.seed)
    decode_examples(chunks, out / "audio", job.reading, engine)
    left = sum(len(chunk.read_lines("kept")) for chunk in chunks)
    rejections = (
        Rejection(**json.loads(line))
        for chunk in chunks
        for line in chunk.read_lines("decode_rejected")
    )
    settle(
        folder,
        "decode",
        "examples",
        sum(chunk.last - chunk.first for chunk in chunks),
        left,
        rejections,
    )
    write_whole(mark, json.dumps({**state, "is_done": True}))
    return folder


def write_task_files(
    out: Path, task: str, templates: Mapping[str, Templates]
) -> dict[str, dict[str, int]]:
    """The SIFT files of a task from all its jobs that are done; returns the rows by language and
    split."""
    for split in SPLITS:
        shutil.rmtree(out / "sift" / split / "pretraining" / task, ignore_errors=True)
    counts: dict[str, dict[str, int]] = {}
    numbers: dict[tuple[str, str], int] = {}
    for folder in list_jobs(out, task):
        mark = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        chunks, entered, written = list_sources(folder, mark["seed"]), 0, 0
        rejections: list[Rejection] = []
        places = dict.fromkeys((chunk.language, chunk.split) for chunk in chunks)
        for language, split in places:
            number = numbers[language, split] = numbers.get((language, split), -1) + 1
            own = [chunk for chunk in chunks if (chunk.language, chunk.split) == (language, split)]
            rows = _make_rows(own, mark, templates, rejections)
            path = out / "sift" / split / "pretraining" / task / language / f"split{number}.jsonl"
            made = write_rows(path, rows)
            entered += sum(len(chunk.read_lines("kept")) for chunk in own)
            written += made
            splits = counts.setdefault(language, dict.fromkeys(SPLITS, 0))
            splits[split] += made
        settle(folder, "word", "examples", entered, written, rejections)
    return counts


def _make_rows(
    chunks: Sequence[Chunk],
    mark: Mapping[str, Any],
    templates: Mapping[str, Templates],
    rejections: list[Rejection],
) -> Iterator[Row]:
    for chunk in chunks:
        for line in chunk.read_lines("kept"):
            example = parse_example(line)
            try:
                yield make_row(
                    example,
                    mark["task"],
                    source=mark["name"],
                    seed=mark["seed"],
                    templates=templates,
                )
            except BadItem as bad:
                rejections.append(
                    reject(bad, file=Path(example.recording.audio), language=chunk.language)
                )


@contextlib.contextmanager
def hold(out: Path) -> Iterator[None]:
    """Keeps a second command out of the folder; the lock goes with the process, however it ends."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(hold_folder(out / "jobs", remedy="wait for its end"))
        except FolderHeldError as error:
            raise BuildError(str(error)) from None
        yield


def list_jobs(out: Path, task: str | None = None) -> list[Path]:
    """The folders of the jobs that are done, of one task if asked, in the order of their names."""
    marks = {
        path.parent: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((out / "jobs").glob("*/job.json"))
    }
    return [
        folder for folder, mark in marks.items() if mark["is_done"] and task in (None, mark["task"])
    ]


def join_rejected(out: Path) -> dict[str, Accounts]:
    """The accounts of all jobs; what they skipped goes into one file, each line with its job."""
    accounts = {folder.name: collect(folder, _STAGES) for folder in list_jobs(out)}
    with open_whole(out / "rejected.jsonl") as joined:
        for name in accounts:
            with (out / "jobs" / name / "rejected.jsonl").open(encoding="utf-8") as lines:
                for line in lines:
                    joined.write(
                        json.dumps({"job": name, **json.loads(line)}, ensure_ascii=False) + "\n"
                    )
    return accounts
