"""python -m sift_jax.reward --gin_file=configs/grpo/labels.gin [--gin.NAME=value …]
[--module_import=my_rewards] [--dry_run]"""

from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import make_gin_parser


def make_parser() -> Parser:
    """Those of every gin file."""
    return make_gin_parser(
        "sift_jax.reward",
        description="Trains LoRA by rewards of the model's own answers (GRPO); the same command "
        "resumes a run that was stopped.",
        examples=(
            "--gin_file=configs/grpo/labels.gin",
            "--gin_file=configs/grpo/labels.gin --module_import=my_rewards "
            "--gin.REWARDS=\"{'label': 1.0, 'my_rewards.is_polite': 0.5}\"",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, or resumes."""
    run_gin("sift_jax.rewarding.loop:reinforce", arguments, parser=make_parser())


if __name__ == "__main__":
    main()
