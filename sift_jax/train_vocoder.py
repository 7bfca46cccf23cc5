"""python -m sift_jax.train_vocoder --gin_file=configs/vocoder/hubert.gin --gin.CODEC=runs/codec
[--gin.NAME=value …]"""

from sift_jax.cli import run_gin

if __name__ == "__main__":
    run_gin("sift_jax.vocoder_training.run:train_vocoder")
