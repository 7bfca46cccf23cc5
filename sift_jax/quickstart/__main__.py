"""python -m sift_jax.quickstart: what `make quickstart` runs.

Each step says what it does, how long it takes and which commands it is; what is finished is not done
again. It ends in a summary and in one page that joins the others.
"""

from __future__ import annotations

import argparse

from sift_jax.exits import report_errors


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sift_jax.quickstart",
        description="Builds a corpus, trains, asks, evaluates and speaks: nine steps in "
        "runs/quickstart, on a laptop's processor.",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the steps with their commands and stop"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def main() -> None:
    flags = make_parser().parse_args()
    from sift_jax.quickstart.run import list_steps, run_steps
    from sift_jax.quickstart.steps import RUN, STEPS
    from sift_jax.quickstart.summary import finish

    def run() -> None:
        if flags.list:
            print(list_steps(STEPS))
            return
        times = run_steps(STEPS, RUN)
        print(finish(RUN, times))

    report_errors(run, is_debug=flags.debug)


if __name__ == "__main__":
    main()
