"""python -m sift_jax.train_vocoder --gin_file=configs/vocoder/hubert.gin --gin.CODEC=runs/codec
[--gin.NAME=value …]"""

from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import make_gin_parser


def make_parser() -> Parser:
    """Those of every gin file."""
    return make_gin_parser(
        "sift_jax.train_vocoder",
        description="Trains a vocoder that turns a codec's units into speech.",
        examples=(
            "--gin_file=configs/vocoder/hubert.gin --gin.CODEC=runs/codec "
            "--gin.AUDIO=\"('recordings',)\"",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, or resumes."""
    run_gin("sift_jax.vocoder_training.run:train_vocoder", arguments, parser=make_parser())


if __name__ == "__main__":
    main()
