"""From nothing to training records, a stage at a time; what is done already is used again.

    corpus ─► measure ─► metadata ─► instructions ─► records ─► report
    audio/*.flac         bins.json      sift/…          records/   report.json
    utterances.jsonl     metadata.jsonl

stages.json remembers under which fingerprint (knobs, sentences and code of that stage and of all before it) each stage
was finished. A stage whose fingerprint differs is done again, and so is all that follows. The two long ones also keep
their finished chunks in parts/, so that a killed build goes on where it was.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep.corpora.embedded.corpus import make_babble, make_plans, synthesize
from data_prep.corpora.utterance import parse_utterance
from data_prep.metadata.bins import label_values, make_bins
from data_prep.metadata.measure import measure_utterance
from data_prep.splits import DEV, EVALUATION, SPLITS, TRAIN
from data_prep.statistics import make_report
from sift_jax.audio.files import read_audio, write_audio
from sift_jax.data.labels import ACOUSTIC_LABELS

_ROOT = Path(__file__).resolve().parent.parent
_CHUNK = 25


class BuildError(ValueError):
    """The build cannot go on; the message is one line for the user."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildConfig:
    corpus: str
    out: Path
    languages: tuple[str, ...]
    train: int
    dev: int
    evaluation: int
    evaluation_rows: int
    wordings: int
    plain: bool
    rows_per_utterance: int
    seed: int
    workers: int

    def count(self, split: str) -> int:
        return {TRAIN: self.train, DEV: self.dev, EVALUATION: self.evaluation}[split]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """A run of utterances of one language and split; `name` is that of its files in parts/."""

    out: Path
    language: str
    split: str
    first: int
    last: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.language}_{self.split}_{self.first:06d}.jsonl"


def build(config: BuildConfig, stages: Sequence[str] | None = None) -> None:
    """Runs the stages (all by default), skipping those that are done under the same fingerprint."""
    config.out.mkdir(parents=True, exist_ok=True)
    marks_path = config.out / "stages.json"
    if not marks_path.exists() and any(config.out.iterdir()):
        raise BuildError(f"{config.out} is not empty and holds no earlier build; choose another --out")
    marks = json.loads(marks_path.read_text()) if marks_path.exists() else {}
    fingerprint = ""
    for name, (run, clear, sources) in STAGES.items():
        knobs = [str(getattr(config, knob)) for knob in _KNOBS.get(name, ())]
        fingerprint = hashlib.sha256(f"{fingerprint} {name} {knobs} {_hash_sources(sources)}".encode()).hexdigest()
        if stages is not None and name not in stages:
            continue
        mark = marks.get(name, {})
        if mark.get("fingerprint") == fingerprint and mark.get("is_done"):
            print(f"{name}: done before")
            continue
        if mark.get("fingerprint") != fingerprint:
            _remove(config.out, clear)
            marks[name] = {"fingerprint": fingerprint, "is_done": False}
            _write_text(marks_path, json.dumps(marks, indent=1))
        run(config)
        marks[name] = {"fingerprint": fingerprint, "is_done": True}
        _write_text(marks_path, json.dumps(marks, indent=1))


def _make_corpus(config: BuildConfig) -> None:
    (config.out / "audio").mkdir(exist_ok=True)
    _run_chunks(config, "utterances", _make_chunk)
    _join_parts(config, "utterances", config.out / "utterances.jsonl")


def _make_chunk(chunk: Chunk) -> int:
    plans = make_plans(chunk.language, chunk.split, chunk.last, seed=chunk.seed)[chunk.first :]
    make_babble(chunk.seed)
    lines = []
    for plan in plans:
        wave, utterance = synthesize(plan)
        write_audio(chunk.out / "audio" / f"{utterance.id}.flac", wave)
        lines.append(utterance.to_json())
    _write_text(chunk.out / "parts" / "utterances" / chunk.name, "".join(line + "\n" for line in lines))
    return len(plans)


def _measure_corpus(config: BuildConfig) -> None:
    _run_chunks(config, "measured", _measure_chunk)


def _measure_chunk(chunk: Chunk) -> int:
    lines = (chunk.out / "parts" / "utterances" / chunk.name).read_text(encoding="utf-8").splitlines()
    rows = []
    for utterance in map(parse_utterance, lines):
        wave = read_audio(chunk.out / "audio" / f"{utterance.id}.flac")
        measured = measure_utterance(wave, utterance)
        rows.append(measured.row or {"id": utterance.id, "rejected": measured.rejected})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    _write_text(chunk.out / "parts" / "measured" / chunk.name, text)
    return len(rows)


