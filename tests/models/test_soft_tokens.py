"""Soft tokens: what the decoder hears are means of its own embeddings, and what is left of a frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from tiny_model import make_config, make_params

from sift_jax.models import soft_tokens
from sift_jax.models.soft_tokens import init_rest, mix_tokens, soften
from sift_jax.models.speech_lm import describe_params, encode_speech, project_speech

B, S, D, V = 2, 7, 6, 11


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(B, S, D)).astype(np.float32),
        rng.normal(size=(V, D)).astype(np.float32),
    )


@pytest.mark.parametrize("at_once", [3, 7, 256])
def test_mean_of_embeddings_by_their_scores(drawn, at_once, monkeypatch):
    monkeypatch.setattr(soft_tokens, "SCORED", at_once)
    frames, table = drawn
    want = softmax(frames @ table.T, axis=-1) @ table
    np.testing.assert_allclose(mix_tokens(jnp.asarray(frames), jnp.asarray(table)), want, atol=1e-6)

    def plain(frames):
        return jnp.sum(jnp.cos(jax.nn.softmax(frames @ table.T) @ table))

    got = jax.grad(lambda x: jnp.sum(jnp.cos(mix_tokens(x, jnp.asarray(table)))))(frames)
    np.testing.assert_allclose(got, jax.grad(plain)(jnp.asarray(frames)), atol=1e-6)


def test_a_sure_frame_is_its_tokens_embedding(drawn):
    """Whatever the frame's size, and however far from the embedding it lies."""
    _, table = drawn
    frame = np.random.default_rng(1).normal(size=D).astype(np.float32)
    best = table[np.argmax(table @ frame)]
    assert abs(frame @ best) < 0.9 * np.linalg.norm(frame) * np.linalg.norm(best)
    found = mix_tokens(jnp.asarray(100 * frame[None, None]), jnp.asarray(table))
    np.testing.assert_allclose(found[0, 0], best, atol=1e-3)


def test_the_rest_is_silent_at_the_start_and_learns(drawn):
    frames, table = (jnp.asarray(x) for x in drawn)
    rest = init_rest(D)
    np.testing.assert_array_equal(soften(frames, rest, table), mix_tokens(frames, table))
    slope = jax.grad(lambda rest: jnp.sum(soften(frames, rest, table) ** 2))(rest)
    assert np.abs(slope["kernel"]).min() > 0


def test_a_model_hears_them():
    config = make_config(soft_tokens=True)
    params = make_params(config)
    mel = np.random.default_rng(1).normal(size=(1, 2, 80, config.encoder.mel_bins))
    batch = jnp.asarray(mel, jnp.float32), jnp.asarray([[80, 33]])
    frames = np.asarray(project_speech(config, params, *batch))
    table = np.asarray(params["decoder"]["embedding"])
    want = (
        softmax(frames @ table.T, axis=-1) @ table + frames @ params["projector"]["rest"]["kernel"]
    )
    np.testing.assert_allclose(encode_speech(config, params, *batch), want, atol=1e-4)


def test_other_models_have_no_rest():
    assert "rest" not in describe_params(make_config())["projector"]


def test_refused_where_speech_is_attended_to():
    with pytest.raises(ValueError, match="set SOFT_TOKENS = False, or FUSION = 'splice'"):
        make_config(soft_tokens=True, fusion="cross")
