"""From what a reader finds to chunks of sources, each in its split.

    reader ─► parts/recordings.jsonl ─ assign_splits ─► parts/sources/{lang}_{split}_{first}.jsonl, parts/sources.json

Recordings go through a file, so that only what decides their split is held in memory.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import Item, Recording, parse_recording
from data_prep.corpora.splits import (
    ALLOW,
    SPLITS,
    TRAIN,
    Candidate,
    Leak,
    assign_splits,
    find_leaks,
    normalise_sentence,
)
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.pipeline.split_gaps import (
    AS_STATED,
    Drawing,
    check_trained,
    describe_splits,
    list_warnings,
    save_splits,
)
from sift_jax.storage.whole_files import write_whole

CHUNK = 100


def gather(
    items: Iterable[Item], out: Path, *, drawing: Drawing, languages: Sequence[str], seed: int
) -> None:
    """Reads the corpus, draws its splits, tells what they lack, and leaves the chunks for
    `list_sources` to find."""
    (out / "parts" / "sources").mkdir(parents=True, exist_ok=True)
    candidates = _read(items, out)
    placed = assign_splits(
        candidates,
        drawing.sizes,
        seed=seed,
        others=drawing.others,
        shared=drawing.shared,
        is_stated=drawing.is_stated,
    )
    entered, left = len(candidates), sum(split in SPLITS for split in placed.values())
    found = _describe(candidates, placed, drawing, languages)
    del candidates
    counts = _write_sources(out, placed)
    settle(out, "split", "recordings", entered, left, _list_refused(out, placed))
    if not left:
        raise BuildError(
            f"nothing to build from: {entered} recordings were read and none kept; see "
            f"{out}/parts/accounts for the reasons"
        )
    check_trained(
        found,
        {language: placed[TRAIN] for language, placed in found["placed"].items()},
        drawing,
        "",
    )
    for line in list_warnings(found):
        print(f"warning: {line}", file=sys.stderr)
    save_splits(out, found)
    write_whole(out / "parts" / "sources.json", json.dumps(counts))


def list_sources(out: Path, seed: int) -> list[Chunk]:
    """The chunks that `gather` left."""
    counts = json.loads((out / "parts" / "sources.json").read_text())
    return [
        Chunk(
            out=out,
            language=language,
            split=split,
            first=first,
            last=min(first + CHUNK, count),
            seed=seed,
        )
        for language, splits in counts.items()
        for split, count in splits.items()
        for first in range(0, count, CHUNK)
    ]


def _read(items: Iterable[Item], out: Path) -> list[Candidate]:
    """What decides the split of each recording; the recordings themselves go to
    parts/recordings.jsonl."""
    candidates: list[Candidate] = []
    entered = 0
    seen: set[str] = set()
    rejected = out / "parts" / "rejected_by_reader.jsonl"
    with (
        (out / "parts" / "recordings.jsonl").open("w", encoding="utf-8") as kept,
        rejected.open("w", encoding="utf-8") as aside,
    ):
        for item in items:
            entered += 1
            if isinstance(item, Recording) and item.id in seen:
                item = Rejection(
                    reason="id occurs twice", id=item.id, language=item.language, file=item.audio
                )
            if isinstance(item, Rejection):
                aside.write(item.to_json() + "\n")
                continue
            seen.add(item.id)
            kept.write(item.to_json() + "\n")
            candidates.append(
                Candidate(
                    id=item.id,
                    language=item.language,
                    speaker=item.speaker,
                    held=item.held,
                    sentence=normalise_sentence(item.transcript),
                )
            )
    settle(out, "read", "lines", entered, len(candidates), _read_rejections(rejected))
    rejected.unlink()
    return candidates


def _describe(
    candidates: Sequence[Candidate],
    placed: Mapping[str, str],
    drawing: Drawing,
    languages: Sequence[str],
) -> dict[str, Any]:
    """What the splits lack and share; an error where they share what nobody stated or allowed."""
    rows = (
        {
            "id": c.id,
            "language": c.language,
            "speaker": c.speaker,
            "transcript": c.sentence,
            "split": placed[c.id],
        }
        for c in candidates
        if placed[c.id] in SPLITS
    )
    leaks = find_leaks(rows)
    found = describe_splits(candidates, placed, leaks, drawing, languages)
    stated = {c.speaker for c in candidates if drawing.is_stated and c.held}
    faults = [leak for leak in leaks if not _is_meant(leak, found, stated)]
    if faults:
        raise BuildError(
            f"the splits are not apart: {faults[0]} (and {len(faults) - 1} more); report this "
            "as a fault"
        )
    return found


def _is_meant(leak: Leak, found: Mapping[str, Any], stated: set[str | None]) -> bool:
    if leak.key == "sentence":
        return found["shared_sentences"] in (ALLOW, AS_STATED)
    return leak.key == "speaker" and leak.value in stated


def _write_sources(out: Path, placed: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """The recordings of each language and split in chunks; returns how many there are."""
    counts: dict[str, dict[str, int]] = {}
    waiting: dict[tuple[str, str], list[str]] = {}

    def flush(language: str, split: str) -> None:
        lines, last = waiting.pop((language, split)), counts[language][split]
        chunk = Chunk(
            out=out, language=language, split=split, first=last - len(lines), last=last, seed=0
        )
        chunk.write_lines("sources", lines)

    for recording in _read_recordings(out):
        language, split = recording.language, placed[recording.id]
        if split in SPLITS:
            waiting.setdefault((language, split), []).append(recording.to_json())
            splits = counts.setdefault(language, {})
            splits[split] = splits.get(split, 0) + 1
            if len(waiting[language, split]) == CHUNK:
                flush(language, split)
    for language, split in list(waiting):
        flush(language, split)
    return counts


def _list_refused(out: Path, placed: Mapping[str, str]) -> Iterator[Rejection]:
    for recording in _read_recordings(out):
        if placed[recording.id] not in SPLITS:
            yield Rejection(
                reason=placed[recording.id],
                id=recording.id,
                language=recording.language,
                file=recording.audio,
            )


def _read_recordings(out: Path) -> Iterator[Recording]:
    with (out / "parts" / "recordings.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield parse_recording(line)


def _read_rejections(path: Path) -> Iterator[Rejection]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Rejection(**json.loads(line))
