"""A question about a recording, with its answer and what is said in it: what every way to data
makes.

triples.jsonl   {"id", "language", "split", "question", "answer", "references": […], "transcript", "source", "key"}
    ─►  sift/{split}/open_ended/{lang}/split0.jsonl      the audio before the question
"""

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.chunks import Chunk
from data_prep.instructions.rows import lay_out_row
from sift_jax.sift.rows import Row, write_rows
from sift_jax.storage.whole_files import open_whole

CATEGORY = "open_ended"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Triple:
    """`id` is the recording's, `key` the triple's own; `source` comes before the language in
    data_source."""

    id: str
    key: str
    language: str
    split: str
    question: str
    answer: str
    references: tuple[str, ...]
    transcript: str
    source: str

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


def parse_triple(line: str) -> Triple:
    row: dict[str, Any] = json.loads(line)
    return Triple(**{**row, "references": tuple(row["references"])})


def make_row(triple: Triple) -> Row:
    """In the layout of the released files."""
    return lay_out_row(
        (triple.id,),
        CATEGORY,
        triple.question,
        triple.answer,
        draw=triple.key,
        first_share=1.0,
        data_source=f"{triple.source}_{triple.language}",
    )


def read_triples(path: Path) -> Iterator[Triple]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield parse_triple(line)


def write_sift(out: Path, chunks: Sequence[Chunk], kind: str) -> dict[str, dict[str, int]]:
    """The triples of all chunks as one file, and as SIFT files; returns the rows by language and
    split."""
    counts: Counter[tuple[str, str]] = Counter()
    with open_whole(out / "triples.jsonl") as joined:
        for (language, split), group in itertools.groupby(
            chunks, key=lambda chunk: (chunk.language, chunk.split)
        ):

            def write(lines: Iterable[str]) -> Iterator[Row]:
                for line in lines:
                    joined.write(line + "\n")
                    yield make_row(parse_triple(line))

            lines = (line for chunk in group for line in chunk.read_lines(kind))
            path = out / "sift" / split / CATEGORY / language / "split0.jsonl"
            counts[language, split] = write_rows(path, write(lines))
            if not counts[language, split]:
                path.unlink()
    found: dict[str, dict[str, int]] = {}
    for (language, split), count in counts.items():
        found.setdefault(language, {})[split] = count
    return found
