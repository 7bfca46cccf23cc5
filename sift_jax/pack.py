"""python -m sift_jax.pack --checkpoint=runs/quickstart/stage2 --evaluation=runs/quickstart

Writes the model that travels with the package, its samples and its card."""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.shipped.places import FOLDER


def make_parser() -> Parser:
    """Which run, and where its figures are."""
    parser = Parser(
        "sift_jax.pack",
        description="Writes an evaluated checkpoint as the small model that travels with the "
        "package: an export in float16, recordings with what it answers to them, and a card.",
        examples=(
            "--checkpoint=runs/quickstart/stage2 --evaluation=runs/quickstart",
            "--checkpoint=runs/mine/stage2 --evaluation=runs/mine/eval --out=packed",
        ),
    )
    parser.add_argument("--checkpoint", required=True, help="a run's folder")
    parser.add_argument(
        "--evaluation", required=True, help="the folder of its evaluation on EvalSIFT"
    )
    parser.add_argument(
        "--chosen_as",
        default="",
        help="how this run was chosen among others, for the card: 'the best of three seeds by …'",
    )
    parser.add_argument(
        "--out", default="", help="folder to write; by default the one that travels"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        from pathlib import Path

        from sift_jax.packing.pack import pack

        print(pack(flags.checkpoint, flags.evaluation, Path(flags.out or FOLDER), flags.chosen_as))

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
