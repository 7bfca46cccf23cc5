"""SIFT-LLM on the released SIFT-50M: the commands and the code of sift_50m.md, made by python -m docs.tools.make_notebooks."""

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
# # SIFT-LLM on the released SIFT-50M
#
# This page as a [script](sift_50m.py) and as a [notebook](sift_50m.ipynb).
#
# The released set (Hugging Face: `amazon-agi/SIFT-50M`) holds questions, not audio: get MLS, Common Voice 15 and VCTK 0.92 from their owners. `sift-jax data records` joins the two. The files lie as the hub has
# them, `data/sift_50m/sift/{train,dev,EvalSIFT}/{category}/{lang}/split0.jsonl` and so on (the hub's `validation` is read as dev). The package is
# [installed](../install.md) with `data` and `eval`, for a GPU or TPU with `cuda` or `tpu` too.

# %%
run(r'''
hf download amazon-agi/SIFT-50M --repo-type dataset --local-dir data/sift_50m/sift
''')

# %% [markdown]
# ## 1. Check and join

# %%
run(r'''
sift-jax data validate --sift=data/sift_50m/sift --audio=mls=/corpora/mls,common_voice=/corpora/cv,vctk=/corpora/vctk
sift-jax data records --sift=data/sift_50m/sift --audio=mls=/corpora/mls,common_voice=/corpora/cv,vctk=/corpora/vctk \
    --out=data/sift_50m/records --compression=opus --workers=16
''')

# %% [markdown]
# `validate` names every fault with file, line and remedy. `records` finds MLS, Common Voice, VCTK and LibriSpeech as they are unpacked, and other files by their id. It keeps the order of the parts of a row, and leaves out
# rows that are broken, rows without audio, and the German rows among the French of Common Voice; each stands in `rejected.jsonl` with its reason, and they are counted by corpus. What lies in folders that no reader
# looks into is counted too. `--languages=de,fr` takes some of the languages.
#
# Rows are sorted on disk, 128 MB at a time, and so are records, a quarter of a gigabyte and more at a time. Given again, the command makes only those languages whose SIFT files have changed, or all of them where a
# newer version of it makes other records. `tfds.data_source` reads the records; `sift-jax data tfrecord --records=data/sift_50m/records` adds TFRecords for `tfds.load`.
#
# ## 2. Weights and stages

# %%
run(r'''
hf download openai/whisper-medium --local-dir weights/whisper-medium --include "model.safetensors" "*.json"
hf download Qwen/Qwen2.5-7B-Instruct --local-dir weights/Qwen2.5-7B-Instruct
sift-jax train --gin_file=configs/stage1.gin
sift-jax train --gin_file=configs/stage2.gin
''')

# %% [markdown]
# Stage 1 reads `data/pt1/records`, which [stage 1's tasks](../guides/pretraining_tasks.md) says how to make. Other places are given as knobs, `--gin.RECORDS=… --gin.TOKENIZER=… --gin.ENCODER=… --gin.DECODER=…`, and
# weights may be hub ids (`hf://…`). For several machines see [pods](../guides/pods.md).
#
# ## 3. Evaluation

# %%
run(r'''
sift-jax evaluate --suite=evalsift --root=data/sift_50m --checkpoint=runs/stage2 --out=runs/eval/evalsift --gin.AUDIO_DIRS="('/corpora/mls', '/corpora/cv', '/corpora/vctk')"
''')

# %% [markdown]
# This has not been run at size: [status](../research/status.md).
