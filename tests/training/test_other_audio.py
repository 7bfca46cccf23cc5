"""Whose audio an item hears instead of its own: another recording's, whatever else a batch
holds."""

import functools

import jax
import numpy as np
import pytest
from tiny_examples import AUDIO_ID, END, START, TURN, make_batch, make_example, make_groups
from tiny_model import SALM_XATT, make_config, make_params

from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.other_audio import find_owners, swap_audio
from sift_jax.training.step import make_dev_step

CONFIG = make_config()


def make_items(*clips, config=CONFIG, same=()):
    """Groups of so many clips each; those numbered in `same` have the recordings of the first."""
    rng = np.random.default_rng(0)
    examples = []
    for number, count in enumerate(clips):
        markers = [AUDIO_ID] * count
        question = (
            [START, *markers, 20 + number, TURN, 30, END, TURN],
            [0] * (count + 3) + [1, 1, 0],
            range(count),
        )
        examples.append(make_example(rng, [question], clips=count))
    for number in same:
        examples[number] |= {key: examples[0][key] for key in ("audio", "audio_lengths")}
    return make_groups(config, examples)


def name_clips(batch):
    """A name for each clip that is heard, by its mel."""
    mel, frames = np.asarray(batch["mel_basf"]), np.asarray(batch["frames_ba"])
    return [
        [mel[i, j].tobytes() if frames[i, j] else None for j in range(frames.shape[1])]
        for i in range(len(mel))
    ]


def swap(batch, config=CONFIG):
    """(names of each row's clips before, and after, the swapped batch)."""
    swapped = jax.jit(functools.partial(swap_audio, slots_per_clip=config.slots_per_clip))(batch)
    return name_clips(batch), name_clips(swapped), swapped


@pytest.mark.parametrize("changes", [{}, SALM_XATT], ids=["spliced", "attended"])
def test_every_item_hears_the_next_one(changes):
    """Rows of a comparison and a clip, of one clip (three places are empty), of two comparisons."""
    config = make_config(**changes)
    a, b, c, d, e = make_items(2, 1, 1, 2, 2, config=config)
    batch = make_batch(config, [[a, b], [c], [d, e]])
    assert find_owners(batch, config.slots_per_clip).tolist() == [
        [1, 1, 2, 0],
        [1, 0, 0, 0],
        [1, 1, 2, 2],
    ]
    ((a0, a1, b0, _), (c0, *_), (d0, d1, e0, e1)), found, swapped = swap(batch, config)
    assert found == [[b0, b0, c0, None], [d0, None, None, None], [e0, e1, a0, a1]]
    np.testing.assert_array_equal(swapped["weight_bm"], batch["weight_bm"])


def test_another_item_of_the_same_recording_is_passed_over():
    a, b, c = make_items(1, 1, 1, same=(1,))
    batch = make_batch(CONFIG, [[a, b, c]])
    ((a0, b0, c0, _),), found, _ = swap(batch)
    assert a0 == b0 != c0 and found == [[c0, c0, a0, None]]
    # a comparison shares one of its recordings with the item after it
    a, b, c = make_items(2, 1, 1)
    b = b.__class__(prefix=b.prefix, questions=b.questions, clips=a.clips[1:])
    batch = make_batch(CONFIG, [[a, b, c]])
    ((a0, a1, b0, c0),), found, _ = swap(batch)
    assert a1 == b0 and found == [[c0, c0, c0, a0]]


@pytest.mark.parametrize("rows, paired", [([0], []), ([0, 1], []), ([0, 1, 2], [2])])
def test_an_item_without_another_has_no_weight(rows, paired):
    """A single item, or nothing but items of one recording, say nothing of what a model hears."""
    items = make_items(1, 1, 1, same=(1,))
    batch = make_batch(CONFIG, [[items[row]] for row in rows])
    before, after, swapped = swap(batch)
    if not paired:
        assert after == before and not np.asarray(swapped["weight_bm"]).any()
    state = {"trainable": make_params(CONFIG), "frozen": {}}
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    found = {key: float(value) for key, value in make_dev_step(CONFIG, mesh)(state, batch).items()}
    assert found["weight"] == 2 * len(rows) and found["loss"] > 0
    assert found["paired_weight"] == (2 * len(rows) if paired else 0)
    assert (found["swapped_loss"] != found["paired_loss"]) == bool(paired)
