"""The sizes of a row suit the utterances that the configs are for: rows are full, whichever limit
comes first."""

import numpy as np
import pytest
from resolve_configs import resolve
from test_plan import MadeUpIndex

from sift_jax.data.batch_stream import make_shapes
from sift_jax.data.plan.batch_plan import Plan
from sift_jax.data.plan.sample_stream import Draws, PlannedTask
from sift_jax.models.presets import make_model_config
from sift_jax.training.job import make_geometry

# seconds of speech and questions of a record: SIFT's, and those of stage 1's corpora of read speech
SIFT, READ = ((4.0, 15.0), 10), ((4.0, 20.0), 1)


def measure_rows(name, records):
    """The share of the positions that are filled in a run's first block."""
    arguments, _ = resolve(name)
    geometry = make_geometry(make_model_config(arguments["model"]))
    data = arguments["data"]
    shapes = make_shapes(data, geometry)
    frames = np.array(
        [0, *(geometry.count_frames(mel) for mel in range(1, shapes[-1].mel_frames + 1))]
    )
    seconds, questions = records
    index = MadeUpIndex(9000, questions=questions, clip_seconds=seconds)
    task = PlannedTask(name="made_up", rate=1.0, index=index, questions=data.questions_per_record)
    draws = Draws(
        [task],
        shapes,
        lambda samples: frames[-(-samples // 160)],
        seed=0,
        is_endless=True,
        rates_count=data.rates_count,
    )
    batches = Plan(draws, seed=0).get_block(0).batches
    slots = len(batches) * data.rows * data.tokens
    return sum(b.tokens for b in batches) / slots


@pytest.mark.parametrize(
    "name, records",
    [("stage1", READ), ("stage2", SIFT), ("small/stage1", READ), ("small/stage2", SIFT)],
)
def test_rows_are_full(name, records):
    assert measure_rows(name, records) > 0.95
