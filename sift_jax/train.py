"""python -m sift_jax.train --gin_file=configs/stage2.gin [--gin.NAME=value …]
[--module_import=my_tasks] [--dry_run]"""

from sift_jax.cli import run_gin

if __name__ == "__main__":
    run_gin(
        "sift_jax.training.loop:train",
        parts=("sift_jax.evaluation.during_training:EvaluationSets",),
    )
