"""Evaluates a checkpoint, an export or a model of the hub on a suite.

    python -m sift_jax.evaluate --suite=librispeech --root=/data/LibriSpeech
    --checkpoint=runs/stage2 --out=runs/eval/ls python -m sift_jax.evaluate
    --gin_file=configs/quickstart/evaluate.gin [--gin.CHECKPOINT=…] [--dry_run]

The first is short for configs/evaluation/<suite>.gin with its knobs; both may carry
--gin.NAME=value.
"""

from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import Short, make_gin_parser

KNOBS = {
    "root": ("ROOT", "the suite's folder, as downloaded"),
    "checkpoint": ("CHECKPOINT", "a run's folder, an export's, or hf://name"),
    "step": ("STEP", "of a run's checkpoints; the latest if not given"),
    "out": ("OUT_DIR", "where answers, verdicts, results and the report go"),
    "limit": ("LIMIT", "items of each part and language"),
    "cache": ("CACHE_DIR", "where audio that is inside of a suite's tables is written out, once"),
    "split": ("SPLIT", "of the suite, where it has several"),
    "rows": ("ROWS", "questions answered at once"),
    "judge": ("JUDGE", "offline, or endpoint"),
    "endpoint": ("JUDGE_URL", "of an OpenAI-compatible server, such as http://localhost:8000/v1"),
    "model": ("JUDGE_MODEL", "the judge's name at its server"),
}
SHORT = Short(knobs=KNOBS, folder="configs/evaluation", choice="suite")


def make_parser() -> Parser:
    """Short flags for the knobs, and those of every gin file."""
    return make_gin_parser(
        "sift_jax.evaluate",
        description="Evaluates a checkpoint, an export or a model of the hub on a suite, and writes a report.",
        examples=(
            "--suite=librispeech --root=/data/LibriSpeech --checkpoint=runs/stage2 "
            "--out=runs/eval/librispeech",
            "--gin_file=configs/quickstart/evaluate.gin --gin.CHECKPOINT=runs/quickstart/stage2",
        ),
        short=SHORT,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluates, and says where the report is."""
    run_gin(
        "sift_jax.evaluation.evaluate:evaluate",
        arguments,
        parser=make_parser(),
        short=SHORT,
        can_resume=True,
    )


if __name__ == "__main__":
    main()
