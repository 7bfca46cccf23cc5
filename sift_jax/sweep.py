"""python -m sift_jax.sweep --gin_file=configs/sweeps/small/salm.gin [--gin.OUT_DIR=…
--gin.SEEDS="(0,)"] [--dry_run]"""

from sift_jax.cli import run_gin

if __name__ == "__main__":
    run_gin("sift_jax.sweeps.run:sweep")
