"""python -m sift_jax.preview --gin_file=configs/quickstart/stage2.gin --out=preview.html

    [--examples=10] [--split=train] [--gin.NAME=value …] [--module_import=my_tasks]

A page of what a run would read: its tasks with their rates, how a batch is packed, and examples with
their recordings, token by token.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.gin_flags import join_values, read_gin_word


def make_parser() -> Parser:
    """Of which run, how many examples, and where the page goes."""
    parser = Parser(
        "sift_jax.preview",
        description="Shows a mixture as a page: tasks, rates, packing, and examples by token; "
        "--gin.NAME=value changes the gin file.",
        examples=(
            "--gin_file=configs/quickstart/stage2.gin --out=preview.html",
            "--gin_file=configs/quickstart/stage2.gin --out=dev.html --split=dev --examples=20",
        ),
        takes_others="--gin.",
        allow_abbrev=False,
    )
    parser.add_argument("--gin_file", action="append", required=True, help="a run's gin file")
    parser.add_argument(
        "--module_import",
        action="append",
        default=[],
        help="a module of your own that defines tasks or mixtures",
    )
    parser.add_argument("--out", required=True, help="the page to write, an .html file")
    parser.add_argument("--examples", type=int, default=10, help="recordings with their questions")
    parser.add_argument("--split", default="train", help="train, dev or another of the records")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page, and says where it is."""
    parser = make_parser()
    flags, rest = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    bindings = [read_gin_word(parser, word) for word in join_values(rest)]

    def run() -> None:
        if flags.examples < 1:
            raise ValueError(f"--examples={flags.examples} is too few; give 1 or more")
        if not flags.out.endswith(".html"):
            raise ValueError(f"--out={flags.out} is not an .html file; name such a file")
        from sift_jax.cli import import_modules
        from sift_jax.previews.open_mixture import open_gin_mixture
        from sift_jax.previews.page import make_page
        from sift_jax.storage.whole_files import write_whole

        modules = import_modules(flags.module_import)
        stream = open_gin_mixture(flags.gin_file, bindings, split=flags.split, modules=modules)
        name = ", ".join(flags.gin_file)
        page = make_page(stream, name=name, split=flags.split, count=flags.examples)
        write_whole(Path(flags.out), page.write_html())
        print(flags.out)

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
