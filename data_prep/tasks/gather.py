"""From what a reader finds to chunks of examples in the splits of their corpus, as many as are
asked for.

    reader ─► parts/examples.jsonl ─ lowest hashes of each language and split ─► parts/sources/{lang}_{split}_….jsonl

Examples go through a file, so that only their keys and numbers are held. The ones taken follow from
seed and key: asking for more takes the same ones and others. An example whose corpus names no split
is for training.
"""

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.corpora.splits import TRAIN
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.pipeline.gather import CHUNK
from data_prep.tasks.example import Example, Found
from sift_jax.storage.whole_files import write_whole

# Language and split.
Place = tuple[str, str]


def gather_examples(
    items: Iterable[Found], folder: Path, *, sizes: Mapping[str, int | None], seed: int
) -> None:
    """Reads the corpus and leaves the chunks, which `list_sources` finds."""
    (folder / "parts" / "sources").mkdir(parents=True, exist_ok=True)
    entered, kept, chosen = _read(items, folder, sizes, seed)
    counts, left = _write_sources(folder, chosen)
    refused = (
        Rejection(
            reason="more than asked for", id=row["id"], language=row["language"], file=row["audio"]
        )
        for number, _, row in _read_back(folder)
        if not _is_chosen(number, row, chosen)
    )
    settle(folder, "choose", "examples", kept, left, refused)
    if not left:
        raise BuildError(
            f"nothing to write: {entered} lines were read and no example kept; see "
            f"{folder}/parts/accounts for the reasons"
        )
    write_whole(folder / "parts" / "sources.json", json.dumps(counts))


def _read(
    items: Iterable[Found], folder: Path, sizes: Mapping[str, int | None], seed: int
) -> tuple[int, int, dict[Place, set[int] | None]]:
    """How many items there were and how many are examples, and for each place the numbers taken,
    None being all."""
    entered = kept = 0
    seen: set[bytes] = set()
    heaps: dict[Place, list[tuple[int, int]]] = {}
    rejected = folder / "parts" / "rejected_by_reader.jsonl"
    with (
        (folder / "parts" / "examples.jsonl").open("w", encoding="utf-8") as examples,
        rejected.open("w", encoding="utf-8") as aside,
    ):
        for item in items:
            entered += 1
            if isinstance(item, Example):
                digest = hashlib.blake2b(f"{seed}/{item.key}".encode(), digest_size=8).digest()
                if digest in seen:
                    item = Rejection(
                        reason="id occurs twice",
                        id=item.recording.id,
                        language=item.recording.language,
                        file=item.recording.audio,
                    )
            if isinstance(item, Rejection):
                aside.write(item.to_json() + "\n")
                continue
            seen.add(digest)
            examples.write(item.to_json() + "\n")
            place = _place(vars(item.recording))
            heap, size = heaps.setdefault(place, []), sizes[place[1]]
            if size is not None:
                heapq.heappush(heap, (-int.from_bytes(digest), kept))
                if len(heap) > size:
                    heapq.heappop(heap)
            kept += 1
    settle(folder, "read", "lines", entered, kept, _read_rejections(rejected))
    rejected.unlink()
    return (
        entered,
        kept,
        {
            place: None if sizes[place[1]] is None else {number for _, number in heap}
            for place, heap in heaps.items()
        },
    )


def _place(recording: Mapping[str, Any]) -> Place:
    return recording["language"], recording["held"] or TRAIN


def _is_chosen(
    number: int, recording: Mapping[str, Any], chosen: Mapping[Place, set[int] | None]
) -> bool:
    numbers = chosen[_place(recording)]
    return numbers is None or number in numbers


def _write_sources(
    folder: Path, chosen: Mapping[Place, set[int] | None]
) -> tuple[dict[str, dict[str, int]], int]:
    """The examples of each place in chunks; returns how many there are, by language and split and
    in all."""
    counts: dict[str, dict[str, int]] = {}
    waiting: dict[Place, list[str]] = {}

    def flush(place: Place) -> None:
        lines, (language, split) = waiting.pop(place), place
        last = counts[language][split]
        chunk = Chunk(
            out=folder, language=language, split=split, first=last - len(lines), last=last, seed=0
        )
        chunk.write_lines("sources", lines)

    for number, line, recording in _read_back(folder):
        if not _is_chosen(number, recording, chosen):
            continue
        place = language, split = _place(recording)
        waiting.setdefault(place, []).append(line)
        splits = counts.setdefault(language, {})
        splits[split] = splits.get(split, 0) + 1
        if len(waiting[place]) == CHUNK:
            flush(place)
    for place in list(waiting):
        flush(place)
    return counts, sum(count for splits in counts.values() for count in splits.values())


def _read_back(folder: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Number, line and recording of each example."""
    with (folder / "parts" / "examples.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            yield number, line.rstrip("\n"), json.loads(line)["recording"]


def _read_rejections(path: Path) -> Iterator[Rejection]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Rejection(**json.loads(line))
