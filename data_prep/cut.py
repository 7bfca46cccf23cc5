"""Long recordings with their text (podcasts, audiobooks, meetings), cut at pauses into clips that
can be built from.

    python -m data_prep.cut --manifest=talks.jsonl --out=runs/talks_cut --languages=en
    [--root=/audio]
        [--words=FILE_OR_FOLDER [--tier=NAME] | --aligner=whisper|ctc|sphinx
        [--checkpoint=weights/whisper-base]] [--seconds=30] [--pause=0.2] [--margin=0.3]
    python -m data_prep.cut --build=runs/mine --out=runs/mine_cut --aligner=whisper
    --checkpoint=weights/whisper-base

    OUT/manifest.jsonl    a line a clip (audio, offset, duration, text, words, and what its recording's line says), for
                          python -m data_prep.build --corpus=manifest --manifest=OUT/manifest.jsonl
    OUT/rejected.jsonl    what was skipped, and why
    OUT/words.jsonl       word times that an aligner found: started again, the command asks for none of them twice

With --build it takes what a build has skipped as too long. Word times come from the line
(`words`), from --words, or from an aligner; `whisper` hears a recording of any length, window by
window. Clips are parts of the files as they are: nothing is copied or coded again.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.alignment.align import ALIGNERS, check_language, make_aligner
from data_prep.alignment.text_grid import read_text_grid
from data_prep.alignment.word_time import (
    Aligner,
    AlignmentError,
    WordTime,
    make_word_spans,
    use_spelling,
)
from data_prep.alignment.word_time_files import find_files, gather_times, is_text_grid, read_entries
from data_prep.alignment.word_time_stage import Aligning
from data_prep.corpora.recording import reject
from data_prep.cutting.clips import Cutting, cut_recording
from data_prep.cutting.rows import Line, find_too_long, make_clip_row, parse_row, read_lines
from data_prep.engine.ledger import Rejection
from sift_jax.audio.files import AudioError, read_long_audio
from sift_jax.corpora.bad_item import BadItem
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug, read_fields
from sift_jax.progress import track
from sift_jax.sift.labels import LANGUAGES
from sift_jax.storage.whole_files import open_whole

Times = Sequence[WordTime]


class TimeSource:
    """Where word times come from: a line's own first, then a file, then an aligner, whose answers
    are kept."""

    def __init__(self, aligning: Aligning, journal: Path):
        self._aligning, self._journal = aligning, journal
        self._aligner: Aligner | None = None
        self._fingerprint = aligning.fingerprint if aligning.is_asked else ""
        self._listed: dict[str, Times | Path] = (
            dict(_list_times(aligning.words)) if aligning.words else {}
        )
        self._kept = dict(_read_journal(journal))

    def find(self, line: Line) -> list[WordTime]:
        """The words of a line as its text spells them; AlignmentError where there are none."""
        recording = line.recording
        if recording.words:
            times: Times = [
                WordTime(word=word.word, start=word.start, end=word.end, score=1.0)
                for word in recording.words
            ]
        elif self._aligning.words is not None:
            times = self._look_up(recording.id)
        elif self._aligning.aligner is not None:
            times = self._align(line, self._aligning.aligner)
        else:
            raise AlignmentError(
                (
                    "the line has no words; give --words=FILE_OR_FOLDER, or --aligner=whisper "
                    "--checkpoint=…"
                ),
                "no word times",
            )
        spelt = use_spelling(times, line.text)
        make_word_spans(spelt, line.seconds)
        return spelt

    def _look_up(self, identity: str) -> Times:
        found = self._listed.get(identity)
        if found is None:
            raise AlignmentError(
                f"--words has no times for {identity}; name them by the id of the line",
                "no word times",
            )
        return read_text_grid(found, self._aligning.tier) if isinstance(found, Path) else found

    def _align(self, line: Line, aligner: str) -> Times:
        recording = line.recording
        check_language(aligner, recording.language)
        state = Path(recording.audio).stat()
        told = [
            recording.audio,
            state.st_size,
            state.st_mtime_ns,
            recording.start,
            recording.seconds,
            line.text,
            recording.language,
            self._fingerprint,
        ]
        key = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        if key not in self._kept:
            if self._aligner is None:
                self._aligner = make_aligner(aligner, self._aligning.checkpoint)
            wave = read_long_audio(
                recording.audio, start=recording.start, seconds=recording.seconds
            )
            self._kept[key] = self._aligner.align(wave, line.text, recording.language)
            with self._journal.open("a", encoding="utf-8") as out:
                words = [dataclasses.astuple(time) for time in self._kept[key]]
                out.write(
                    json.dumps({"key": key, "id": recording.id, "words": words}, ensure_ascii=False)
                    + "\n"
                )
        return self._kept[key]


def _read_journal(path: Path) -> Iterator[tuple[str, Times]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
            yield (
                row["key"],
                [
                    WordTime(word=word, start=start, end=end, score=score)
                    for word, start, end, score in row["words"]
                ],
            )
        except (ValueError, KeyError, TypeError):
            # blank, or torn when the command was stopped
            continue


def _list_times(source: Path) -> Iterator[tuple[str, Times | Path]]:
    entries = []
    for file in find_files(source):
        if is_text_grid(file):
            yield file.stem, file
            continue
        for entry in read_entries(file):
            if entry.fault:
                raise AlignmentError(entry.fault)
            entries += entry.times
    yield from gather_times(entries).items()


def cut(
    items: Iterable[Line | Rejection], source: TimeSource, cutting: Cutting, out: Path
) -> Counter[str]:
    """Writes manifest and rejected.jsonl; counts what became of the lines, clips and seconds."""
    counts: Counter[str] = Counter()
    with open_whole(out / "manifest.jsonl") as kept, open_whole(out / "rejected.jsonl") as aside:
        for item in items:
            counts["lines"] += 1
            rows, rejections = (
                ([], [item])
                if isinstance(item, Rejection)
                else cut_line(item, source, cutting, counts)
            )
            for row in rows:
                kept.write(json.dumps(row, ensure_ascii=False) + "\n")
            for rejection in rejections:
                aside.write(rejection.to_json() + "\n")
                counts[f"aside: {rejection.reason}"] += 1
    return counts


def cut_line(
    line: Line, source: TimeSource, cutting: Cutting, counts: Counter[str]
) -> tuple[list[Mapping[str, Any]], list[Rejection]]:
    """The lines that a line becomes, and what of it is skipped."""
    recording = line.recording
    set_aside = functools.partial(
        Rejection, id=recording.id, language=recording.language, file=recording.audio
    )
    if line.seconds <= cutting.longest:
        counts["short"] += 1
        return [line.row], []
    try:
        times = source.find(line)
    except (AlignmentError, AudioError) as error:
        return [], [set_aside(reason=error.reason, detail=str(error))]
    rows: list[Mapping[str, Any]] = []
    rejections: list[Rejection] = []
    for clip in cut_recording(times, line.text, line.seconds, cutting):
        if clip.is_too_long:
            detail = (
                f"{clip.end - clip.start:.1f} s from {clip.start:.1f} s on without a pause of "
                f"{cutting.pause:g} s between words: {clip.text[:60]!r}; give a smaller --pause "
                "or more --seconds"
            )
            rejections.append(set_aside(reason="no pause", detail=detail))
            counts["seconds aside"] += round(clip.end - clip.start)
        else:
            rows.append(make_clip_row(line, clip, times))
            counts["seconds"] += round(clip.end - clip.start)
    counts["cut"] += 1
    counts["clips"] += len(rows)
    counts["apart"] += not (recording.speaker or recording.held)
    return rows, rejections


def describe(counts: Mapping[str, int]) -> str:
    """What became of all lines."""
    lines = [
        f"{counts['lines']} recordings: {counts['short']} short enough as they are, "
        f"{counts['cut']} cut into {counts['clips']} clips of {counts['seconds'] / 3600:.2f} h"
    ]
    lines += [
        f"  skipped: {count} × {name.removeprefix('aside: ')}"
        for name, count in sorted(counts.items())
        if name.startswith("aside: ")
    ]
    if counts["seconds aside"]:
        lines.append(f"  {counts['seconds aside']} s are in stretches without a pause")
    return "\n".join(lines)


def make_parser() -> Parser:
    """Which recordings, where their words are, and how they are cut."""
    parser = Parser(
        "data_prep.cut",
        description="Cuts long recordings with their text at pauses into clips.",
        examples=(
            "--manifest=talks.jsonl --root=/audio --languages=en --out=runs/talks "
            "--aligner=whisper --checkpoint=weights/whisper-base",
            "--build=runs/mls --out=runs/mls_cut --aligner=whisper "
            "--checkpoint=weights/whisper-base",
        ),
    )
    add = parser.add_argument
    add(
        "--manifest",
        type=Path,
        help="a .jsonl or .tsv with a line a recording: audio, text, and what is known",
    )
    add("--build", type=Path, help="instead: a build, of which what was too long is cut")
    add("--root", type=Path, help="where the manifest's paths start, if not at its own folder")
    add(
        "--out",
        type=Path,
        required=True,
        help="folder for manifest.jsonl, rejected.jsonl and words.jsonl",
    )
    add(
        "--languages",
        default=",".join(LANGUAGES),
        help="comma-separated; with one alone, lines need name none",
    )
    add(
        "--words",
        type=Path,
        help="word times: a .ctm, .tsv, .TextGrid or .alignment.txt, or a folder of them",
    )
    add("--tier", help="the TextGrids' tier with the words, where it is not called so")
    add(
        "--aligner",
        choices=ALIGNERS,
        help="finds word times; whisper hears recordings of any length",
    )
    add(
        "--checkpoint",
        type=Path,
        help="folder of the model: of a Whisper, or for ctc of a wav2vec2-type model",
    )
    add("--seconds", type=float, default=30.0, help="no clip is longer")
    add(
        "--pause",
        type=float,
        default=0.2,
        help="seconds between two words, at least, where they are cut apart",
    )
    add(
        "--margin",
        type=float,
        default=0.3,
        help="seconds of a pause that stay at a clip's ends, at most",
    )
    return parser


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Flags, with an Aligning and a Cutting of them."""
    parser = make_parser()
    flags = parser.parse_args(arguments)
    if (flags.manifest is None) == (flags.build is None):
        parser.error("give --manifest=FILE, or --build=FOLDER to cut what a build has skipped")
    if flags.root is not None and flags.manifest is None:
        parser.error("--root is for --manifest; leave it out")
    try:
        flags.aligning = Aligning(**read_fields(Aligning, flags))
        flags.cutting = Cutting(longest=flags.seconds, pause=flags.pause, margin=flags.margin)
    except ValueError as error:
        parser.error(str(error))
    return flags


