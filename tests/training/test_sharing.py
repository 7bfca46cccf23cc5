"""One question a record is sharing turned off: each question comes with its own audio, and the
losses are the same."""

import itertools

import numpy as np
import pytest
from tiny_corpus import SIZES
from tiny_model import make_config, make_params, measure_loss
from tiny_run import make_data

from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.plan.batch_plan import PlannedBatch
from sift_jax.training.job import make_geometry

CONFIG = make_config()
# two questions about each utterance of two languages
RATES, QUESTIONS = {"sift.closed_ended.acoustic_level.*": 1.0}, 2 * 2 * SIZES["train"]


def open_stream(corpus, questions, is_endless):
    data = make_data(corpus, rates=RATES, questions_per_record=questions)
    return BatchStream(data, make_geometry(CONFIG), split="train", is_endless=is_endless)


def measure(batches):
    """(Σ loss, Σ weight, clips, questions) of batches."""
    params = make_params(CONFIG)
    sums = np.sum(
        [np.asarray(measure_loss(CONFIG, params, batch), np.float64) for batch in batches], axis=0
    )
    starts = [
        (b["segment_bt"][:, 1:] != b["segment_bt"][:, :-1]) & (b["segment_bt"][:, 1:] > 0)
        for b in batches
    ]
    return (
        *sums,
        sum(int((b["frames_ba"] > 0).sum()) for b in batches),
        sum(int(s.sum()) for s in starts),
    )


def test_each_question_has_its_own_audio(corpus):
    stream = open_stream(corpus, 1, is_endless=True)
    for shape, batch in itertools.islice(stream.batches(), 6):
        assert batch["segment_bt"].max() == 1
        groups = int(batch["group_bt"].max(axis=1).sum())
        _, _, clips, questions = measure([batch])
        assert clips == questions == groups, shape


def test_the_losses_are_those_of_shared_audio(corpus):
    shared = measure([batch for _, batch in open_stream(corpus, 0, is_endless=False).batches()])
    stream = open_stream(corpus, 1, is_endless=True)
    planned = stream.plan.get_batch(0)
    groups, size = planned.groups, stream.config.rows
    # one epoch shows every question once, each with its own audio
    chosen = [g for g in range(len(groups)) if groups.epoch[g] == 0]
    named = {
        (int(groups.task[g]), int(groups.item[g]), *groups.numbers[g].tolist()) for g in chosen
    }
    assert len(named) == len(chosen) == QUESTIONS
    batches = [
        PlannedBatch(
            level=len(stream.shapes) - 1, rows=[[g] for g in chosen[i : i + size]], groups=groups
        )
        for i in range(0, len(chosen), size)
    ]
    alone = measure([batch for _, batch in stream.read(batches)])
    assert shared[3] == alone[3] == alone[2] == QUESTIONS and shared[2] == QUESTIONS // 2
    assert alone[1] == shared[1] and alone[0] == pytest.approx(shared[0], rel=1e-5)
