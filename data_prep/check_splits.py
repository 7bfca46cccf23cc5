"""Proof that nothing of one split is in another, over all that a build has written; every build ends with it.

    python -m data_prep.check_splits --build=runs/mls

    metadata.jsonl    no id, no speaker, no sentence (by its words) in two splits
    audio/*.flac      no two splits with the same samples
    sift/{split}/     each row names utterances of its own split, and no others
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.splits import SPLITS, find_leaks
from sift_jax.data.sift_files import SiftError, audio_ids, list_files, read_rows


def find_all_leaks(build: Path, *, use_audio: bool) -> tuple[list[str], dict[str, int]]:
    """What stands in two splits, in words, and how much was looked at."""
    rows = list(_read_metadata(build, use_audio=use_audio))
    leaks = find_leaks(rows, ("id", "speaker", "sentence", *(("samples",) if use_audio else ())))
    owners = {row["id"]: row["split"] for row in rows}
    counts = {"utterances": len(rows), "rows": 0}
    for split in SPLITS:
        for path in list_files(build / "sift", split):
            for row in read_rows(path):
                counts["rows"] += 1
                leaks += [f"{path}: a row of {split} names {name}, which is in {owners.get(name, 'no split')}"
                          for name in audio_ids(row) if owners.get(name) != split]
    return leaks, counts


def _read_metadata(build: Path, *, use_audio: bool) -> Iterator[dict[str, Any]]:
    with (build / "metadata.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            kept = {key: row[key] for key in ("id", "language", "speaker", "transcript", "split")}
            if use_audio:
                # The build writes equal samples as equal bytes.
                kept["samples"] = hashlib.sha256((build / "audio" / f"{row['id']}.flac").read_bytes()).hexdigest()
            yield kept


def main(arguments: Sequence[str] | None = None) -> None:
    """Says what was looked at, or what stands in two splits."""
    parser = argparse.ArgumentParser(prog="data_prep.check_splits", description="Proves that the splits are apart.")
    parser.add_argument("--build", type=Path, required=True, help="folder that python -m data_prep.build has written")
    build = parser.parse_args(arguments).build
    try:
        leaks, counts = find_all_leaks(build, use_audio=True)
    except (OSError, SiftError) as error:
        sys.exit(f"data_prep.check_splits: {' '.join(str(error).split())}; give --build=<the --out of a whole build>")
    if leaks:
        print("\n".join(leaks))
        sys.exit(f"{len(leaks)} things stand in two splits; build again into another folder")
    print(f"apart: {counts['utterances']} utterances and {counts['rows']} rows, nothing of one split is in another")


if __name__ == "__main__":
    main()
