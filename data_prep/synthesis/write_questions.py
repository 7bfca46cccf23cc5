"""The second way, and the end of the third: questions and answers written from what is said in
recordings.

    corpus ─ gather ─ decode ─►  audio/<xx>/<id>.flac
                        └─ transcript ─ writer ─►  parts/asked/{lang}_{split}_….jsonl ─►  triples.jsonl  sift/
                                          └─ what fell, with the words of it ─►  rejected.jsonl

Calls of a language model are journalled in parts/calls, a journal for each chunk: a run that is
stopped asks nothing twice.
"""

import concurrent.futures
import functools
import json
from collections.abc import Sequence
from pathlib import Path

from data_prep.corpora.recording import Recording
from data_prep.corpora.splits import SPLITS
from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.instructions.llm.shards import add_reports
from data_prep.pipeline.gather import list_sources
from data_prep.synthesis.job_folder import hold_job, read_rejections, report_job, write_rejections
from data_prep.synthesis.question_writers.llm_writer import VERSION
from data_prep.synthesis.question_writers.registry import make_writer
from data_prep.synthesis.question_writers.writer import Writer, Writing
from data_prep.synthesis.speech_sources import SpeechSource
from data_prep.synthesis.triples import Triple, write_sift
from data_prep.tasks.decode import decode_examples
from data_prep.tasks.example import parse_example
from data_prep.tasks.gather import gather_examples
from sift_jax.storage.whole_files import open_whole

_STAGES = ("read", "choose", "decode", "ask")


def ask(
    source: SpeechSource,
    writing: Writing,
    out: Path,
    *,
    sizes: dict[str, int | None],
    seed: int,
    engine: Engine,
) -> None:
    """All of it; resumes where the same command was stopped."""
    settings = {
        "way": "ask",
        "version": VERSION,
        **source.settings,
        **writing.identity,
        "sizes": sizes,
        "seed": seed,
        "source": source.source,
    }
    with hold_job(out, settings):
        chunks = take_in(source, out, sizes=sizes, seed=seed, engine=engine)
        run_chunks(
            chunks,
            "asked",
            functools.partial(ask_chunk, writing=writing, source=source.source),
            engine,
        )
        _finish(out, chunks)


def take_in(
    source: SpeechSource, out: Path, *, sizes: dict[str, int | None], seed: int, engine: Engine
) -> list[Chunk]:
    """The recordings chosen and decoded, and the accounts of that closed."""
    if not (out / "parts" / "sources.json").exists():
        gather_examples(source.read(), out, sizes=sizes, seed=seed)
    chunks = list_sources(out, seed)
    decode_examples(chunks, out / "audio", source.reading, engine)
    left = sum(len(chunk.read_lines("kept")) for chunk in chunks)
    settle(
        out,
        "decode",
        "examples",
        sum(chunk.size for chunk in chunks),
        left,
        read_rejections(chunks, "decode_rejected"),
    )
    return chunks


def ask_chunk(chunk: Chunk, *, writing: Writing, source: str) -> None:
    """Writes about the recordings of a chunk, as many at once as the writer takes."""
    recordings = [parse_example(line).recording for line in chunk.read_lines("kept")]
    chunk.path("calls").parent.mkdir(parents=True, exist_ok=True)
    writer = make_writer(writing, chunk.path("calls"))
    try:
        work = functools.partial(_ask_about, writer=writer, split=chunk.split, source=source)
        with concurrent.futures.ThreadPoolExecutor(writer.calls) as pool:
            try:
                found = list(pool.map(work, recordings))
            except BaseException:
                writer.stop()
                pool.shutdown(cancel_futures=True)
                raise
        triples = [triple.to_json() for made, _ in found for triple in made]
        rejections = [rejection for _, dropped in found for rejection in dropped]
        write_rejections(chunk, "asked_rejected", rejections)
        chunk.write_lines("ledger", [json.dumps(writer.report())])
    finally:
        writer.close()
    # Last: it says that the chunk is done.
    chunk.write_lines("asked", triples)


def _ask_about(
    recording: Recording, *, writer: Writer, split: str, source: str
) -> tuple[list[Triple], list[Rejection]]:
    written = writer.write(recording.id, recording.language, recording.transcript)
    triples = [
        Triple(
            id=recording.id,
            key=f"{recording.id}/{number}",
            language=recording.language,
            split=split,
            question=pair["question"],
            answer=pair["answer"],
            references=(pair["answer"],),
            transcript=recording.transcript,
            source=source,
        )
        for number, pair in enumerate(written.pairs)
    ]
    # Nothing is lost: what fell stands there in its own words.
    rejections = [
        Rejection(
            reason=drop.reason,
            id=recording.id,
            language=recording.language,
            detail=" ".join(
                filter(
                    None,
                    (drop.detail, json.dumps(drop.item, ensure_ascii=False) if drop.item else ""),
                )
            ),
        )
        for drop in written.drops
    ]
    return triples, rejections


def _finish(out: Path, chunks: Sequence[Chunk]) -> None:
    left = sum(len(chunk.read_lines("asked")) for chunk in chunks)
    dropped = sum(len(chunk.read_lines("asked_rejected")) for chunk in chunks)
    settle(out, "ask", "pairs", left + dropped, left, read_rejections(chunks, "asked_rejected"))
    if not left:
        raise BuildError(f"no pair was kept; see {out}/parts/accounts for the reasons")
    with open_whole(out / "metadata.jsonl") as joined:
        for recording in (
            parse_example(line).recording for chunk in chunks for line in chunk.read_lines("kept")
        ):
            known = {
                name: getattr(recording, name)
                for name in (
                    "id",
                    "language",
                    "speaker",
                    "transcript",
                    "gender",
                    "age_category",
                    "accent",
                )
            }
            joined.write(
                json.dumps({**known, "split": recording.held or SPLITS[0]}, ensure_ascii=False)
                + "\n"
            )
    rows = write_sift(out, chunks, "asked")
    ledger = functools.reduce(
        add_reports, (json.loads(chunk.read_lines("ledger")[0]) for chunk in chunks)
    )
    report_job(out, _STAGES, {"rows": rows, "ledger": ledger})
    if ledger:
        run = ledger["this_run"]
        print(
            f"{run['calls']} calls, {run['from_journal']} from the journal; "
            f"{run['prompt_tokens']} + {run['completion_tokens']} tokens"
        )
