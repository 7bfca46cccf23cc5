"""Questions on a run's boards: what is written is what is asked, heard and wanted."""

import re
from collections import Counter

import numpy as np
import pytest
from tiny_model import make_config
from tiny_run import make_data

from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.dev_batches import read_dev_set
from sift_jax.training.job import make_geometry
from sift_jax.training.logged_samples import make_samples, write_table


@pytest.fixture(scope="module")
def dev(corpus):
    stream = BatchStream(
        make_data(corpus), make_geometry(make_config()), split="dev", is_endless=False
    )
    return read_dev_set(stream, 4, [], samples=2)


def test_of_each_task_that_is_seen_a_few_questions_are_kept(dev):
    counts = Counter(sample.task for sample in dev.samples)
    assert set(counts) == set(dev.seen) and set(counts.values()) <= {1, 2} and 2 in counts.values()
    for sample in dev.samples:
        assert sample.prompt.count("<|AUDIO|>") == len(sample.clips)
        assert sample.reference and sample.reference not in sample.prompt
        assert all(0 < np.abs(clip).max() <= 1 for clip in sample.clips)


def test_they_are_texts_and_recordings_by_task(dev):
    samples = make_samples(dev.samples)
    assert len(samples.texts) == len(dev.samples)
    assert len(samples.audios) == sum(len(sample.clips) for sample in dev.samples)
    pair = next(sample for sample in dev.samples if len(sample.clips) == 2)
    tag = f"dev/{pair.task}/{pair.number}"
    assert np.array_equal(samples.audios[f"{tag}/recording_2"], pair.clips[1])
    text = samples.texts[f"{tag}/text"]
    assert re.search(r"^\| prompt \| .*\\<\\\|AUDIO\\\|\\> ?.*\|$", text, re.MULTILINE), text
    # no tag is that of another kind of sample
    assert not set(samples.texts) & set(samples.audios)


def test_a_text_of_data_is_no_markup():
    assert write_table([("a", "1 | 2\n<b>*x*")]).splitlines()[-1] == r"| a | 1 \| 2⏎\<b\>\*x\* |"
