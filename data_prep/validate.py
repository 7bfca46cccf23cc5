"""Command line that reads anybody's SIFT files and names what is wrong with them, line by line.

    python -m data_prep.validate --sift=sift_50m/sift
    [--audio=mls=/corpora/mls,common_voice=/corpora/cv]
        [--max_shown=20] [--workers=8]

    sift/train/open_ended/en/split0.jsonl:17: empty text; fill the text or leave the part out
    …
    empty text  3 lines        common_voice_de  1,204,113 rows, 17 with audio missing        exit 1

Files are read by as many processes as there are cores, a line at a time; hashes of the rows go to a
temporary folder.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.engine.interrupts import end_silently, hold_interrupts
from data_prep.released.audio_roots import AudioRoots, parse_audio_flags
from data_prep.released.duplicate_rows import HashSheet, find_repeats
from data_prep.released.read_rows import Fault, read_sift_lines
from data_prep.released.row_checks import find_row_faults
from data_prep.released.sift_paths import (
    KNOWN_FAULT,
    Place,
    find_place_fault,
    has_known_fault,
    list_places,
    list_strays,
)
from sift_jax.exits import CHECK_FAILED, end, report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import Row, list_utterances

_REMEMBERED_LOOKUPS = 65_536


@dataclasses.dataclass(kw_only=True)
class Findings:
    """What was found in a file, or in all of them: `shown` has the lines of the first faults of
    each kind."""

    rows: int = 0
    empty: int = 0
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    shown: list[tuple[int, Fault]] = dataclasses.field(default_factory=list)
    sources: Counter[str] = dataclasses.field(default_factory=Counter)
    missing: Counter[str] = dataclasses.field(default_factory=Counter)
    set_aside: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, line: int, fault: Fault, limit: int) -> None:
        self.kinds[fault.kind] += 1
        if self.kinds[fault.kind] <= limit:
            self.shown.append((line, fault))

    def count(self, other: "Findings") -> None:
        self.rows += other.rows
        self.empty += other.empty
        for name in ("kinds", "sources", "missing", "set_aside"):
            getattr(self, name).update(getattr(other, name))


def validate(
    sift_dir: Path, roots: AudioRoots | None, *, limit: int, workers: int
) -> tuple[Findings, list[str]]:
    """All that was found, and the lines that say what is wrong, in the order of the files."""
    places = list_places(sift_dir)
    if not places:
        raise ValueError(
            f"no SIFT files under {sift_dir}; expected "
            f"{{train,dev,EvalSIFT}}/{{category}}/{{lang}}/split0.jsonl"
        )
    total = Findings()
    shown: list[list[tuple[int, Fault]]] = [[] for _ in places]
    with tempfile.TemporaryDirectory(prefix="sift_rows_") as folder:
        work = functools.partial(check_file, folder=Path(folder), roots=roots, limit=limit)
        for number, found in enumerate(_check_files(work, list(enumerate(places)), workers)):
            left = {kind: limit - total.kinds[kind] for kind in found.kinds}
            for line, fault in found.shown:
                left[fault.kind] -= 1
                shown[number] += [(line, fault)] if left[fault.kind] >= 0 else []
            total.count(found)
        repeated, repeats = find_repeats(Path(folder), len(places), limit)
    if repeated:
        total.kinds["repeated row"] = repeated
    for repeat in repeats:
        fault = Fault(
            "repeated row", f"it stands at {places[repeat.first_file].path}:{repeat.first_line}"
        )
        shown[repeat.file].append((repeat.line, fault))
    lines = [
        f"{place.path}:{line}: {fault.describe()}"
        for place, found in zip(places, shown, strict=True)
        for line, fault in sorted(found, key=lambda item: item[0])
    ]
    for number, path in enumerate(list_strays(sift_dir)):
        total.kinds["stray file"] += 1
        lines += [f"{path}: {Fault('stray file', '').describe()}"] if number < limit else []
    return total, lines


def check_file(
    numbered: tuple[int, Place], *, folder: Path, roots: AudioRoots | None, limit: int
) -> Findings:
    """One file from its first line to its last."""
    number, place = numbered
    found, sheet = Findings(), HashSheet()
    place_fault = find_place_fault(place)
    if place_fault:
        found.add(1, place_fault, limit)
    has = functools.lru_cache(_REMEMBERED_LOOKUPS)(
        lambda name: roots is None or roots.find(name) is not None
    )
    line_count = 0
    for line in read_sift_lines(place.path):
        line_count += 1
        if line.fault:
            found.add(line.number, line.fault, limit)
            continue
        row: Row = line.row
        found.rows += 1
        found.sources[row["data_source"]] += 1
        sheet.add(row, line.number)
        if place_fault:
            continue
        is_known = has_known_fault(row, place)
        if is_known:
            found.set_aside[KNOWN_FAULT] += 1
        for fault in find_row_faults(row, place):
            if not (is_known and fault.kind == "wrong language"):
                found.add(line.number, fault, limit)
        missing = [name for name in list_utterances(row["messages"]) if not has(name)]
        if missing:
            found.missing[row["data_source"]] += 1
            found.add(line.number, Fault("missing audio", ", ".join(missing)), limit)
    # A build leaves such a file where a corpus gives nothing to ask; of a download it is a sign,
    # and no proof.
    found.empty += not line_count
    sheet.save(folder / f"{number}.npy")
    return found


def _check_files(
    work: functools.partial, places: list[tuple[int, Place]], workers: int
) -> Iterator[Findings]:
    if workers == 1 or len(places) < 2:
        yield from map(work, places)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        min(workers, len(places)), mp_context=context, initializer=end_silently
    ) as pool:
        with hold_interrupts():
            found = pool.map(work, places)
        yield from found


def format_findings(total: Findings, seconds: float, *, has_audio: bool) -> list[str]:
    """The counts that end the report."""
    lines = [
        f"{source:<32} {count:>12,} rows"
        + (f"  {total.missing[source]:>12,} with audio missing" if has_audio else "")
        for source, count in sorted(total.sources.items())
    ]
    lines += [
        f"{kind:<32} {count:>12,} rows, skipped by data_prep.records"
        for kind, count in total.set_aside.items()
    ]
    lines += [f"{kind:<32} {count:>12,} faults" for kind, count in total.kinds.most_common()]
    lines += [f"{total.empty:,} files have no rows"] if total.empty else []
    return [*lines, f"{total.rows:,} rows, {total.rows / max(seconds, 1e-9):,.0f} a second"]


def make_parser() -> Parser:
    """Which files, and how much is shown."""
    parser = Parser(
        "data_prep.validate",
        description="Names what is wrong in SIFT files, with file and line; status 1 if anything "
        "is.",
        examples=(
            "--sift=sift_50m/sift",
            "--sift=sift_50m/sift --audio=mls=/corpora/mls,common_voice=/corpora/cv",
        ),
    )
    parser.add_argument(
        "--sift",
        type=Path,
        required=True,
        help="folder with {train,dev,EvalSIFT}/{category}/{lang}/",
    )
    parser.add_argument(
        "--audio",
        action="append",
        default=[],
        help=(
            "folders of audio, as in mls=/a,common_voice=/b,/c; without any, audio is not looked "
            "for"
        ),
    )
    parser.add_argument(
        "--max_shown", type=int, default=20, help="faults of each kind to show; all are counted"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the faults and the counts; exit status 1 where there is a fault."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    start = time.perf_counter()
    roots = parse_audio_flags(flags.audio) if flags.audio else None
    if roots is not None:
        print(f"audio: {roots.describe()}")
    total, lines = validate(
        flags.sift, roots, limit=max(flags.max_shown, 0), workers=max(flags.workers, 1)
    )
    print(
        "\n".join(
            [
                *lines,
                *format_findings(total, time.perf_counter() - start, has_audio=roots is not None),
            ]
        )
    )
    faults = total.kinds.total()
    if faults:
        end(
            CHECK_FAILED,
            f"{faults:,} faults in {len(total.kinds)} kinds, {len(lines):,} of them above "
            "(--max_shown)",
            is_error=False,
        )
    print("no faults")


if __name__ == "__main__":
    main()