def _write_metadata(config: BuildConfig) -> None:
    path = config.out / "parts" / "measured.jsonl"
    _join_parts(config, "measured", path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rejected = Counter(row["rejected"] for row in rows if "rejected" in row)
    kept = [row for row in rows if "rejected" not in row]
    try:
        bins = make_bins((row for row in kept if row["split"] == TRAIN), ACOUSTIC_LABELS)
        labelled = [{**row, "labels": label_values(row, bins, ACOUSTIC_LABELS)} for row in kept]
    except ValueError as error:
        raise BuildError(str(error)) from error
    _write_text(config.out / "bins.json", json.dumps(bins, indent=1))
    _write_text(config.out / "parts" / "rejected.json", json.dumps(rejected))
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in labelled)
    _write_text(config.out / "metadata.jsonl", "".join(lines))


def _write_instructions(config: BuildConfig) -> None:
    from data_prep.instructions.write import write_instructions

    counts = write_instructions(config.out / "metadata.jsonl", config.out / "sift", seed=config.seed,
                                rows_per_language=config.evaluation_rows, wordings=config.wordings,
                                rows_per_utterance=config.rows_per_utterance, is_plain=config.plain)
    _write_text(config.out / "parts" / "counts.json", json.dumps(counts))


def _write_records(config: BuildConfig) -> None:
    from sift_jax.data.records import write_records

    write_records(config.out / "sift", config.out / "audio", config.out / "records")


def _write_report(config: BuildConfig) -> None:
    metadata = (config.out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    counts = json.loads((config.out / "parts" / "counts.json").read_text())
    rejected = json.loads((config.out / "parts" / "rejected.json").read_text())
    report = make_report([json.loads(line) for line in metadata], counts, rejected, ACOUSTIC_LABELS)
    _write_text(config.out / "report.json", json.dumps(report, ensure_ascii=False, indent=1))


# The knobs that a stage is the first to heed.
_KNOBS = {"corpus": ("corpus", "languages", "train", "dev", "evaluation", "seed"),
          "instructions": ("evaluation_rows", "wordings", "plain", "rows_per_utterance")}
# Stage: what runs it, what it leaves (removed when it is stale), and the code and data that decide its result.
_Stage = tuple[Callable[[BuildConfig], None], tuple[str, ...], tuple[str, ...]]
STAGES: dict[str, _Stage] = {
    "corpus": (_make_corpus, ("audio", "utterances.jsonl", "parts/utterances"),
               ("data_prep/corpora", "data_prep/splits.py")),
    "measure": (_measure_corpus, ("parts/measured",), ("data_prep/metadata", "sift_jax/audio/files.py")),
    "metadata": (_write_metadata, ("bins.json", "metadata.jsonl"), ("sift_jax/data/labels.py",)),
    "instructions": (_write_instructions, ("sift",),
                     ("data_prep/instructions", "sift_jax/data/label_tables.py", "sift_jax/data/sift_files.py")),
    "records": (_write_records, ("records",), ("sift_jax/data/records.py",)),
    "report": (_write_report, ("report.json",), ("data_prep/statistics.py",)),
}


def _list_chunks(config: BuildConfig) -> list[Chunk]:
    return [
        Chunk(out=config.out, language=language, split=split, first=first,
              last=min(first + _CHUNK, config.count(split)), seed=config.seed)
        for language in config.languages
        for split in SPLITS
        for first in range(0, config.count(split), _CHUNK)
    ]


def _run_chunks(config: BuildConfig, kind: str, work: Callable[[Chunk], int]) -> None:
    """Works on all chunks that have no part yet, in processes of their own."""
    folder = config.out / "parts" / kind
    folder.mkdir(parents=True, exist_ok=True)
    chunks = _list_chunks(config)
    waiting = [chunk for chunk in chunks if not (folder / chunk.name).exists()]
    total = sum(chunk.last - chunk.first for chunk in chunks)
    done = total - sum(chunk.last - chunk.first for chunk in waiting)
    with tqdm(total=total, initial=done, desc=kind, unit="utt", dynamic_ncols=True) as bar:
        if config.workers == 1 or len(waiting) < 2:
            for chunk in waiting:
                bar.update(work(chunk))
            return
        # Threads inside the workers would only fight over the cores; a fresh interpreter reads this at its start.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
        context = multiprocessing.get_context("spawn")
        workers = min(config.workers, len(waiting))
        with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
            for result in concurrent.futures.as_completed([pool.submit(work, chunk) for chunk in waiting]):
                bar.update(result.result())


def _join_parts(config: BuildConfig, kind: str, path: Path) -> None:
    texts = ((config.out / "parts" / kind / chunk.name).read_text(encoding="utf-8") for chunk in _list_chunks(config))
    _write_text(path, "".join(texts))


def _remove(out: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


@functools.cache
def _hash_sources(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        path = _ROOT / source
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            if file.suffix in {".py", ".json", ".tsv"}:
                digest.update(str(file.relative_to(_ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
