"""Command line that describes a dataset: README.md as the hub reads it, and report.html to look at
and listen to.

python -m data_prep.report --build=runs/mls                                       what every build ends with
python -m data_prep.report --sift=sift_50m/sift --out=sift_50m [--audio=/corpora]  any SIFT files

build/{report.json, sift/, audio/, rejected.jsonl} ─► build/README.md  build/report.html
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_prep.describe.card import make_card
from data_prep.describe.count_rows import Survey, survey_files
from data_prep.released.audio_roots import parse_audio_flags
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.storage.whole_files import write_whole


def describe_build(build: Path, report: dict[str, Any], name: str) -> dict[str, Any]:
    """Writes the card and the page of a build; returns its report with the rows by corpus."""
    survey = survey_files(build / "sift")
    report = {**report, "sources": survey.sources}
    _write(
        build,
        name,
        report,
        survey,
        build / "rejected.jsonl",
        lambda name: build / "audio" / f"{name}.flac",
    )
    return report


def describe_files(sift: Path, out: Path, audio: Sequence[str], name: str) -> None:
    """The same of SIFT files of which nothing else is known."""
    survey = survey_files(sift)
    if not survey.counts:
        raise ValueError(
            f"no SIFT files under {sift}; expected "
            f"{{train,dev,EvalSIFT}}/{{category}}/{{lang}}/split0.jsonl"
        )
    if not sift.resolve().is_relative_to(out.resolve()):
        raise ValueError(
            f"--sift={sift} is not below --out={out}: the card names files as seen from its own "
            "folder"
        )
    find = parse_audio_flags(audio).find if audio else lambda name: None
    report = {"counts": survey.counts, "sources": survey.sources}
    _write(
        out,
        name,
        report,
        survey,
        out / "records/rejected.jsonl",
        find,
        sift=sift.resolve().relative_to(out.resolve()).as_posix(),
    )


def _write(
    out: Path,
    name: str,
    report: dict[str, Any],
    survey: Survey,
    rejected: Path,
    find: Callable[[str], Any],
    sift: str = "sift",
) -> None:
    # its statistics take half a second to load
    from data_prep.describe.page import Recordings, make_page

    write_whole(out / "README.md", make_card(name, report, sift=sift, folders=survey.folders))
    write_whole(
        out / "report.html", make_page(name, report, survey.samples, rejected, Recordings(find))
    )


def make_parser() -> Parser:
    """Which dataset, and where the two files go."""
    parser = Parser(
        "data_prep.report",
        description="Writes the card of a dataset, and a page to look at and listen to.",
        examples=(
            "--build=runs/mls",
            "--sift=sift_50m/sift --out=sift_50m --audio=/corpora",
        ),
    )
    parser.add_argument(
        "--build", type=Path, help="folder that python -m data_prep.build has written"
    )
    parser.add_argument("--sift", type=Path, help="SIFT files of any other origin")
    parser.add_argument(
        "--out", type=Path, help="with --sift: the folder above it, for the two files"
    )
    parser.add_argument(
        "--audio",
        action="append",
        default=[],
        help="with --sift: folders of audio, as in mls=/a,common_voice=/b,/c, for the samples",
    )
    parser.add_argument("--name", help="heading of both; the folder's name if not given")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes both, and says where they are."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    folder = flags.build or flags.out
    if folder is None or (flags.build is None) == (flags.sift is None):
        raise ValueError("give --build=DIR, or --sift=DIR and --out=DIR")
    name = flags.name or folder.resolve().name
    if flags.build:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        describe_build(folder, report, name)
    else:
        describe_files(flags.sift, folder, flags.audio, name)
    print(f"card {folder}/README.md   page {folder}/report.html")


if __name__ == "__main__":
    main()
