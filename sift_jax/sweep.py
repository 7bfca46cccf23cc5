"""python -m sift_jax.sweep --gin_file=configs/sweeps/small/salm.gin [--gin.OUT_DIR=…
--gin.SEEDS="(0,)"] [--dry_run]"""

from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import make_gin_parser


def make_parser() -> Parser:
    """Those of every gin file."""
    return make_gin_parser(
        "sift_jax.sweep",
        description="Trains and evaluates several runs, and compares them in one report.",
        examples=(
            "--gin_file=configs/sweeps/small/salm.gin --gin.SEEDS='(0,)'",
            "--gin_file=configs/sweeps/salm.gin --dry_run",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is not done yet."""
    run_gin("sift_jax.sweeps.run:sweep", arguments, parser=make_parser())


if __name__ == "__main__":
    main()
