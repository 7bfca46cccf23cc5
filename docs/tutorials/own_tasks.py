"""A task and a mixture of your own: the commands and the code of own_tasks.md, made by python -m docs.tools.make_notebooks."""

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
# # A task and a mixture of your own
#
# This page as a [script](own_tasks.py) and as a [notebook](own_tasks.ipynb).
#
# A module of yours adds tasks and mixtures in its `register` function, and stays in your own folder. Its data are `my_data/train.tsv` and `my_data/dev.tsv`, with a recording's path, a question and
# an answer on each line, separated by tabs.

# %%
write("my_tasks.py", r'''
# my_tasks.py: a task over my_data/{train,dev}.tsv with lines of  wav ⇥ question ⇥ answer,  and a mixture with it
import numpy as np
import seqio
import tensorflow as tf

from sift_jax.audio.files import read_audio
from sift_jax.data.mixtures import make_mixture, register_mixture
from sift_jax.data.tasks.preprocessors import make_output_features, make_text_pair
from sift_jax.data.tasks.seqio_tasks import register as register_task

FEATURES = {
    "question": tf.TensorSpec((), tf.string),
    "answer": tf.TensorSpec((), tf.string),
    "audio": tf.TensorSpec((None,), tf.int16),
}


def read_examples(split):
    for line in open(f"my_data/{split}.tsv", encoding="utf-8"):
        wav, question, answer = line.rstrip("\n").split("\t")
        samples = read_audio(wav, max_seconds=30.0)
        yield {
            "question": question,
            "answer": answer,
            "audio": np.round(samples * 32767).astype(np.int16),
        }


def make_dataset(split, shuffle_files, seed=None):
    return tf.data.Dataset.from_generator(lambda: read_examples(split), output_signature=FEATURES)


def register(context):
    task = seqio.Task(
        "my.questions",
        source=seqio.FunctionDataSource(make_dataset, splits=["train", "dev"]),
        preprocessors=[make_text_pair(context.vocabulary.tokenizer)],
        output_features=make_output_features(context.vocabulary),
        metric_fns=[],
        shuffle_buffer_size=100,
    )
    register_task(task)
    register_mixture(make_mixture("mine", {"my.*": 0.2, "sift.closed_ended.*.en": 0.8}))
    return [task.name]
'''[1:])

# %% [markdown]
# The quickstart's second stage can train on it after `make quickstart`, whose data and stage 1 it reads:

# %%
run(r'''
python -m sift_jax.train --gin_file=configs/quickstart/stage2.gin --module_import=my_tasks \
    --gin.MIXTURE=mine --gin.OUT_DIR=runs/mine
''')

# %% [markdown]
# Or leave `register_mixture` out and give the table by `--gin.MIXTURE=None --gin.RATES="{'my.*': 0.2, 'sift.closed_ended.*.en': 0.8}"`. `python -m sift_jax.preview` with the same flags shows
# [what the run will read](../guides/mixtures.md#looking-at-a-mixture).
#
# The run caches the task's examples beside the records, says how many examples a step has, and trains; `runs/mine/metrics.jsonl` has the dev loss of `my.questions` beside the others'. A test takes the
# module out of this page and reads batches with it.
