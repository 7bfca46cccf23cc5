"""Command line that asks for a form in some of the training rows of a SIFT folder, and keeps to it in
their answers.

    python -m data_prep.add_forms --sift=runs/mine/sift --share=1/10 --out=runs/mine_forms/sift

    sift/train/…/split<N>.jsonl ─ a share of the rows with text answers ask for a form ─► out/train/…/split<N>.jsonl
                                  the others as they are
    sift/{dev,EvalSIFT}/…       ─ as they are ─────────────────────────────────────────► out/{dev,EvalSIFT}/…

A model that has seen answers of one form alone forgets that there are others. The forms are in
data_prep/instructions/forms.py; the evaluation's constraints are none of them. Which rows, and which
forms, follow from the rows themselves. Records are joined from the new folder as from any other.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from data_prep.instructions.forms import ask_form, draw_of
from data_prep.subset import parse_share, rewrite_training
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import Row, read_rows

# questions of understanding: what is transcribed, translated or spoken has a form of its own
CATEGORIES = ("closed_ended", "open_ended")


def add_forms(sift: Path, out: Path, share: Fraction) -> Counter[str]:
    """Writes the folder; counts rows with a form, drawn ones that can take none, and all."""
    counts: Counter[str] = Counter()

    def change(path: Path) -> Iterator[Row]:
        parts = path.relative_to(sift).parts
        is_asked = parts[1] in CATEGORIES
        for row in read_rows(path):
            counts["rows"] += 1
            # the upper bits choose the rows, the lower ones the form
            if is_asked and draw_of(row) >> 32 < share * 2**32:
                changed = ask_form(row, parts[-2])
                counts["with a form" if changed else "without, as their answers take none"] += 1
                row = changed or row
            yield row

    rewrite_training(sift, out, change)
    return counts


def make_parser() -> Parser:
    """Of what, how many rows, and where it goes."""
    parser = Parser(
        "data_prep.add_forms",
        description="Asks for a form in a share of the training rows, which their answers keep to.",
        examples=("--sift=runs/mine/sift --share=1/10 --out=runs/mine_forms/sift",),
    )
    parser.add_argument(
        "--sift",
        type=Path,
        required=True,
        help="folder with {train,dev,EvalSIFT}/{category}/{lang}/",
    )
    parser.add_argument("--share", default="1/10", help="of the rows with text answers: 1/10, 0.2")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for all rows, in the same layout"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder, and says how many rows ask for a form."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    counts = add_forms(flags.sift, flags.out, parse_share(flags.share))
    told = ", ".join(f"{counts[name]:,} {name}" for name in counts if name != "rows")
    print(f"{counts['rows']:,} training rows in {flags.out}: {told or 'none with a form'}")


if __name__ == "__main__":
    main()
