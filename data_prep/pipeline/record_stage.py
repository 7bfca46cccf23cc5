"""The stage that joins: SIFT files and audio to training records, and what could not be joined.

sift/{split}/{category}/{lang}/  audio/<id>.flac ─ a language at a time, through the engine ─►  records/sift_{lang}/
    parts/records/{lang}_all_000000.jsonl: what was counted and skipped ─►  records/rejected.jsonl
"""

import functools
import json
from pathlib import Path

from data_prep.engine.beam_engine import run_chunks
from data_prep.engine.chunks import Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.pipeline.build_config import BuildConfig
from sift_jax.sift.rows import SPLITS, list_files, read_rows
from sift_jax.storage.whole_files import open_whole


def write_records(config: BuildConfig) -> None:
    """Writes the records of all languages and settles which ids became none."""
    from sift_jax.data.records.record_writer import list_languages

    sift = config.out / "sift"
    (config.out / "records").mkdir(exist_ok=True)
    chunks = [
        Chunk(
            out=config.out,
            language=language,
            split="all",
            first=0,
            last=_count_ids(sift, language),
            seed=config.seed,
        )
        for language in list_languages(sift)
    ]
    run_chunks(
        chunks,
        "records",
        functools.partial(write_chunk, compression=config.compression),
        config.engine,
    )
    left, rejections = 0, []
    with open_whole(config.out / "records" / "rejected.jsonl") as aside:
        for chunk in chunks:
            counts, *rows = map(json.loads, chunk.read_lines("records"))
            left += sum(counts.values())
            for row in rows:
                aside.write(json.dumps(row) + "\n")
                rejections.append(
                    Rejection(
                        reason="no usable audio",
                        detail=row["reason"],
                        id=row["id"],
                        language=row["language"],
                    )
                )
    settle(config.out, "records", "ids", sum(chunk.size for chunk in chunks), left, rejections)


def write_chunk(chunk: Chunk, compression: str) -> None:
    """The records of one language."""
    from sift_jax.data.records.record_writer import index_audio, write_language

    out = chunk.out
    counts, rejected = write_language(
        out / "sift", index_audio(out / "audio"), out / "records", chunk.language, compression
    )
    chunk.write_lines("records", [json.dumps(row) for row in (counts, *rejected)])


def _count_ids(sift: Path, language: str) -> int:
    """Different ids of each split, one of them after another: each id is to become a record."""
    count = 0
    for split in SPLITS:
        ids: set[str] = set()
        for path in list_files(sift, split, language=language):
            ids.update(row["id"] for row in read_rows(path))
        count += len(ids)
    return count