def _find_lines(flags: argparse.Namespace) -> tuple[Path, Iterator[Line | Rejection]]:
    """The root of the paths, and the lines."""
    if flags.manifest is not None:
        root = flags.root or flags.manifest.parent
        return root, read_lines(flags.manifest, root, tuple(flags.languages.split(",")))
    root, rows = find_too_long(flags.build)

    def parse_rows() -> Iterator[Line | Rejection]:
        for row in rows:
            try:
                yield parse_row(row, root, tuple({row["language"] for row in rows}))
            except BadItem as bad:
                yield reject(bad, file=flags.build / "rejected.jsonl")

    return root, parse_rows()


def main(arguments: Sequence[str] | None = None) -> None:
    """Cuts, says what became of every line, and how to go on."""
    flags = parse_arguments(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    flags.out.mkdir(parents=True, exist_ok=True)
    root, items = _find_lines(flags)
    source = TimeSource(flags.aligning, flags.out / "words.jsonl")
    shown = track(items, name="cutting", unit="recording")
    counts = cut(shown, source, flags.cutting, flags.out)
    print(describe(counts))
    if counts["apart"]:
        print(
            f"warning: {counts['apart']} of them have neither speaker nor split, so that their "
            "clips may come into several splits; give their lines one",
            file=sys.stderr,
        )
    print(
        f"clips {flags.out}/manifest.jsonl   skipped {flags.out}/rejected.jsonl\nnext: python "
        f"-m data_prep.build --corpus=manifest --manifest={flags.out}/manifest.jsonl "
        f"--root={root.resolve()} --languages={flags.languages} --max_seconds={flags.seconds:g} "
        "--out=…"
    )


if __name__ == "__main__":
    main()
