"""The filter: a language model grades each triple against what is said in its recording.

    triples.jsonl ─ by recording ─ grader ─►  {"number": 1, "answerable": 5, "correct": 4, "worded": 5, "fault": ""}
        ─►  triples.jsonl  sift/     those with every grade at least --least
            aside.jsonl              the others, whole, with their grades and the reason
            grades.jsonl             every grade

The grades are kept: with another --least the same folder is shared out again, and nobody is asked
again. An answer that is no grade is asked for again, and then counted.
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.instructions.llm.shards import add_reports
from data_prep.pipeline.gather import list_sources
from data_prep.synthesis.graders import CRITERIA, NO_GRADE, Grade, Grader, Grading, make_grader
from data_prep.synthesis.job_folder import describe_file, hold_job, report_job
from data_prep.synthesis.triples import Triple, parse_triple, read_triples, write_sift
from sift_jax.storage.whole_files import open_whole, write_whole

VERSION = "1"
_CHUNK = 100
_STAGES = ("grade",)


def grade(
    data: Path, grading: Grading, out: Path, *, least: int, seed: int, engine: Engine
) -> None:
    """The whole filter; resumes where the same command was stopped."""
    listed = data / "triples.jsonl"
    if not listed.is_file():
        raise BuildError(f"--data={data} has no triples.jsonl; give the --out of speak or ask")
    settings = {
        "way": "filter",
        "version": VERSION,
        "data": describe_file(listed),
        **grading.identity,
        "seed": seed,
    }
    with hold_job(out, settings):
        if not (out / "parts" / "sources.json").exists():
            _gather(listed, out)
        chunks = [dataclasses.replace(chunk, seed=seed) for chunk in list_sources(out, seed)]
        run_chunks(chunks, "graded", functools.partial(grade_chunk, grading=grading), engine)
        _finish(out, chunks, least)


def _gather(listed: Path, out: Path) -> None:
    """Triples by language and split, in chunks that keep a recording's together."""
    places: dict[tuple[str, str], list[str]] = {}
    counts: dict[str, dict[str, int]] = {}

    def flush(place: tuple[str, str], recordings: Sequence[str]) -> None:
        language, split = place
        splits = counts.setdefault(language, {})
        first = splits.get(split, 0)
        splits[split] = first + len(recordings)
        chunk = Chunk(
            out=out, language=language, split=split, first=first, last=splits[split], seed=0
        )
        chunk.write_lines("sources", recordings)

    for _, group in itertools.groupby(read_triples(listed), key=lambda triple: triple.id):
        triples = list(group)
        place = triples[0].language, triples[0].split
        waiting = places.setdefault(place, [])
        waiting.append(
            json.dumps([dataclasses.asdict(triple) for triple in triples], ensure_ascii=False)
        )
        if len(waiting) == _CHUNK:
            flush(place, places.pop(place))
    for place, waiting in places.items():
        flush(place, waiting)
    if not counts:
        raise BuildError(f"{listed} holds no triples; make some with speak or ask")
    write_whole(out / "parts" / "sources.json", json.dumps(counts))


def _read_groups(chunk: Chunk) -> Iterator[list[Triple]]:
    for line in chunk.read_lines("sources"):
        yield [parse_triple(json.dumps(row)) for row in json.loads(line)]


def grade_chunk(chunk: Chunk, *, grading: Grading) -> None:
    """Grades the recordings of a chunk, as many at once as the grader takes."""
    chunk.path("calls").parent.mkdir(parents=True, exist_ok=True)
    grader: Grader = make_grader(grading, chunk.path("calls"), chunk.seed)
    try:
        with concurrent.futures.ThreadPoolExecutor(grader.calls) as pool:
            try:
                found = list(pool.map(grader.grade, _read_groups(chunk)))
            except BaseException:
                grader.stop()
                pool.shutdown(cancel_futures=True)
                raise
        chunk.write_lines("ledger", [json.dumps(grader.report())])
    finally:
        grader.close()
    # Last: it says that the chunk is done.
    chunk.write_lines(
        "graded",
        [
            json.dumps(dataclasses.asdict(grade), ensure_ascii=False)
            for grades in found
            for grade in grades
        ],
    )


def find_reason(grade: Grade, least: int) -> str | None:
    """Why a triple falls: the first criterion under the least grade."""
    if grade.fault == NO_GRADE:
        return NO_GRADE
    return next((reason for name, reason in CRITERIA.items() if getattr(grade, name) < least), None)


def _finish(out: Path, chunks: Sequence[Chunk], least: int) -> None:
    """Shares the triples out by their grades, and writes both halves."""
    entered = left = 0
    rejections = []
    histogram: dict[str, Counter[int]] = {name: Counter() for name in CRITERIA}
    with open_whole(out / "aside.jsonl") as aside, open_whole(out / "grades.jsonl") as grades:
        for chunk in chunks:
            kept = []
            triples = [triple for group in _read_groups(chunk) for triple in group]
            for triple, line in zip(triples, chunk.read_lines("graded"), strict=True):
                grade = Grade(**json.loads(line))
                grades.write(
                    json.dumps({"key": triple.key, **dataclasses.asdict(grade)}, ensure_ascii=False)
                    + "\n"
                )
                for name in CRITERIA:
                    histogram[name][getattr(grade, name)] += 1
                reason = find_reason(grade, least)
                if reason is None:
                    kept.append(triple.to_json())
                    continue
                row: dict[str, Any] = {
                    "reason": reason,
                    "grade": dataclasses.asdict(grade),
                    "triple": dataclasses.asdict(triple),
                }
                aside.write(json.dumps(row, ensure_ascii=False) + "\n")
                rejections.append(
                    Rejection(
                        reason=reason, detail=grade.detail, id=triple.key, language=triple.language
                    )
                )
            chunk.write_lines("kept_triples", kept)
            entered, left = entered + len(triples), left + len(kept)
    settle(out, "grade", "triples", entered, left, rejections)
    if not left:
        raise BuildError(
            f"no triple was good enough; see {out}/aside.jsonl, or lower --least={least}"
        )
    rows = write_sift(out, chunks, "kept_triples")
    ledger = functools.reduce(
        add_reports, (json.loads(chunk.read_lines("ledger")[0]) for chunk in chunks)
    )
    report_job(
        out,
        _STAGES,
        {
            "rows": rows,
            "least": least,
            "ledger": ledger,
            "grades": {name: dict(sorted(counts.items())) for name, counts in histogram.items()},
        },
    )
