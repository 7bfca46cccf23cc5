"""Evaluates a checkpoint, an export or a model of the hub on a suite.

    python -m sift_jax.evaluate --suite=librispeech --root=/data/LibriSpeech
    --checkpoint=runs/stage2 --out=runs/eval/ls python -m sift_jax.evaluate
    --gin_file=configs/quickstart/evaluate.gin [--gin.CHECKPOINT=…] [--dry_run]

The first is short for configs/evaluation/<suite>.gin with its knobs; both may carry
--gin.NAME=value.
"""

from sift_jax.cli import run_short

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

if __name__ == "__main__":
    run_short(
        "sift_jax.evaluation.evaluate:evaluate",
        folder="configs/evaluation",
        choice="suite",
        knobs=KNOBS,
    )
