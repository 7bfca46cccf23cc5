"""The vocoder's generator by itself: rows that do not depend on company, pieces that join exactly,
voices heard."""

import dataclasses

import jax
import numpy as np
import pytest

from sift_jax.codecs.vocoder.hifi_gan import HifiGanConfig
from sift_jax.codecs.vocoder.network import VocoderConfig, hear, init_vocoder, predict, speak

CODES = 7


def make_generator(activation="snake", **more):
    return HifiGanConfig(
        **(
            {
                "channels": 8,
                "rates": (4, 2),
                "rate_kernels": (8, 4),
                "block_kernels": (3, 5),
                "block_dilations": ((1, 3), (1, 2)),
                "activation": activation,
                "slope": 0.1,
            }
            | more
        )
    )


def make_vocoder(activation="snake"):
    config = VocoderConfig(
        unit_width=6, voice_width=4, mel_bins=5, generator=make_generator(activation)
    )
    params = init_vocoder(config, jax.random.key(0), codes=CODES, has_durations=True)
    # louder, so that a wrong sample is seen
    random = np.random.default_rng(0)
    return config, jax.tree.map(
        lambda x: x + 0.1 * random.standard_normal(x.shape, np.float32), params
    )


@pytest.fixture(scope="module", params=["snake", "leaky_relu"])
def vocoder(request):
    return make_vocoder(request.param)


def run(vocoder, ids, lengths, voice=None):
    config, params = vocoder
    voice = np.ones((len(ids), 4), np.float32) if voice is None else voice
    return np.asarray(speak(config, params, np.asarray(ids, np.int32), voice, np.asarray(lengths)))


def test_what_lies_behind_a_row_changes_nothing(vocoder):
    ids = np.random.default_rng(0).integers(0, CODES, (1, 11))
    alone = run(vocoder, ids, [11])
    longer = run(vocoder, np.pad(ids, ((0, 0), (0, 9)), constant_values=3), [11])[:, : 11 * 8]
    assert alone.shape == (1, 88) and alone.std() > 0.05
    assert np.abs(longer - alone).max() <= 1e-5


def test_no_sample_knows_more_than_its_reach(vocoder):
    reach = vocoder[0].generator.reach
    ids = np.random.default_rng(0).integers(0, CODES, (2, 2 * reach + 5))
    ids[1] = ids[0]
    ids[1, reach + 2] = (ids[0, reach + 2] + 1) % CODES
    one, other = run(vocoder, ids, [ids.shape[1]] * 2)
    differs = np.flatnonzero(np.abs(one - other) > 0) // 8
    assert 1 < differs.min() < reach + 2 < differs.max() < 2 * reach + 3
    assert differs.max() - differs.min() > reach / 2, "reach is no idle bound"


def test_the_voice_is_heard_wherever_it_ends(vocoder):
    config, params = vocoder
    mel = np.random.default_rng(0).standard_normal((2, 20, 5)).astype(np.float32)
    mel[1, :13] = mel[0, :13]
    voices = np.asarray(hear(config, params, mel, np.array([13, 13])))
    assert np.allclose(voices[0], voices[1], atol=1e-6) and voices.std() > 0.01
    none = np.asarray(hear(config, params, mel, np.array([20, 0])))
    assert not np.allclose(none[0], voices[0]) and np.array_equal(none[1], params["any_voice"])
    ids = np.zeros((2, 4), np.int32)
    assert not np.allclose(*run(vocoder, ids, [4, 4], none))


def test_durations_are_whole_frames(vocoder):
    ids = np.random.default_rng(0).integers(0, CODES, (1, 12))
    found = np.asarray(predict(vocoder[1], ids, np.array([5])))
    assert found.min() >= 1 and found.dtype == np.int32
    assert np.array_equal(found[:, :5], np.asarray(predict(vocoder[1], ids[:, :5], np.array([5]))))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"activation": "tanh"},
            "HifiGanConfig.activation is 'tanh'; choose one of leaky_relu, snake",
        ),
        ({"rate_kernels": (7, 4)}, "a kernel of 7 cannot make 4 samples of one"),
        ({"rates": (4, 2, 2)}, "needs a rate_kernel for each rate"),
        ({"block_kernels": (3, 4)}, "kernel of 4 has no middle"),
        ({"channels": 6}, "6 channels cannot be halved 2 times"),
    ],
)
def test_shapes_that_cannot_be(change, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(make_generator(), **change)
