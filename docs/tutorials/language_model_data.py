"""Data by a language model: the commands and the code of language_model_data.md, made by python -m docs.tools.make_notebooks."""

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
# # Data by a language model
#
# This page as a [script](language_model_data.py) and as a [notebook](language_model_data.ipynb).
#
# A language model writes questions and answers about recordings that were measured before. It needs any server with OpenAI's interface: a cloud's, or one on your machine, such as vLLM's or llama.cpp's.

# %%
import os

os.environ["ENDPOINT"] = "http://localhost:8000/v1"
os.environ["WRITER"] = "mistralai/Mixtral-8x7B-Instruct-v0.1"
# os.environ["SIFT_LLM_KEY"] = ...        only if the server wants one

# %% [markdown]
# ## What it reads
#
# `metadata.jsonl` of a build: measures, labels and the transcript of each utterance. Here it is a small corpus that is spoken on the spot; [recordings of your own](own_corpus.md) do as well.

# %%
run(r'''
pip install ".[demo]"
sift-jax data build --corpus=embedded --languages=en --train=20 --dev=5 --evaluation=5 --out=runs/tutorial/measured
''')

# %% [markdown]
# ## What it costs, and the writing
#
# `--dry_run` counts calls and tokens and asks nothing:

# %%
run(r'''
sift-jax data instruct --metadata=runs/tutorial/measured/metadata.jsonl --out=runs/tutorial/written --languages=en --utterances=5 \
    --endpoint="$ENDPOINT" --model="$WRITER" --dry_run
sift-jax data instruct --metadata=runs/tutorial/measured/metadata.jsonl --out=runs/tutorial/written --languages=en --utterances=5 \
    --endpoint="$ENDPOINT" --model="$WRITER"
''')

# %% [markdown]
# Stopped, the same command resumes and repeats no call. `rejected.jsonl` has what was not kept and why, `report.json` the counts: read both before you train.
#
# ## Into records
#
# `validate` names every fault with file and line, and ends with status 1 if there is one, such as a row that a small writer has repeated.

# %%
run(r'''
sift-jax data validate --sift=runs/tutorial/written/sift
sift-jax data records --sift=runs/tutorial/written/sift --audio=runs/tutorial/measured/audio --out=runs/tutorial/written/records
''')

# %% [markdown]
# A run reads them by `--gin.RECORDS=runs/tutorial/written/records`. [Instructions by a language model](../guides/instructions.md) says how a row comes about and what a small writer needs;
# a decoder of yours may also [answer by itself](../guides/self_generated.md).
