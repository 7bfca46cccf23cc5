"""python -m sift_jax.laptop: what `make laptop` runs.

Each step says what it does, how long it takes and which commands it is; what is finished is not done
again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """Run the steps, or list them."""
    parser = Parser(
        "sift_jax.laptop",
        description="Downloads Whisper-base, SmolLM2-135M-Instruct and mini LibriSpeech, trains a "
        "small SIFT-LLM on them in two stages, evaluates it and asks it: nine steps in "
        "runs/laptop, on a laptop's processor. $HF_ENDPOINT and $OPENSLR_ENDPOINT name mirrors of the "
        "hub and of OpenSLR.",
        examples=("", "--steps=100", "--list"),
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=1000,
        help="training steps of each of the two stages; a hundred show that it runs "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the steps with their commands and stop"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is not done yet, or prints the list."""
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        from sift_jax.laptop.steps import RUN, find_runs, make_steps
        from sift_jax.recipes.run import list_steps, run_steps

        steps = make_steps(flags.steps)
        if flags.list:
            print(list_steps(steps))
            return
        run_steps(steps, RUN)
        runs = find_runs(flags.steps)
        print(
            f"\nits reports: {runs}/recognised/report.html, {runs}/evaluation/report.html; "
            f"to ask more: python -m sift_jax.ask --checkpoint={runs}/export --audio=FILE QUESTION"
        )

    report_errors(run, is_debug=is_debug(flags), can_resume=True)


if __name__ == "__main__":
    main()
