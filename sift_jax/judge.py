"""Judges the answers of an evaluation again, without its model: verdicts, results and report are
made anew.

python -m sift_jax.judge --predictions=runs/eval/air --judge=endpoint
--endpoint=http://localhost:8000/v1 --model=…
python -m sift_jax.judge --predictions=runs/eval/sift --generation=runs/generation/figures    spoken answers, too
"""

from sift_jax.cli import run_short

KNOBS = {
    "predictions": ("OUT_DIR", "the folder of an evaluation"),
    "generation": ("GENERATION_DIR", "what data_prep.generation score wrote, for the same report"),
    "judge": ("JUDGE", "offline, or endpoint"),
    "endpoint": ("JUDGE_URL", "of an OpenAI-compatible server, such as http://localhost:8000/v1"),
    "model": ("JUDGE_MODEL", "the judge's name at its server"),
}

if __name__ == "__main__":
    run_short(
        "sift_jax.evaluation.judging:judge_again",
        gin_file="configs/evaluation/judge.gin",
        knobs=KNOBS,
    )
