"""How much of what the rows of a build say is untrue, by what did not write them.

    python -m data_prep.check_truth --build=runs/mine [--rows=2000] [--clips=200] [--most=0.01]
    [--json=truth.json]

    as built     a sample of the rows; their words against the corpus's text and labels, Praat, the
                 synthesizer's settings
    as changed   some recordings with noise or a room of a known level added, measured again and asked about again;
                 the words of these rows against what was added

Exits with 1 if more than `--most` of the rows that could be checked are untrue in either, or if
none could be. What a kind of claim has nobody to check it is counted as not checked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sift_jax.exits import CHECK_FAILED, end, report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.labels import ACOUSTIC_LABELS

if TYPE_CHECKING:
    from data_prep.truth.tally import Tally

_TITLES = {
    "as built": "Rows as they are built",
    "as changed": "Rows about recordings of known noise and rooms",
}


def make_parser() -> Parser:
    """Which build, how much of it is looked at, and what is accepted."""
    parser = Parser(
        "data_prep.check_truth",
        description="Measures the share of untrue rows of a build; status 1 if it is above --most.",
        examples=("--build=runs/mine", "--build=runs/mine --rows=500 --clips=50 --json=truth.json"),
    )
    add = parser.add_argument
    add(
        "--build",
        type=Path,
        required=True,
        help="folder that python -m data_prep.build has written",
    )
    add("--rows", type=int, default=2000, help="rows that are checked as they are; 0: none")
    add(
        "--clips",
        type=int,
        default=200,
        help="recordings to which noise, and a room, are added; 0: none",
    )
    add("--most", type=float, default=0.01, help="share of untrue rows that is still accepted")
    add("--experts", help="as the build was given; by default what its report says")
    add(
        "--emotions",
        type=Path,
        help="a .jsonl with id and emotion of recordings, where the build has none",
    )
    add("--seed", type=int, default=0, help="decides every random choice")
    add("--json", type=Path, help="where to write all figures")
    return parser


def parse_flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser()
    flags = parser.parse_args(arguments)
    if not 0 <= flags.most < 1 or min(flags.rows, flags.clips) < 0 or not flags.rows + flags.clips:
        parser.error(
            "--most is a share, and --rows and --clips are numbers of 0 or more, not both 0"
        )
    return flags


def check_build(flags: argparse.Namespace) -> dict[str, Tally]:
    """Both tallies, or the one that is asked for."""
    # what measures is loaded once the flags have been read
    from data_prep.metadata.bins import read_bins
    from data_prep.metadata.experts import DEFAULT_EXPERTS, parse_experts
    from data_prep.truth.changed import check_changed
    from data_prep.truth.rows import check_rows

    bins = read_bins(flags.build / "bins.json", ACOUSTIC_LABELS)
    try:
        told = json.loads((flags.build / "report.json").read_text(encoding="utf-8")).get(
            "claims", {}
        )
    except OSError as error:
        raise ValueError(
            f"{flags.build}: no report.json ({error.strerror}); finish the build first"
        ) from None
    experts = (
        parse_experts(flags.experts)
        if flags.experts is not None
        else tuple(told.get("experts", dict(DEFAULT_EXPERTS)).items())
    )
    found = {}
    if flags.rows:
        found["as built"] = check_rows(flags.build, bins, flags.rows, flags.emotions, flags.seed)
    if flags.clips:
        # A build that does not say what it claims has the paper's wording.
        found["as changed"] = check_changed(
            flags.build,
            bins,
            experts,
            flags.clips,
            flags.seed,
            is_paper=told.get("kind", "paper") == "paper",
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints both tables; the exit status says whether the build is true enough."""
    flags = parse_flags(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    from data_prep.truth.tally import format_tally

    found = check_build(flags)
    described = {name: tally.describe() for name, tally in found.items()}
    print("\n\n".join(format_tally(_TITLES[name], table) for name, table in described.items()))
    if flags.json:
        flags.json.write_text(
            json.dumps(described, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
    for name, tally in found.items():
        if tally.share is None:
            end(
                CHECK_FAILED,
                f"of the rows {name} none could be checked; give more --rows or --clips",
                is_error=False,
            )
        if tally.share > flags.most:
            end(
                CHECK_FAILED,
                f"{tally.share:.1%} of the rows {name} are untrue, more than {flags.most:.1%}; "
                "the examples above say which",
                is_error=False,
            )


if __name__ == "__main__":
    main()
