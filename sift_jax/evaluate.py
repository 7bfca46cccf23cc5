"""python -m sift_jax.evaluate --gin_file=configs/quickstart/evaluate.gin [--gin.CHECKPOINT=…] [--dry_run]"""

from sift_jax.cli import run_gin

if __name__ == "__main__":
    run_gin("sift_jax.evaluation.evaluate:evaluate")
