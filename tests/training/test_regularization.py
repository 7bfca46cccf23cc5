"""SpecAugment and dropout: how much they hide, of what, and that a stopped run goes on with the
same."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_examples import make_mixed_batch
from tiny_model import SALM, make_config, make_params, measure_loss

from sift_jax.checkpoints.train_state import init_state, join_params
from sift_jax.models.fast_conformer import drop_out
from sift_jax.models.speech_lm import Dropout, compute_hidden
from sift_jax.parallel.mesh import MeshConfig, make_mesh, shard_rows
from sift_jax.training.optimizer import OptimizerConfig, make_optimizer
from sift_jax.training.regularization import check_regularization, draw_noise, mask_mel
from sift_jax.training.run_config import RegularizationConfig
from sift_jax.training.step import make_train_step

SPEC_AUGMENT = RegularizationConfig(
    frequency_masks=2,
    frequency_mask_bins=27,
    time_masks=10,
    time_mask_share=0.05,
    adapter_dropout=0.0,
)
NONE = dataclasses.replace(SPEC_AUGMENT, frequency_masks=0, time_masks=0)
OPTIMIZER = OptimizerConfig(
    peak_learning_rate=1e-2,
    muon_learning_rate=None,
    warmup_steps=1,
    final_fraction=0.1,
    weight_decay=0.0,
    beta1=0.9,
    beta2=0.98,
    clip_norm=1.0,
    spike_factor=None,
)
CLIPS, FRAMES, BINS = 40, 400, 80
LENGTHS = jnp.asarray([400, 200, 100, 10, 0] * 8)[None]


def mask_ones(config, seed=0):
    """Which places of clips of ones are hidden, (clips, frames, bins)."""
    mel = jnp.ones((1, CLIPS, FRAMES, BINS))
    return np.asarray(mask_mel(config, jax.random.key(seed), mel, LENGTHS)[0]) == 0


def count_runs(is_hidden):
    """How many stretches of True there are in each row."""
    edges = np.diff(np.pad(is_hidden, ((0, 0), (1, 0))).astype(int), axis=1)
    return (edges == 1).sum(axis=1)


def test_bands_are_as_high_and_as_many_as_said():
    config = dataclasses.replace(SPEC_AUGMENT, time_masks=0)
    hidden = np.concatenate([mask_ones(config, seed) for seed in range(30)])
    assert (hidden == hidden[:, :1]).all(), "a band is the same in every frame"
    bands = hidden[:, 0]
    assert count_runs(bands).max() == 2
    assert bands.sum(axis=1).max() <= 2 * 27
    # two draws of 0 … 27 that may overlap: some less than 27 of 80 bins
    assert 19 < bands.sum(axis=1).mean() < 27
    # every bin is hidden at times
    assert bands.any(axis=0).all()


def test_spans_are_a_share_of_their_own_clip_and_inside_it():
    config = dataclasses.replace(SPEC_AUGMENT, frequency_masks=0)
    spans = np.concatenate([mask_ones(config, seed) for seed in range(30)])[:, :, 0]
    lengths = np.tile(np.asarray(LENGTHS[0]), 30)
    assert not (spans & (np.arange(FRAMES) >= lengths[:, None])).any()
    assert count_runs(spans).max() <= 10
    share = {length: spans[lengths == length].sum(axis=1).mean() for length in (400, 200, 100)}
    # ten draws of 0 … 5 %, some of which overlap
    for length, hidden in share.items():
        assert 0.17 < hidden / length < 0.25, (length, hidden)
    # of a clip of ten frames a twentieth is none, and one frame is the least that can be hidden
    assert 0 < spans[lengths == 10].sum(axis=1).mean() < 10


def test_clips_steps_and_seeds_have_their_own_masks_and_come_again():
    first, again, other = (
        mask_ones(SPEC_AUGMENT),
        mask_ones(SPEC_AUGMENT),
        mask_ones(SPEC_AUGMENT, 1),
    )
    assert (first == again).all()
    assert (first[0] != first[5]).any()
    assert (first != other).any()
    batch = {"mel_basf": jnp.ones((1, CLIPS, FRAMES, BINS)), "frames_ba": LENGTHS}
    drawn = {
        (seed, step): np.asarray(
            draw_noise(SPEC_AUGMENT, seed, jnp.asarray(step), batch)[0]["mel_basf"]
        )
        for seed in (0, 1)
        for step in (0, 1)
    }
    assert (drawn[0, 0] != drawn[0, 1]).any()
    assert (drawn[0, 0] != drawn[1, 0]).any()
    assert "mel_basf" in batch and (batch["mel_basf"] == 1).all(), "the batch itself is as it was"


def test_nothing_is_hidden_where_nothing_is_asked_for():
    assert not mask_ones(NONE).any()
    batch = {"mel_basf": jnp.ones((1, 1, 8, BINS))}
    assert draw_noise(None, 0, jnp.asarray(3), batch) == (batch, None)


class Dropping(nn.Module):
    @nn.compact
    def __call__(self, x):
        return drop_out(self, 0.1, x)


def test_dropout_leaves_out_a_tenth_and_keeps_the_mean():
    x = jnp.ones((100, 1000))
    found = np.asarray(Dropping().apply({}, x, rngs={"dropout": jax.random.key(0)}))
    assert set(np.unique(found)) == {0.0, np.float32(1 / 0.9)}
    assert (found == 0).mean() == pytest.approx(0.1, abs=0.005)
    assert (np.asarray(Dropping().apply({}, x)) == 1).all()


def test_only_a_key_makes_the_adapter_drop_anything():
    config = make_config(**SALM)
    params, batch = make_params(config), make_mixed_batch(config)
    hear = jax.jit(compute_hidden, static_argnums=0)
    plain = hear(config, params, batch)

    def drop(seed, rate):
        return jax.jit(lambda key: compute_hidden(config, params, batch, Dropout(key, rate)))(
            jax.random.key(seed)
        )

    assert (drop(0, 0.0) == plain).all()
    assert not np.allclose(drop(0, 0.1), plain, atol=1e-3)
    assert not np.allclose(drop(0, 0.1), drop(1, 0.1), atol=1e-3)
    assert (drop(1, 0.1) == drop(1, 0.1)).all()


def test_the_state_decides_what_a_step_hides():
    """So a run that was stopped resumes as one that was not."""
    config, batch = make_config(**SALM), make_mixed_batch(make_config(**SALM))
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    update = make_optimizer(OPTIMIZER, 10)
    hiding = dataclasses.replace(SPEC_AUGMENT, frequency_mask_bins=5, adapter_dropout=0.1)
    make_first = jax.jit(lambda: init_state(config, (".*",), update, 0))
    first = jax.tree.map(np.asarray, make_first())
    # in two pieces, which leave out values of their own
    step = make_train_step(
        config, update, first, mesh, microbatches=2, regularization=hiding, seed=3
    )
    placed = jax.device_put(batch, shard_rows(mesh))
    state, metrics = step(jax.device_put(first), placed)
    kept = jax.tree.map(np.array, state)
    second, after = step(state, placed)
    resumed, again = step(jax.device_put(kept), placed)
    assert float(after["loss"]) == float(again["loss"])
    for x, y in zip(jax.tree.leaves(second), jax.tree.leaves(resumed), strict=True):
        assert (np.asarray(x) == np.asarray(y)).all()
    total, weight = measure_loss(config, join_params(first["trainable"], first["frozen"]), batch)
    assert float(metrics["loss"]) != pytest.approx(float(total / weight), rel=1e-4)


def test_what_a_model_has_not_is_refused():
    salm, pooled = make_config(**SALM), make_config()
    dropping = dataclasses.replace(NONE, adapter_dropout=0.1)
    check_regularization(None, pooled)
    check_regularization(dropping, salm)
    with pytest.raises(ValueError, match="pooled projector has no dropout; set .*= 0.0"):
        check_regularization(dropping, pooled)
    with pytest.raises(ValueError, match="frequency_mask_bins is 100, and the encoder hears"):
        check_regularization(dataclasses.replace(SPEC_AUGMENT, frequency_mask_bins=100), salm)
    with pytest.raises(ValueError, match="adapter_dropout is 1.0; give 0 or more, below 1"):
        dataclasses.replace(NONE, adapter_dropout=1.0)
