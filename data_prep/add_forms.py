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
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tqdm import tqdm

from data_prep.instructions.forms import ask_form, draw_of
from data_prep.subset import parse_share
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import SPLITS, Row, SiftError, list_files, read_rows, write_rows

# questions of understanding: what is transcribed, translated or spoken has a form of its own
CATEGORIES = ("closed_ended", "open_ended")


def add_forms(sift: Path, out: Path, share: Fraction) -> Counter[str]:
    """Writes the folder; counts rows with a form, drawn ones that can take none, and all."""
    files = {split: list_files(sift, split) for split in SPLITS}
    if not files["train"]:
        raise SiftError(
            f"no training rows under {sift}; expected train/{{category}}/{{lang}}/split0.jsonl"
        )
    if out.is_dir() and any(out.iterdir()):
        raise SiftError(f"--out={out} is not empty; choose another folder, or remove it")
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

    for path in tqdm(files["train"], desc="train", unit="file"):
        write_rows(out / path.relative_to(sift), change(path))
    for path in files["dev"] + files["EvalSIFT"]:
        target = out / path.relative_to(sift)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
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
