"""From a corpus to training records, a stage at a time; what is done already is used again.

    corpus ─► words ─► measure ─► metadata ─► instructions ─► records ─► report
    audio/*.flac                  bins.json      sift/…          records/   report.json
    utterances.jsonl              metadata.jsonl                            rejected.jsonl

stages.json remembers under which fingerprint (knobs and version of that stage and of all before it)
each stage was finished. A stage whose fingerprint differs is done again, and so is all
that follows. What a stage can do in chunks goes through `engine` (Apache Beam), which keeps the
finished ones in parts/, so that a killed build resumes where it was; what stands here and in
`stages` is what goes before and after.
"""

import dataclasses
import functools
import hashlib
import json
import operator
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_prep.alignment.word_time_stage import time_words
from data_prep.corpora.registry import EMBEDDED
from data_prep.engine.beam_engine import keep_processes, run_chunks
from data_prep.engine.chunks import BuildError, sweep
from data_prep.engine.ledger import collect
from data_prep.metadata.experts import make_panel
from data_prep.metadata.fields import check_listeners
from data_prep.metadata.metadata_table import write_metadata
from data_prep.pipeline.build_config import BuildConfig
from data_prep.pipeline.corpus_stage import list_chunks, make_corpus
from data_prep.pipeline.instruction_stage import write_instructions
from data_prep.pipeline.measure_stage import measure_chunk
from data_prep.pipeline.record_stage import write_records
from data_prep.pipeline.split_gaps import check_trained, count_trained, follow_splits, load_splits
from data_prep.pipeline.statistics import make_report
from data_prep.report import describe_build
from sift_jax.sift.fields import read_build_fields
from sift_jax.sift.labels import ACOUSTIC_LABELS
from sift_jax.storage.whole_files import write_whole


def build(config: BuildConfig, stages: Sequence[str] | None = None) -> None:
    """Runs the stages (all by default), skipping those that are done under the same fingerprint."""
    config.out.mkdir(parents=True, exist_ok=True)
    marks_path = config.out / "stages.json"
    if not marks_path.exists() and any(config.out.iterdir()):
        raise BuildError(
            f"{config.out} is not empty and holds no earlier build; choose another --out"
        )
    sweep(config.out)
    marks = _read_marks(marks_path)
    with keep_processes(config.engine):
        _run_stages(config, marks, stages)


def _read_marks(path: Path) -> dict[str, Any]:
    try:
        marks = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        is_whole = isinstance(marks, dict) and all(
            isinstance(mark, dict) for mark in marks.values()
        )
    except ValueError:
        is_whole = False
    if not is_whole:
        raise BuildError(
            f"{path} is broken, so nobody knows what is done; write {{}} into it, and all is "
            "made again"
        )
    return marks


def _run_stages(config: BuildConfig, marks: dict[str, Any], stages: Sequence[str] | None) -> None:
    marks_path, fingerprint = config.out / "stages.json", ""
    for name, stage in STAGES.items():
        knobs = [str(operator.attrgetter(knob)(config)) for knob in _KNOBS.get(name, ())]
        if name == "corpus" and config.corpus != EMBEDDED:
            knobs.append(config.reading.fingerprint)
        fingerprint = hashlib.sha256(
            f"{fingerprint} {name} {knobs} {stage.version}".encode()
        ).hexdigest()
        if stages is not None and name not in stages:
            continue
        mark = marks.get(name, {})
        if mark.get("fingerprint") == fingerprint and mark.get("is_done"):
            print(f"{name}: done before")
            continue
        if mark.get("fingerprint") != fingerprint:
            # What is removed here is read by the later ones: if these knobs are taken back, they
            # are no longer done.
            for later in list(STAGES)[list(STAGES).index(name) :]:
                marks.pop(later, None)
            write_whole(marks_path, json.dumps(marks, indent=1))
            _remove(config.out, stage.leaves)
            marks[name] = {"fingerprint": fingerprint, "is_done": False}
            write_whole(marks_path, json.dumps(marks, indent=1))
        stage.run(config)
        marks[name] = {"fingerprint": fingerprint, "is_done": True}
        write_whole(marks_path, json.dumps(marks, indent=1))


