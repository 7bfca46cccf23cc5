"""BEATs against numbers of its published code (microsoft/unilm, MIT), in float64 on the same drawn
weights; clips of several lengths, and what a file may say."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chirps import make_wave
from small_beats import CFG, make_state, take_params

from sift_jax.audio.kaldi_mel import fill_kaldi_mel
from sift_jax.models.beats_encoder import BeatsConfig, BeatsEncoder, find_buckets
from sift_jax.weights.foreign.beats_file import list_beats_tensors, read_beats_config

FILE = Path("beats.pt")
# every fifth of 24 tokens of make_wave(8000), and every sixth of their features
PUBLISHED = [
    [-1.7929, -0.3695, 2.1302, 0.5607],
    [-1.6653, -0.5668, 2.2675, 0.6606],
    [-1.6327, -0.5159, 2.2898, 0.5837],
    [-1.6328, -0.521, 2.26, 0.6317],
    [-1.6572, -0.5912, 2.2504, 0.6525],
]
# distance from a query to a key, and the bucket of it
BUCKETS = {
    0: 0,
    1: 161,
    79: 239,
    80: 240,
    100: 247,
    500: 303,
    799: 319,
    800: 319,
    1495: 319,
    -1: 1,
    -79: 79,
    -80: 80,
    -500: 143,
    -1495: 159,
}


@pytest.fixture(scope="module")
def beats():
    """(config, params) of the small one, as a file of it is read."""
    state = make_state(CFG)
    config = read_beats_config({"cfg": CFG, "model": state}, FILE)
    return config, take_params(config, dict(list_beats_tensors(state, FILE)))


def hear(beats, waves: list[np.ndarray], window: int) -> np.ndarray:
    config, params = beats
    mel = np.zeros((len(waves), window, 128), np.float32)
    frames = np.array([fill_kaldi_mel(wave, out) for wave, out in zip(waves, mel, strict=True)])
    encoder = BeatsEncoder(config=config, dtype=jnp.dtype("float32"), remat="none")
    return np.asarray(jax.jit(encoder.apply)({"params": params}, mel, frames))


def test_published_numbers(beats):
    (found,) = hear(beats, [make_wave(8000)], 48)
    assert found.shape == (24, 24)
    np.testing.assert_allclose(found[::5, ::6], PUBLISHED, atol=2e-4)


def test_a_clip_sounds_alike_in_every_window(beats):
    waves = [make_wave(8000), make_wave(2960, seed=1), make_wave(2959, seed=2), make_wave(2400)]
    found = hear(beats, waves, 80)
    for wave, tokens, window, long in zip(
        waves, (24, 8, 8, 0), (48, 32, 17, 16), found, strict=True
    ):
        (alone,) = hear(beats, [wave], window)
        np.testing.assert_allclose(long[:tokens], alone[:tokens], atol=1e-5)
        assert not long[tokens:].any() and long[:tokens].all()


def test_distances_share_buckets_as_published():
    config = BeatsConfig(
        mel_bins=128,
        patch=16,
        embedding=512,
        width=768,
        layers=12,
        heads=12,
        hidden=3072,
        position_kernel=128,
        position_groups=16,
        buckets=320,
        max_distance=800,
    )
    found = find_buckets(config, 1496)
    assert found.shape == (1496, 1496)
    for distance, bucket in BUCKETS.items():
        assert found[max(0, -distance), max(0, distance)] == bucket


def test_a_file_of_another_arithmetic_is_refused():
    held = {"cfg": {**CFG, "deep_norm": False}, "model": make_state(CFG)}
    with pytest.raises(ValueError, match="deep_norm is False, and only True is computed here"):
        read_beats_config(held, FILE)
    with pytest.raises(ValueError, match="no .pt of BEATs"):
        read_beats_config({"model": {}}, FILE)
    del held["cfg"]["num_buckets"]
    held["cfg"]["deep_norm"] = True
    with pytest.raises(ValueError, match="says nothing of num_buckets"):
        read_beats_config(held, FILE)


def test_biases_of_a_block_that_are_its_own_are_refused():
    state = make_state(CFG)
    name = "encoder.layers.2.self_attn.relative_attention_bias.weight"
    with pytest.raises(ValueError, match="layers.2.*is not that of the first block"):
        dict(list_beats_tensors({**state, name: state[name] + 1}, FILE))


def test_sizes_that_do_not_divide_are_refused(beats):
    with pytest.raises(ValueError, match="width 25 over 3 heads.*change the preset"):
        dataclasses.replace(beats[0], width=25)
