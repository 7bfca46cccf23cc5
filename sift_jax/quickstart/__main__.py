"""python -m sift_jax.quickstart: what `make quickstart` runs.

Each step says what it does, how long it takes and which commands it is; what is finished is not done
again. It ends in a summary and in one page that joins the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """Run the steps, or list them."""
    parser = Parser(
        "sift_jax.quickstart",
        description="Builds a corpus, trains, asks, evaluates and speaks: nine steps in "
        "runs/quickstart, on a laptop's processor.",
        examples=("", "--list"),
    )
    parser.add_argument(
        "--list", action="store_true", help="print the steps with their commands and stop"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is not done yet, or prints the list."""
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        from sift_jax.quickstart.steps import RUN, STEPS
        from sift_jax.quickstart.summary import finish
        from sift_jax.recipes.run import list_steps, run_steps

        if flags.list:
            print(list_steps(STEPS))
            return
        times = run_steps(STEPS, RUN)
        print(finish(RUN, times))

    report_errors(run, is_debug=is_debug(flags), can_resume=True)


if __name__ == "__main__":
    main()
