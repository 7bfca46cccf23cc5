"""One GPU: the commands and the code of one_gpu.md, made by python -m docs.tools.make_notebooks."""

import subprocess
from pathlib import Path


def run(commands):
    """Commands of a shell; the first one that fails ends the script."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], check=True)


def write(name, text):
    """A file of the tutorial, in the current folder."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


# %% [markdown]
# # One GPU
#
# This page as a [script](one_gpu.py) and as a [notebook](one_gpu.ipynb).
#
# A small SIFT-LLM from published weights: Whisper-base and Qwen2.5-0.5B-Instruct. On a processor alone, take the [laptop's recipe](laptop.md).

# %%
run(r'''
pip install -e ".[cuda,data,eval]"
hf download openai/whisper-base --local-dir weights/whisper-base --include "model.safetensors" "*.json"
hf download Qwen/Qwen2.5-0.5B-Instruct --local-dir weights/Qwen2.5-0.5B-Instruct
''')

# %% [markdown]
# ## Stage 1
#
# LibriSpeech, FLEURS and SLURP may be downloaded by anyone. Their tasks, and the training:

# %%
run(r'''
sift-jax data tasks --task=asr --corpus=librispeech --root=/corpora --out=data/pt1_small --train=20000 --skip_records
sift-jax data tasks --task=asr,translation --corpus=fleurs --root=/corpora/fleurs --out=data/pt1_small --skip_records
sift-jax data tasks --task=intent,slots --corpus=slurp --root=/corpora/slurp --out=data/pt1_small
sift-jax train --gin_file=configs/small/stage1.gin
''')

# %% [markdown]
# ## Stage 2
#
# A fiftieth of the [released SIFT-50M](sift_50m.md), whose recordings are on disk:

# %%
run(r'''
sift-jax data subset --sift=data/sift_50m/sift --share=1/50 --out=data/sift_small/sift
sift-jax data records --sift=data/sift_small/sift --audio=/corpora --out=data/sift_small/records
sift-jax train --gin_file=configs/small/stage2.gin
''')

# %% [markdown]
# `--dry_run` says beforehand whether a step fits the device's memory; `--gin.MICROBATCHES=4` needs less of it, with the same gradient. Neither recipe has been trained on real weights yet:
# [status](../research/status.md).
