"""Ask a model about a recording: the commands and the code of first_answers.md, made by python -m docs.tools.make_notebooks."""

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
# # Ask a model about a recording
#
# This page as a [script](first_answers.py) and as a [notebook](first_answers.ipynb).
#
# A small model and six recordings come with the package, so that the first answer needs nothing but the install, in a clone and with Python 3.11:

# %%
run(r'''
pip install .
''')

# %% [markdown]
# ## On the command line

# %%
run(r'''
sift-jax ask --audio=sample:slow "How fast does the person talk?"
''')

# %% [markdown]
# answers `Speed 1: very slowly`, with a note that this is the small model. In a clone that is not installed, `python -m sift_jax.ask` is the same. `--checkpoint=` names [any other model](../guides/asking.md): a run, an export,
# or what `make quickstart` leaves in `runs/quickstart/export`. `--audio=` takes a file of yours of up to six seconds, or one of the samples:
#
# | recording | question | right | the small model's answer |
# | --- | --- | --- | --- |
# | `sample:slow` | "How fast does the person talk?" | `Speed 1: very slowly` | `Speed 1: very slowly` |
# | `sample:fast` | "What is the speaking rate?" | `Speed 7: very fast` | `Speed 6: quite fast` |
# | `sample:low` | "What is the pitch of the speaker's voice?" | `Pitch 1: very low pitch` | `Pitch 1: very low pitch` |
# | `sample:high` | "What is the pitch of the speaker's voice?" | `Pitch 7: very high pitch` | `Pitch 5: slightly high pitch` |
# | `sample:noisy` | "How much background noise is there?" | `Clarity 2: noisy` | `Clarity 2: noisy` |
# | `sample:clean` | "Is the recording clean or noisy?" | `Clarity 7: very clean` | `Clarity 7: very clean` |
#
# Two recordings, compared:

# %%
run(r'''
sift-jax ask --audio=sample:slow --audio=sample:fast "Which one has faster speech?"
''')

# %% [markdown]
# It answers `Faster 1: first recording` and is wrong, as in four of ten comparisons.
#
# A conversation, in which each question is answered in view of those before it, takes its questions from standard input, one a line; in a terminal `/audio PATH` adds a recording and `/help` lists the other commands:

# %%
run(r'''
printf 'How fast does the person talk?\nIs the speaker male or female?\n' | sift-jax chat --audio=sample:low
''')

# %% [markdown]
# The small model learnt from single questions: its second answer here, `No 2: second recording`, has nothing to do with the question.
#
# ## What to expect of it
#
# The small model has two million parameters, none of them pretrained, and its voices were synthetic. On voices and sentences that its training never had it is right in 56.7 % of 240 closed questions in English, where the
# commonest answer of its training is right in 33.8 %. It recognises no words. It knows few paraphrases: asked the same in words that its training never had, it is right in 18.3 %. Its card, `sift_jax/shipped/small/README.md`,
# has all figures, its other answers to the samples, and where it comes from. It is here to show how a model is asked, not to be used.
#
# ## From Python

# %%
import sift_jax

model = sift_jax.load()
print(model.ask("sample:slow", "How fast does the person talk?"))
print(model.ask_many([("sample:low", "Is the speaker male or female?"), ("sample:noisy", "How much background noise is there?")]))

# %% [markdown]
# `sift_jax.load("runs/quickstart/export")` loads another one. [The Python API](../reference/python_api.md) has the rest; a page to record and ask on comes with the [server](serve_and_export.md), and [speech out](speech_out.md) has
# answers as speech. The quickstart's model answers in five languages; these [questions work](../quickstart.md#questions-that-work) with it.
