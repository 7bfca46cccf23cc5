"""A TPU pod: the commands and the code of tpu_pod.md, made by python -m docs.tools.make_notebooks."""

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
# # A TPU pod
#
# This page as a [script](tpu_pod.py) and as a [notebook](tpu_pod.ipynb).
#
# A run on a pod of TPUs from a laptop, which needs this clone, Python 3.11 and the gcloud CLI, logged in. What the pod is and what runs on it is one file; change what is yours in it:

# %%
write("mine.toml", r'''
name = "sift-stage2"
project = "my-project"
zone = "us-east5-b"
accelerator = "v6e-8"
tier = "spot"
bucket = "gs://my-bucket/sift-stage2"
train = [
    "--gin_file=configs/stage2.gin",
    "--gin_file=configs/hardware/v6e_8.gin",
    "--gin.RECORDS=records/sift_50m",
    "--gin.START_RUN=runs/stage1",
    "--gin.OUT_DIR=gs://my-bucket/runs/stage2",
]

[copies]
"records/sift_50m" = "gs://my-bucket/records/sift_50m"
"runs/stage1" = "gs://my-bucket/runs/stage1"
"weights/Qwen2.5-7B-Instruct" = "weights/Qwen2.5-7B-Instruct"
'''[1:])

# %% [markdown]
# `copies` are laid on every host's disk before the run: from a bucket, or from here, as the decoder's tokenizer, which stage 2 reads. `--dry_run` prints every command that would be run, and runs none:

# %%
run(r'''
hf download Qwen/Qwen2.5-7B-Instruct --local-dir weights/Qwen2.5-7B-Instruct --include "*.json"
python tpu_scripts/pod.py babysit mine.toml --dry_run
''')

# %% [markdown]
# With `--yes` in its place the pod is asked for, set up and started, and again where it is preempted, until the run has ended. That costs money, and so it is not in this page's script. [TPU and GPU pods](../guides/pods.md)
# has the states, buckets, Kubernetes and SLURM; `--dry_run --topology=` of a training tells [beforehand](../guides/dry_run.md) whether it fits.
