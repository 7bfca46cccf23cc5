"""Every kind of projector: as many positions as are counted, each from its own frames, and all
parameters of use."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_model import hear, make_config, make_params

from sift_jax.models.layers import average_groups
from sift_jax.models.presets import PROJECTORS
from sift_jax.models.projectors import make_projector
from sift_jax.models.speech_lm import describe_params, encode_speech
from sift_jax.weights.key_table import PROJECTOR, to_theirs

# every size differs from the others
SMALL = {
    "linear": PROJECTORS["linear"],
    "pooled": dataclasses.replace(PROJECTORS["pooled"], frames=3),
    "stacked": dataclasses.replace(PROJECTORS["stacked"], frames=3, width=20),
    "qformer": dataclasses.replace(
        PROJECTORS["qformer"], frames=7, width=24, queries=2, layers=2, heads=3
    ),
    "conformer": dataclasses.replace(
        PROJECTORS["conformer"], frames=2, width=24, layers=2, heads=3
    ),
}
# in the others a position may hear all of the clip
LOCAL = [kind for kind in SMALL if kind != "conformer"]


def make_small(kind, **changes):
    return dataclasses.replace(make_config(**changes), projector=SMALL[kind])


@functools.cache
def make_pair(kind, dtype="float32"):
    """(apply, params) of a projector alone, 16 dimensions to 12, with nothing at zero."""
    module = make_projector(SMALL[kind], 12, jnp.dtype(dtype))
    params = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 7, 16)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape).astype(np.float32), params)
    return jax.jit(lambda x: module.apply(params, x)), params["params"]


@pytest.mark.parametrize("kind", SMALL)
def test_counted_positions_are_the_models(kind):
    """What the data reserves for a whole window is what the model makes of it; a shorter clip takes
    no more."""
    for frames in (1, 2, 5) if kind != "linear" else (1,):
        projector = dataclasses.replace(SMALL[kind], frames=frames)
        module = make_projector(projector, 12, jnp.dtype("float32"))
        for mel_frames in (1, 2, 41, 80, 200) if kind != "qformer" else (1, 41, 200):
            encoded = average_groups(
                np.zeros((1, (mel_frames + 1) // 2, 16), np.float32), projector.pool
            )
            out, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), encoded)
            halved = (mel_frames + 1) // 2
            assert out.shape == (1, projector.count_positions(halved), 12)
            assert projector.count_positions(halved) <= projector.count_positions(100)
    config = make_small(kind)
    mel = jax.ShapeDtypeStruct(
        (1, 3, config.encoder.mel_frames, config.encoder.mel_bins), np.float32
    )
    clips, params = jax.ShapeDtypeStruct((1, 3), np.int32), describe_params(config)
    spoken = jax.eval_shape(lambda p, m, f: encode_speech(config, p, m, f), params, mel, clips)
    assert spoken.shape == (1, 3 * config.slots_per_clip, config.decoder.width)


def test_a_window_of_thirty_seconds_takes_the_published_positions():
    counts = {kind: PROJECTORS[kind].count_positions(1500) for kind in PROJECTORS if kind in SMALL}
    # SALMONN leaves out the 4 frames that do not fill a window and has 88
    assert counts == {
        "linear": 1500,
        "pooled": 750,
        "stacked": 300,
        "qformer": 89,
        "conformer": 1500,
    }


@pytest.mark.parametrize("samples", [400, 481, 4_800, 16_000, 16_161, 16_321, 16_481, 480_000])
def test_pooled_positions_are_those_of_qwen2_audio(samples):
    """Its processor counts 10 ms steps that begin on a sample, halves them rounding up, and again
    rounding down."""
    mel_frames = -(-samples // 160)
    halved = (mel_frames - 1) // 2 + 1
    assert PROJECTORS["pooled"].count_positions((mel_frames + 1) // 2) == max(
        1, (halved - 2) // 2 + 1
    )


@pytest.mark.parametrize("kind", LOCAL)
def test_a_position_is_made_of_its_own_frames(kind):
    """By gradient: a position depends on all frames of its group and on no other frame."""
    apply, _ = make_pair(kind)
    frames = 1 if kind == "pooled" else SMALL[kind].frames
    x = np.random.default_rng(1).normal(size=(1, 3 * frames - (frames > 1), 16)).astype(np.float32)
    reach = np.abs(np.asarray(jax.jit(jax.jacobian(apply))(x)))[0, :, :, 0].max(axis=(1, 3))
    per_group = SMALL[kind].queries or 1
    assert reach.shape == (3 * per_group, x.shape[1])
    own = np.arange(len(reach))[:, None] // per_group == np.arange(x.shape[1])[None] // frames
    assert (reach[own] > 0).all() and (reach[~own] == 0).all()


def test_pooling_is_before_the_encoders_last_norm():
    """Qwen2-Audio's order: every pooled frame that the projector gets is normed, whatever was
    averaged."""
    config = make_small("pooled")
    params = jax.tree.map(np.asarray, make_params(config))
    params["encoder"]["norm"] = {"scale": np.ones(32, np.float32), "bias": np.zeros(32, np.float32)}
    eye = np.eye(32, dtype=np.float32)
    params["projector"] = {"linear": {"kernel": eye, "bias": np.zeros(32, np.float32)}}
    mel = np.random.default_rng(0).normal(size=(1, 1, 60, 80)).astype(np.float32)
    out = np.asarray(hear(config, params, mel, np.array([[60]])))[0]
    assert out.shape == (10, 32)
    np.testing.assert_allclose(out.mean(axis=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=1), 1.0, atol=1e-3)


def test_averages_leave_out_what_is_no_whole_group():
    x = np.arange(14, dtype=np.float32).reshape(1, 7, 2)
    np.testing.assert_allclose(average_groups(x, 3)[0], [[2, 3], [8, 9]], rtol=1e-6)
    np.testing.assert_allclose(average_groups(x, 7)[0], [[6, 7]], rtol=1e-6)
    np.testing.assert_allclose(average_groups(x[:, :2], 3)[0], [[1, 2]], rtol=1e-6)


def test_padding_of_the_last_window_is_not_read():
    """A last window of 3 frames is what a Q-Former of windows of 3 makes of them."""
    apply, params = make_pair("qformer")
    x = np.random.default_rng(2).normal(size=(2, 10, 16)).astype(np.float32)
    narrow = make_projector(
        dataclasses.replace(SMALL["qformer"], frames=3), 12, jnp.dtype("float32")
    )
    alone = jax.jit(narrow.apply)({"params": params}, x[:, 7:])
    np.testing.assert_allclose(np.asarray(apply(x))[:, 2:], alone, atol=1e-5)


@pytest.mark.parametrize("kind", SMALL)
def test_every_parameter_trains(kind):
    apply, params = make_pair(kind)
    x = np.random.default_rng(4).normal(size=(2, 10, 16)).astype(np.float32)
    module = make_projector(SMALL[kind], 12, jnp.dtype("float32"))
    weights = np.random.default_rng(5).normal(size=apply(x).shape).astype(np.float32)
    grads = jax.jit(
        jax.grad(lambda params: jnp.sum(weights * module.apply({"params": params}, x)))
    )(params)
    for path, grad in flatten_dict(grads, sep="/").items():
        # softmax forgets what is added to all keys alike
        assert np.abs(grad).max() > 1e-7 or path.endswith("_k/bias"), path


@pytest.mark.parametrize("kind", SMALL)
def test_parameters_have_keys_for_files(kind):
    params = flatten_dict(make_pair(kind)[1], sep="/")
    theirs = dict(to_theirs(PROJECTOR, params))
    assert len(theirs) == sum(SMALL[kind].blocks if "blocks/" in path else 1 for path in params)
    assert sum(x.size for x in theirs.values()) == sum(x.size for x in params.values())


@pytest.mark.parametrize("kind", SMALL)
def test_bfloat16_stays_close_to_float32(kind):
    x = np.random.default_rng(3).normal(size=(1, 13, 16)).astype(np.float32)
    exact, rounded = (
        np.asarray(make_pair(kind, dtype)[0](x), np.float32) for dtype in ("float32", "bfloat16")
    )
    assert 0 < np.abs(rounded - exact).max() <= 0.03 * np.abs(exact).max()


def test_the_papers_sizes():
    def count(kind):
        config = make_config(
            encoder="whisper-large-v2", projector=kind, projector_frames=None, decoder="qwen2.5-7b"
        )
        return sum(
            math.prod(leaf.shape) for leaf in jax.tree.leaves(describe_params(config)["projector"])
        )

    linear, width = 768 * 3584 + 3584, 768
    attention, norm, mlp = 4 * (width**2 + width), 2 * width, 8 * width**2 + 5 * width
    cross = 2 * (width**2 + width) + 2 * (1280 * width + width) + norm
    assert (
        count("qformer")
        == linear + width + 2 * 1280 + norm + 2 * (attention + mlp + 2 * norm) + cross
    )
    assert count("stacked") == 5 * 1280 * 2048 + 2048 + 2048 * 3584 + 3584
    assert count("pooled") == count("linear") == 1280 * 3584 + 3584
