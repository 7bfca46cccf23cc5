"""python -m sift_jax.train --gin_file=configs/stage2.gin [--gin.NAME=value …]
[--module_import=my_tasks] [--dry_run]"""

import argparse
import re
from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import make_gin_parser


def read_steps(text: str) -> tuple[int, int]:
    """(100, 105) of 100:105."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r}: write the first and the last step, as 100:105")
    return int(found[1]), int(found[2])


def make_parser() -> Parser:
    """Those of every gin file."""
    parser = make_gin_parser(
        "sift_jax.train",
        description="Trains a stage as a gin file says; the same command resumes a run that was "
        "stopped.",
        examples=(
            "--gin_file=configs/quickstart/stage2.gin",
            "--gin_file=configs/stage2.gin --gin.STEPS=1000 --gin.OUT_DIR=runs/try",
            "--gin_file=configs/stage2.gin --gin_file=configs/hardware/h200_8.gin "
            "--virtual_devices=8 --dry_run",
            "--gin_file=configs/stage2.gin --gin_file=configs/hardware/v6e_8.gin "
            "--topology=v6e:2x4 --dry_run",
            "--gin_file=configs/stage2.gin --gin_file=configs/hardware/h200_8.gin "
            "--topology=h200:8 --dry_run",
        ),
    )
    parser.add_argument(
        "--topology",
        metavar="NAME",
        help="with --dry_run: compile by the devices' own compiler for v5e:8x8, 2xv5e:8x8 (two "
        "slices), v4, v5p, v6e or tpu7x, or h200:8, h100, a100; no such device is needed",
    )
    parser.add_argument(
        "--profile",
        type=read_steps,
        metavar="FIRST:LAST",
        help="trace these steps with JAX's profiler into OUT_DIR/profile, for XProf",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains."""
    run_gin(
        "sift_jax.training.loop:train",
        arguments,
        parts=("sift_jax.evaluation.during_training:EvaluationSets",),
        parser=make_parser(),
    )


if __name__ == "__main__":
    main()
