"""A laptop: published weights, recordings of people: the commands and the code of laptop.md, made by python -m docs.tools.make_notebooks."""

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
# # A laptop: published weights, recordings of people
#
# This page as a [script](laptop.py) and as a [notebook](laptop.ipynb).
#
# Whisper-base and SmolLM2-135M-Instruct become a small speech language model on a laptop's processor:

# %%
run(r'''
make laptop
''')

# %% [markdown]
# or, where the package is installed, `sift-jax laptop`. `sift-jax laptop --list` prints the commands, and `--steps=100` trains a tenth as long,
# in a folder of its own, to see that it runs. `OPENSLR_ENDPOINT` and `HF_ENDPOINT` name mirrors.
#
# | step | what it does | downloads |
# | --- | --- | --- |
# | 1 | fetches mini LibriSpeech: 5 hours to train on, 2 hours of other speakers | 460 MB |
# | 2 | makes the recognition task of it | – |
# | 3 | [a warm start](../guides/training.md#a-warm-start-by-ctc): the projector learns where the decoder has its words | 560 MB: `openai/whisper-base`, `HuggingFaceTB/SmolLM2-135M-Instruct` |
# | 4 | stage 1: the projector and LoRA learn to recognise speech | – |
# | 5 | word error rate on 100 recordings of speakers that training never had | – |
# | 6 | measures the recordings, and writes questions and answers about them | – |
# | 7 | stage 2: instruction tuning | – |
# | 8 | EvalSIFT, beside the majority-class baseline | – |
# | 9 | exports the model and asks it | – |
#
# Stage 1 prints the dev split's loss and [audio gain](../concepts.md#glossary) as it goes. On an hour of English [it had](../research/real_speech.md) 3.0 and +2.3 nats per token at step 50, 2.5 and +3.1 at step 100, 1.8 and +4.3 at step 300,
# and then half of the words of unseen sentences right; a gain that is near zero at step 100 says that it does not listen, and is no matter of patience. Stage 2 needs many more steps than the 140 that were tried.
#
# Stopped at any time, the same command resumes. Weights go to the hub's cache (`HF_HOME`), all else to `runs/laptop`. A row of
# 512 positions holds a clip of 30 s with its questions, or three utterances of 10 s; a step has two rows.
#
# ## Recordings of your own instead
#
# Every step is a command. With a [manifest](own_corpus.md#1-a-manifest) of yours, steps 2 and 6 read it:

# %%
run(r'''
sift-jax data tasks --task=asr --corpus=manifest --manifest=mine.jsonl --name=mine --languages=en --out=runs/mine/recognition
sift-jax train --gin_file=configs/laptop/warm_start.gin --gin.RECORDS=runs/mine/recognition/records --gin.OUT_DIR=runs/mine/warm_start
sift-jax train --gin_file=configs/laptop/stage1.gin --gin.RECORDS=runs/mine/recognition/records --gin.OUT_DIR=runs/mine/stage1 \
    --gin.START_RUN=runs/mine/warm_start --gin.ENCODER=None --gin.DECODER=None
sift-jax data build --corpus=manifest --manifest=mine.jsonl --languages=en --phonemes=espeak --out=runs/mine/data
sift-jax train --gin_file=configs/laptop/stage2.gin --gin.RECORDS=runs/mine/data/records --gin.START_RUN=runs/mine/stage1 \
    --gin.OUT_DIR=runs/mine/stage2
''')

# %% [markdown]
# SmolLM2 is an English model. For other languages take another decoder: `configs/models/own_decoder.gin` names one, as in
# [models](../guides/models.md).
