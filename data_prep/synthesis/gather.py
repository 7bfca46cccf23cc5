"""From what a reader of passages finds to chunks, as many of each split as are asked for.

    reader ─► parts/passages.jsonl ─ apart? lowest hashes ─► parts/sources/{lang}_{split}_….jsonl, parts/sources.json

Counted are questions: a passage that is skipped takes all of its own with it. A passage that is
in a held-back split too is not trained on. Of a set's own dev file half is dev and half is
EvalSIFT, by hash.
"""

import dataclasses
import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from data_prep.corpora.splits import DEV, EVALUATION, SPLITS, TRAIN, normalise_sentence
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.pipeline.gather import CHUNK
from data_prep.synthesis.passages.qa_passage import Found, Passage, parse_passage
from sift_jax.storage.whole_files import write_whole

# A file's own word for what is not trained on.
HELD = "held"
_Place = tuple[str, str]


def gather_passages(
    items: Iterable[Found], out: Path, *, sizes: Mapping[str, int | None], seed: int
) -> None:
    """Reads the sets and leaves the chunks, which `corpora.gather.list_sources` finds."""
    (out / "parts" / "sources").mkdir(parents=True, exist_ok=True)
    owners, kept = _read(items, out)
    refused: dict[str, str] = {}
    places: dict[_Place, list[tuple[int, str]]] = {}
    for passage in _read_back(out):
        split = _find_split(passage)
        owner = owners[_digest(passage.text)]
        if owner != split:
            refused[passage.id] = f"its passage is in {owner}"
            continue
        heap = places.setdefault((passage.language, split), [])
        heapq.heappush(heap, (-_draw(seed, passage.id), passage.id))
        size = sizes[split]
        if size is not None and len(heap) > size:
            refused[heapq.heappop(heap)[1]] = "more than asked for"
    counts, left = _write_sources(out, refused)
    settle(
        out,
        "choose",
        "questions",
        kept,
        left,
        (
            rejection
            for passage in _read_back(out)
            if passage.id in refused
            for rejection in set_aside(passage, refused[passage.id])
        ),
    )
    if not left:
        raise BuildError(
            f"nothing to speak: no question was kept; see {out}/parts/accounts for the reasons"
        )
    write_whole(out / "parts" / "sources.json", json.dumps(counts))


def set_aside(passage: Passage, reason: str, detail: str = "") -> Iterator[Rejection]:
    """All of its questions."""
    for question in passage.questions:
        yield Rejection(
            reason=reason,
            detail=detail,
            id=f"{passage.id}/{question.id}",
            language=passage.language,
        )


def _read(items: Iterable[Found], out: Path) -> tuple[dict[int, str], int]:
    """Which split has each text, and how many questions were kept."""
    entered = kept = 0
    seen: set[int] = set()
    owners: dict[int, str] = {}
    rejected = out / "parts" / "rejected_by_reader.jsonl"
    with (
        (out / "parts" / "passages.jsonl").open("w", encoding="utf-8") as passages,
        rejected.open("w", encoding="utf-8") as aside,
    ):
        for item in items:
            if isinstance(item, Rejection):
                entered += 1
                aside.write(item.to_json() + "\n")
                continue
            entered += len(item.questions)
            number = _draw(0, item.id)
            if number in seen:
                aside.writelines(
                    rejection.to_json() + "\n" for rejection in set_aside(item, "id occurs twice")
                )
                continue
            seen.add(number)
            split, digest = _find_split(item), _digest(item.text)
            owners[digest] = max(owners.get(digest, split), split, key=SPLITS.index)
            kept += len(item.questions)
            passages.write(item.to_json() + "\n")
    with rejected.open(encoding="utf-8") as lines:
        settle(
            out,
            "read",
            "questions",
            entered,
            kept,
            (Rejection(**json.loads(line)) for line in lines),
        )
    rejected.unlink()
    return owners, kept


def _find_split(passage: Passage) -> str:
    if passage.held == HELD:
        return (DEV, EVALUATION)[_draw(1, passage.id) % 2]
    return passage.held or TRAIN


def _write_sources(out: Path, refused: Mapping[str, str]) -> tuple[dict[str, dict[str, int]], int]:
    counts: dict[str, dict[str, int]] = {}
    waiting: dict[_Place, list[str]] = {}
    left = 0

    def flush(place: _Place) -> None:
        lines, (language, split) = waiting.pop(place), place
        last = counts[language][split]
        chunk = Chunk(
            out=out, language=language, split=split, first=last - len(lines), last=last, seed=0
        )
        chunk.write_lines("sources", lines)

    for passage in _read_back(out):
        if passage.id in refused:
            continue
        split = _find_split(passage)
        place = passage.language, split
        waiting.setdefault(place, []).append(dataclasses.replace(passage, held=split).to_json())
        splits = counts.setdefault(passage.language, {})
        splits[split] = splits.get(split, 0) + 1
        left += len(passage.questions)
        if len(waiting[place]) == CHUNK:
            flush(place)
    for place in list(waiting):
        flush(place)
    return counts, left


def _read_back(out: Path) -> Iterator[Passage]:
    with (out / "parts" / "passages.jsonl").open(encoding="utf-8") as lines:
        yield from map(parse_passage, lines)


def _digest(text: str) -> int:
    return _draw(0, normalise_sentence(text))


def _draw(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())
