"""python -m sift_jax.make_pairs --gin_file=configs/dpo/make_pairs.gin [--gin.NAME=value …]
[--module_import=my_rewards] [--dry_run]"""

from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import make_gin_parser


def make_parser() -> Parser:
    """Those of every gin file."""
    return make_gin_parser(
        "sift_jax.make_pairs",
        description="Makes preference pairs of a model's own answers, by rewards or a judge, for DPO; "
        "the same command resumes where it was stopped.",
        examples=(
            "--gin_file=configs/dpo/make_pairs.gin --gin.REWARDS=\"{'label': 1.0}\"",
            "--gin_file=configs/dpo/make_pairs.gin --gin.JUDGE=endpoint "
            "--gin.JUDGE_URL=http://localhost:8000/v1 --gin.JUDGE_MODEL=judge",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Answers, scores, and writes the pairs."""
    run_gin(
        "sift_jax.rewarding.make_pairs:make_pairs",
        arguments,
        parser=make_parser(),
        can_resume=True,
    )


if __name__ == "__main__":
    main()
