"""Evaluate a model, and compare two: the commands and the code of evaluate_and_compare.md, made by python -m docs.tools.make_notebooks."""

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
# # Evaluate a model, and compare two
#
# This page as a [script](evaluate_and_compare.py) and as a [notebook](evaluate_and_compare.ipynb).
#
# The model is the [small one](first_answers.md) that comes with the package; the questions are those of EvalSIFT on a corpus that is made here. The extra `demo` brings what speaks it.

# %%
run(r'''
pip install ".[demo]"
''')

# %% [markdown]
# ## A corpus to ask about
#
# A few English sentences, the language of the model's training, by voices that the training did not have (the split EvalSIFT):

# %%
run(r'''
sift-jax data build --corpus=embedded --languages=en --train=40 --dev=10 --evaluation=20 --evaluation_rows=20 --wordings=2 --plain --out=runs/tutorial/data
''')

# %% [markdown]
# `runs/tutorial/data/report.html` has its recordings to hear.
#
# ## One evaluation

# %%
run(r'''
sift-jax evaluate --suite=evalsift --root=runs/tutorial/data --checkpoint=small --out=runs/tutorial/greedy --limit=10 \
    --gin.DATA_DIR=runs/tutorial/data --gin.TEMPERATURE=0.0 --gin.TOP_P=1.0 --gin.REPETITION_PENALTY=1.0 --gin.NO_REPEAT_NGRAM=0
''')

# %% [markdown]
# answers, has the answers judged by rules, and writes `report.html`: every figure with its number of questions, an interval over recordings, and the answer that training data make likeliest, the
# majority-class baseline, beside it. `DATA_DIR` is the build that this baseline is taken from.

# %%
import json
from pathlib import Path

results = json.loads(Path("runs/tutorial/greedy/results.json").read_text())
for cell in results["cells"]:
    if cell["system"] == "model" and not cell["language"] and not cell["facet"]:
        print(cell["subset"], cell["metric"], cell["value"], f"of {cell['n']}")

# %% [markdown]
# ## Another, and the difference
#
# The same model with other decoding (temperature 0.7) is as good as another model for this page. Each evaluation has a folder of its own:

# %%
run(r'''
sift-jax evaluate --suite=evalsift --root=runs/tutorial/data --checkpoint=small --out=runs/tutorial/drawn --limit=10 \
    --gin.DATA_DIR=runs/tutorial/data --gin.TEMPERATURE=0.7 --gin.TOP_P=1.0 --gin.REPETITION_PENALTY=1.0 --gin.NO_REPEAT_NGRAM=0
sift-jax compare runs/tutorial/greedy runs/tutorial/drawn --out=runs/tutorial/comparison
''')

# %% [markdown]
# `runs/tutorial/comparison` has a page with both side by side, the differences with paired tests, and the questions whose score changed. With ten questions a part most differences are chance, and the page
# says so. [Evaluation](../guides/evaluation.md) has the suites, judges and protocols.
