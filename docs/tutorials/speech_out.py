"""Speech out: the commands and the code of speech_out.md, made by python -m docs.tools.make_notebooks."""

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
# # Speech out
#
# This page as a [script](speech_out.py) and as a [notebook](speech_out.ipynb).
#
# A model that follows instructions when it speaks: "very slowly, softly". It answers in units of a codec, and both are trained here, on a corpus that is spoken on the spot. `make quickstart` has the same as its steps
# 8 and 9 and measures whether the voice followed them.

# %%
run(r'''
pip install ".[demo]"
sift-jax data build --corpus=embedded --languages=en --train=400 --dev=20 --evaluation=20 --wordings=2 --plain --rows_per_utterance=6 --out=runs/tutorial/spoken
sift-jax data tokenizer --sift=runs/tutorial/spoken/sift --out=runs/tutorial/spoken/tokenizer --size=4096
''')

# %% [markdown]
# ## A codec, and its units

# %%
run(r'''
sift-jax units fit --audio=runs/tutorial/spoken/metadata.jsonl --out=runs/tutorial/codec
sift-jax data units --records=runs/tutorial/spoken/records --codec=runs/tutorial/codec
''')

# %% [markdown]
# ## Training

# %%
run(r'''
sift-jax train --gin_file=configs/quickstart/stage3.gin --gin.RECORDS=runs/tutorial/spoken/records --gin.TOKENIZER=runs/tutorial/spoken/tokenizer \
    --gin.CODEC=runs/tutorial/codec --gin.OUT_DIR=runs/tutorial/speaker
''')

# %% [markdown]
# ## Speaking

# %%
run(r'''
sift-jax speak --checkpoint=runs/tutorial/speaker --text="The train to the coast leaves at noon." --style="very slowly, softly" --out=runs/tutorial/slow.wav
sift-jax speak --checkpoint=runs/tutorial/speaker --text="The train to the coast leaves at noon." --style="very fast, loudly" --out=runs/tutorial/fast.wav
''')

# %%
import sift_jax

speech = sift_jax.load("runs/tutorial/speaker").speak("Rain falls.", style="very slowly, softly")
speech.save("runs/tutorial/rain.wav")

# %% [markdown]
# How it is said follows the instruction; the words cannot be understood, since nothing pretrained is in it. [Speech out](../guides/speech_out.md) has codecs for real voices, and the measures of controllability.