def _time_words(config: BuildConfig) -> None:
    time_words(config.out, list_chunks(config), config.aligning, config.engine)


def _measure_corpus(config: BuildConfig) -> None:
    measuring = config.measuring
    # An expert that cannot be had is an error now, and not in a worker.
    check_listeners(make_panel(measuring.experts, measuring.gender_model).listeners, config.fields)
    work = functools.partial(
        measure_chunk, chosen=measuring.experts, gender_model=measuring.gender_model
    )
    run_chunks(list_chunks(config), "measured", work, config.engine)


def _write_metadata(config: BuildConfig) -> None:
    write_metadata(
        config.out,
        list_chunks(config),
        config.measuring,
        config.fields,
        is_synthetic=config.corpus == EMBEDDED,
    )
    if found := load_splits(config.out):
        with (config.out / "metadata.jsonl").open(encoding="utf-8") as lines:
            trained = count_trained(map(json.loads, lines))
        check_trained(found, trained, config.drawing, "when they were decoded and measured")


def _write_report(config: BuildConfig) -> None:
    counts = json.loads((config.out / "parts" / "counts.json").read_text())
    accounts = collect(
        config.out,
        (
            "synthesis",
            "read",
            "split",
            "decode",
            "given_words",
            "word_times",
            "words",
            "measure",
            "genders",
            "stated_genders",
            "fields",
            "instructions",
            "records",
        ),
    )
    labels = {
        **ACOUSTIC_LABELS,
        **{field.name: tuple(field.classes) for field in read_build_fields(config.out)},
    }
    with (config.out / "metadata.jsonl").open(encoding="utf-8") as lines:
        report = make_report(map(json.loads, lines), counts, labels) | {"accounts": accounts}
    if found := load_splits(config.out):
        report["splits"] = follow_splits(found, report["utterances"], config.drawing)
    report["claims"] = {"kind": config.claims, "experts": dict(config.measuring.experts)}
    report = describe_build(config.out, report, f"Speech instructions: {config.corpus}")
    write_whole(config.out / "report.json", json.dumps(report, ensure_ascii=False, indent=1))


# The knobs that a stage is the first to heed.
_KNOBS = {
    "corpus": ("corpus", "languages", "train", "dev", "evaluation", "shared_sentences", "seed"),
    "words": ("aligning.fingerprint",),
    "measure": ("measuring.hearing",),
    "metadata": ("measuring.labelling", "fields"),
    "instructions": (
        "claims",
        "evaluation_rows",
        "wordings",
        "skip_wordings",
        "plain",
        "rows_per_utterance",
    ),
    "records": ("compression",),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What runs it, and what it leaves, which is removed when it is stale. The version is raised when
    the same knobs give another result; tests/golden/stages.json finds one that was forgotten."""

    run: Callable[[BuildConfig], None]
    leaves: tuple[str, ...]
    version: int


STAGES = {
    "corpus": Stage(run=make_corpus, leaves=("audio", "utterances.jsonl", "parts"), version=1),
    "words": Stage(
        run=_time_words,
        leaves=(
            "parts/words",
            "parts/word_times",
            "parts/word_times.json",
            "parts/accounts/words.json",
            "parts/accounts/word_times.json",
        ),
        version=1,
    ),
    "measure": Stage(run=_measure_corpus, leaves=("parts/measured",), version=4),
    "metadata": Stage(
        run=_write_metadata,
        leaves=(
            "bins.json",
            "metadata.jsonl",
            "fields.json",
            "parts/accounts/genders.json",
            "parts/accounts/stated_genders.json",
            "parts/accounts/fields.json",
        ),
        version=4,
    ),
    "instructions": Stage(
        run=write_instructions,
        leaves=("sift", "parts/shares", "parts/shares.json", "parts/counts"),
        version=3,
    ),
    "records": Stage(run=write_records, leaves=("records", "parts/records"), version=1),
    "report": Stage(
        run=_write_report,
        leaves=("report.json", "rejected.jsonl", "README.md", "report.html"),
        version=2,
    ),
}


def _remove(out: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
