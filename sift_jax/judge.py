"""Judges the answers of an evaluation again, without its model: verdicts, results and report are
made again.

python -m sift_jax.judge --predictions=runs/eval/air --judge=endpoint
--endpoint=http://localhost:8000/v1 --model=…
python -m sift_jax.judge --predictions=runs/eval/sift --generation=runs/generation/figures    spoken answers, too
"""

from collections.abc import Sequence

from sift_jax.cli import run_gin
from sift_jax.flags import Parser
from sift_jax.gin_flags import Short, make_gin_parser

KNOBS = {
    "predictions": ("OUT_DIR", "the folder of an evaluation"),
    "generation": ("GENERATION_DIR", "what data_prep.generation score wrote, for the same report"),
    "judge": ("JUDGE", "offline, or endpoint"),
    "endpoint": ("JUDGE_URL", "of an OpenAI-compatible server, such as http://localhost:8000/v1"),
    "model": ("JUDGE_MODEL", "the judge's name at its server"),
}
SHORT = Short(knobs=KNOBS, gin_file="configs/evaluation/judge.gin")


def make_parser() -> Parser:
    """Short flags for the knobs, and those of every gin file."""
    return make_gin_parser(
        "sift_jax.judge",
        description="Judges the answers of an evaluation again, without its model, and writes the report once more.",
        examples=(
            "--predictions=runs/eval/air --judge=endpoint --endpoint=http://localhost:8000/v1 "
            "--model=Qwen2.5-72B-Instruct",
            "--predictions=runs/eval/sift --generation=runs/generation/figures",
        ),
        short=SHORT,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges, and says where the report is."""
    run_gin(
        "sift_jax.evaluation.judging:judge_again",
        arguments,
        parser=make_parser(),
        short=SHORT,
        can_resume=True,
    )


if __name__ == "__main__":
    main()
