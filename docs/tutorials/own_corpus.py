"""Train on recordings of your own: the commands and the code of own_corpus.md, made by python -m docs.tools.make_notebooks."""

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
# # Train on recordings of your own
#
# This page as a [script](own_corpus.py) and as a [notebook](own_corpus.ipynb).
#
# From a list of recordings to a model that answers questions about them. It takes the package with its extra `demo`, which brings Beam, the scores, and espeak-ng for the phonemes:

# %%
run(r'''
pip install -e ".[demo]"
''')

# %% [markdown]
# ## 1. A manifest
#
# `mine.jsonl` has a line for each recording. `audio` and `text` must be there; the rest helps:
#
# ```json
# {"audio": "a/1.wav", "text": "Rain falls.", "language": "en", "speaker": "s1", "gender": "female", "age": 34}
# ```
#
# [All its fields](../reference/formats.md#manifest).
#
# ## 2. A build

# %%
run(r'''
sift-jax data build --corpus=manifest --manifest=mine.jsonl --languages=en --phonemes=espeak --out=runs/mine/data --plain
sift-jax data check-splits --build=runs/mine/data
''')

# %% [markdown]
# Open `runs/mine/data/report.html`, listen, and look at `rejected.jsonl`. `--plain` writes answers that a small model can learn; leave it out for a pretrained one.
# [Cut](../guides/data.md#long-recordings) recordings of more than 30 s first.
#
# ## 3. A tokenizer, and a training
#
# From nothing, like the quickstart, whose model takes recordings of up to six seconds (`--max_seconds=6` for the build):

# %%
run(r'''
sift-jax data tokenizer --sift=runs/mine/data/sift --out=runs/mine/data/tokenizer --size=4096
sift-jax train --gin_file=configs/quickstart/hear.gin --gin.RECORDS=runs/mine/data/records --gin.TOKENIZER=runs/mine/data/tokenizer --gin.OUT_DIR=runs/mine/hear
''')

# %% [markdown]
# `name.gin`, `stage1.gin` and `stage2.gin` of the same folder follow with the same `RECORDS` and `TOKENIZER`, each with an `OUT_DIR` of its own and with the one before it as
# `--gin.START_RUN=runs/mine/hear`. Or from published weights, downloaded as for [one GPU](one_gpu.md). Single words are asked about where a build knows
# [when they are said](../guides/data.md#word-times); this one does not, so stage 2 leaves them out by `WORD_RATE`:

# %%
run(r'''
sift-jax train --gin_file=configs/small/stage2.gin --gin.RECORDS=runs/mine/data/records --gin.OUT_DIR=runs/mine/stage2 \
    --gin.START_RUN=None --gin.ENCODER=weights/whisper-base --gin.DECODER=weights/Qwen2.5-0.5B-Instruct --gin.WORD_RATE=0.0
''')

# %% [markdown]
# What a run would read can be looked at and listened to beforehand: `sift-jax preview` with the same flags and `--out=preview.html` writes a page of it
# ([mixtures](../guides/mixtures.md#looking-at-a-mixture)).
#
# ## 4. An evaluation

# %%
run(r'''
sift-jax evaluate --suite=evalsift --root=runs/mine/data --checkpoint=runs/mine/stage2 --out=runs/mine/eval --gin.DATA_DIR=runs/mine/data
''')

# %% [markdown]
# `DATA_DIR` names the build; its training data make the majority-class baseline.
