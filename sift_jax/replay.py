"""python -m sift_jax.replay --run=runs/quickstart/stage2 --step=40

    [--out=step40.html] [--examples=20] [--no_loss] [--gin.NAME=value …] [--module_import=my_tasks]

A page of the batch that a run was trained on at a step: its rows, questions and recordings, token by
token, what the run said of it, and the loss of each question by the nearest checkpoint at or before
the step. It works for a step that was skipped, too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.gin_flags import read_gin_word


def make_parser() -> Parser:
    """Which step of which run, and where the page goes."""
    parser = Parser(
        "sift_jax.replay",
        description="Shows the batch of a past step of a run as a page: rows, questions, "
        "recordings by token, and the loss of each question by the nearest checkpoint at or before "
        "the step; --gin.NAME=value changes the run's config, as where its records have "
        "moved.",
        examples=("--run=runs/quickstart/stage2 --step=40",),
        takes_others="--gin.",
        allow_abbrev=False,
    )
    parser.add_argument("--run", required=True, help="a run's folder")
    parser.add_argument("--step", type=int, required=True, help="a step, from 1")
    parser.add_argument("--out", help="the page; RUN/replay/step<STEP>.html if it is not given")
    parser.add_argument("--examples", type=int, default=20, help="recordings with their questions")
    parser.add_argument(
        "--no_loss",
        action="store_true",
        help="leave out the loss by question, for which a checkpoint is loaded",
    )
    parser.add_argument(
        "--module_import",
        action="append",
        default=[],
        help="a module of your own that defines tasks or mixtures",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page, and says where it is."""
    parser = make_parser()
    flags, rest = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    bindings = [read_gin_word(parser, word) for word in rest]
    out = Path(flags.out or f"{flags.run}/replay/step{flags.step}.html")

    def run() -> None:
        if flags.step < 1 or flags.examples < 1:
            raise ValueError("--step and --examples are counted from 1")
        if out.suffix != ".html":
            raise ValueError(f"--out={out} is not an .html file; name such a file")
        from sift_jax.cli import import_modules
        from sift_jax.previews.replay_page import make_replay_page, open_run
        from sift_jax.storage.whole_files import write_whole

        stream = open_run(Path(flags.run), bindings, import_modules(flags.module_import))
        page = make_replay_page(
            stream,
            Path(flags.run),
            flags.step,
            count=flags.examples,
            has_losses=not flags.no_loss,
        )
        write_whole(out, page.write_html())
        print(out)

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
