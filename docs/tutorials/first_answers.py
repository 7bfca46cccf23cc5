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
# `make quickstart` leaves a model in `runs/quickstart/export`. Any recording of up to six seconds will do, in the quickstart's five languages. The commands are typed in the clone's root,
# after `. .venv/bin/activate`; where the package is [installed](../install.md), `sift-jax ask`, `sift-jax chat` and `sift-jax speak` are the same.
#
# ## On the command line

# %%
run(r'''
python -m sift_jax.ask --checkpoint=runs/quickstart/export --audio=x.wav "How fast does she speak?"
''')

# %% [markdown]
# Two recordings, compared:

# %%
run(r'''
python -m sift_jax.ask --checkpoint=runs/quickstart/export --audio=a.wav --audio=b.wav "Which one has faster speech?"
''')

# %% [markdown]
# A conversation, in which each question is answered in view of those before it; `/audio PATH` adds a recording, and `/help` lists the other commands:

# %%
run(r'''
python -m sift_jax.ask --checkpoint=runs/quickstart/export --audio=x.wav --chat
''')

# %% [markdown]
# ## Speech as the answer

# %%
run(r'''
python -m sift_jax.speak --checkpoint=runs/quickstart/stage3 --text="The train leaves at noon." --style="very slowly, softly" --out=x.wav
''')

# %% [markdown]
# The voice follows the instruction; the quickstart's words cannot be understood.
#
# What resembles no training question is answered at random; these [questions work](../quickstart.md#questions-that-work).
#
# ## From Python

# %%
import sift_jax

model = sift_jax.load("runs/quickstart/export")
print(model.ask("x.wav", "How fast does she speak?"))
print(
    model.ask_many([("a.wav", "How fast?"), (["a.wav", "b.wav"], "Which one has faster speech?")])
)

# %% [markdown]
# [The Python API](../reference/python_api.md) has the rest.
