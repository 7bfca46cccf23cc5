"""A model that has grown says what it said before, and has room for more."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_corpus import Corpus
from tiny_examples import make_mixed_batch
from tiny_model import MODEL, make_config, measure_logits
from tiny_run import NO_SOURCES, make_run

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.models.speech_lm import describe_params as describe
from sift_jax.models.speech_lm import init_params
from sift_jax.training.loop import train
from sift_jax.weights.load import load_sources
from sift_jax.weights.resize import find_axis, grow


@pytest.fixture(scope="module")
def small_run(corpus: Corpus, tmp_path_factory):
    model = dataclasses.replace(MODEL, lora_rank=2)
    arguments = make_run(
        corpus, tmp_path_factory.mktemp("runs") / "small", model=model, steps=3, dev_batches=0
    )
    return train(**arguments)


def test_a_grown_run_says_the_same(small_run):
    config, _, params = load_params(small_run)
    larger = make_config(lora_rank=8, lora_alpha=32.0, extra_tokens=10)
    loaded = load_sources(
        describe(larger), larger, dataclasses.replace(NO_SOURCES, run=str(small_run))
    )
    from flax.traverse_util import unflatten_dict

    grown, batch = unflatten_dict(loaded, sep="/"), make_mixed_batch(config)
    assert grown["decoder"]["embedding"].shape[0] == config.decoder.vocab_size + 10
    assert grown["decoder"]["blocks"]["q"]["lora_a"].shape[-1] == 8
    logits = np.asarray(measure_logits(larger, grown, batch))
    expected = np.asarray(measure_logits(config, params, batch))
    np.testing.assert_allclose(logits[..., :-10], expected, atol=1e-5)
    # what is new can be told apart, and is no louder than what was there
    assert np.abs(np.diff(logits[..., -10:], axis=-1)).min() > 0
    assert np.abs(logits[..., -10:]).max() < 2 * np.abs(expected).max()


def test_the_new_parts():
    wanted = jax.ShapeDtypeStruct((3, 4, 5), jnp.float32)
    zero = np.asarray(grow("decoder/blocks/q/lora_b", jnp.ones((3, 2, 5)), wanted))
    assert (zero[:, :2] == 1).all() and (zero[:, 2:] == 0).all()
    drawn = np.asarray(grow("decoder/blocks/q/lora_a", jnp.ones((3, 4, 2)), wanted))
    assert (drawn[..., :2] == 1).all() and len(np.unique(drawn[..., 2:])) == 3 * 4 * 3
    rng = np.random.default_rng(0)
    head = jnp.asarray(rng.normal(2.0, 0.5, (6, 400)), jnp.float32)
    whole = grow("decoder/head", head, jax.ShapeDtypeStruct((6, 800), jnp.bfloat16))
    assert whole.dtype == jnp.bfloat16
    new = np.asarray(whole[:, 400:], np.float32)
    assert new.mean() == pytest.approx(2.0, abs=0.1) and new.std() == pytest.approx(0.5, rel=0.15)


def test_adapters_begin_as_large_as_pefts():
    """Uniform within 1/√(inputs), whether a stack of layers is drawn or a rank grows."""
    config = make_config(lora_rank=64, lora_targets=("q", "down"))
    blocks = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))["decoder"]["blocks"]
    grown = grow(
        "decoder/blocks/q/lora_a",
        blocks["q"]["lora_a"],
        jax.ShapeDtypeStruct((2, 32, 256), jnp.float32),
    )
    for drawn, inputs in (
        (blocks["q"]["lora_a"], 32),
        (blocks["down"]["lora_a"], 64),
        (grown[..., 64:], 32),
    ):
        bound = inputs**-0.5
        assert bound * 0.99 < np.abs(drawn).max() <= bound
        assert np.std(drawn) == pytest.approx(bound / 3**0.5, rel=0.03)
        assert np.mean(drawn) == pytest.approx(0.0, abs=0.03 * bound)


def test_what_may_not_grow():
    assert find_axis("decoder/embedding", (10, 4), (12, 4)) == 0
    assert find_axis("decoder/embedding", (10, 4), (8, 4)) is None
    assert find_axis("decoder/embedding", (10, 4), (12, 8)) is None
    assert find_axis("projector/linear/kernel", (10, 4), (12, 4)) is None
    with pytest.raises(
        ValueError, match=r"parameter decoder/norm/scale of shape \(3,\) cannot grow into \(4,\)"
    ):
        grow("decoder/norm/scale", jnp.ones(3), jax.ShapeDtypeStruct((4,), jnp.float32))


def load(run, config):
    return load_sources(describe(config), config, dataclasses.replace(NO_SOURCES, run=str(run)))


@pytest.mark.parametrize(
    "rank, alpha, said",
    [
        (
            8,
            8.0,
            r"LoRA of rank 2 and alpha 8; at rank 8 it says the same with LORA_ALPHA = 32, not 8",
        ),
        (
            2,
            40.0,
            r"LoRA of rank 2 and alpha 8; at rank 2 it says the same with LORA_ALPHA = 8, not 40",
        ),
    ],
    ids=["of a higher rank", "of the same rank"],
)
def test_another_scale_is_refused(small_run, rank, alpha, said):
    with pytest.raises(ValueError, match=said):
        load(small_run, make_config(lora_rank=rank, lora_alpha=alpha))


# nothing that the shapes of the parameters would tell
OTHER_MODELS = {
    "heads": (
        ("decoder", {"heads": 8, "kv_heads": 4, "head_size": 4}),
        r"decoder.heads is 4 there and 8 in this",
    ),
    "rope": (
        ("decoder", {"rope_theta": 1e6}),
        r"decoder.rope_theta is 10000.0 there and 1000000.0 in this model",
    ),
    "eps": (
        ("decoder", {"norm_eps": 1e-2}),
        r"decoder.norm_eps is 1e-06 there and 0.01 in this model",
    ),
    "encoder heads": (("encoder", {"heads": 4}), r"encoder.heads is 2 there and 4 in this model"),
    "mask": (
        ("encoder", {"frame_mask": "none"}),
        r"encoder.frame_mask is all there and none in this model",
    ),
    "window": (
        ("encoder", {"window_seconds": 1.0}),
        r"encoder.window_seconds is 2.0 there and 1.0 in this model",
    ),
    "kind": (
        ("projector", {"kind": "linear", "frames": 1}),
        r"projector.kind is pooled there and linear in this",
    ),
    "frames": (("projector", {"frames": 2}), r"projector.frames is 4 there and 2 in this model"),
}


@pytest.mark.parametrize("change, said", OTHER_MODELS.values(), ids=OTHER_MODELS)
def test_a_run_of_another_model_is_refused(small_run, change, said):
    part, fields = change
    config = make_config(lora_rank=2)
    config = dataclasses.replace(
        config, **{part: dataclasses.replace(getattr(config, part), **fields)}
    )
    with pytest.raises(
        ValueError, match=rf"run {small_run}: {said}.*; use the model config of that run"
    ):
        load(small_run, config)


def test_a_rank_does_not_shrink(small_run):
    said = (
        r"parameter decoder/blocks/q/lora_a is \(2, 32, 2\) there and \(2, 32, 1\) here; use the "
        r"model config"
    )
    with pytest.raises(ValueError, match=said):
        load(small_run, make_config(lora_rank=1, lora_alpha=4.0))


def test_a_run_of_another_fusion_is_refused(small_run):
    config = make_config(lora_rank=2, fusion="cross")
    with pytest.raises(
        ValueError, match=r"cross is none there and CrossConfig in this model; use the model config"
    ):
        load(small_run, config)


def test_what_a_run_may_change(small_run):
    """How it is computed, how long a context is promised, and adapters beside those that there
    are."""
    config = make_config(
        lora_rank=2, lora_targets=("q", "v", "up"), dtype="bfloat16", remat="full", extra_tokens=3
    )
    config = dataclasses.replace(
        config, decoder=dataclasses.replace(config.decoder, max_positions=64)
    )
    found = load(small_run, config)
    assert not any("/up/lora_" in path for path in found) and any(
        "/q/lora_a" in path for path in found
    )
