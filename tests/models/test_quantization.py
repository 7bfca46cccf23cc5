"""A decoder in int8 beside the same one in float32: products, logits, tokens, the gradient of
adapters."""

import dataclasses

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_examples import make_mixed_batch
from tiny_model import make_config, make_gradient, make_params, measure_logits

from sift_jax.checkpoints.train_state import cast_params, join_params, split_params
from sift_jax.decoding.cached_decoder import prepare_decoder
from sift_jax.models.layers import Linear, LoraConfig
from sift_jax.models.quantization import (
    SCALE,
    VALUES,
    dequantize,
    quantize_decoder,
    quantize_kernel,
)
from sift_jax.models.speech_lm import describe_params
from sift_jax.training.losses import sum_loss

TARGETS = ("q", "k", "v", "o", "gate", "up", "down")
WIDE = make_config(lora_rank=2, lora_targets=TARGETS)
NARROW = dataclasses.replace(WIDE, quantized="int8")


@pytest.fixture(scope="module")
def pair():
    """Parameters as they are, and with the decoder's projections in int8."""
    wide = make_params(WIDE)
    narrow = {**wide, "decoder": quantize_decoder(wide["decoder"])}
    assert jax.tree.map(lambda x: (x.shape, x.dtype), narrow) == jax.tree.map(
        lambda x: (x.shape, x.dtype), describe_params(NARROW)
    )
    return wide, narrow


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_a_weight_is_off_by_half_a_step_at_most(dtype):
    rng = np.random.default_rng(0)
    kernel = (rng.normal(size=(300, 40)) * rng.lognormal(size=40)).astype(dtype)
    # a column without anything in it
    kernel[:, 7] = 0
    part = quantize_kernel(jnp.asarray(kernel))
    assert part[VALUES].dtype == jnp.int8 and part[SCALE].dtype == jnp.float32
    found = np.asarray(dequantize(part, jnp.float32))
    wide = kernel.astype(np.float32)
    step = np.abs(wide).max(axis=0) / 127
    # what the rounding of a scale to 16 bits may add
    assert (np.abs(found - wide) <= 0.51 * step * (1 + 2**-8)).all()
    assert not found[:, 7].any()


def test_a_kernel_that_went_through_a_file_of_16_bits_is_quantised_to_the_same():
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(64, 48)), jnp.float32)
    part = quantize_kernel(kernel)
    again = quantize_kernel(dequantize(part, jnp.bfloat16))
    np.testing.assert_array_equal(part[VALUES], again[VALUES])
    np.testing.assert_array_equal(part[SCALE], again[SCALE])


def test_a_product_is_off_by_what_its_weights_are():
    """Errors of n weights, each within half a step, add up as the root of n."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50, 1024)).astype(np.float32)
    kernel = rng.normal(size=(1024, 64)).astype(np.float32)
    linear = Linear(features=64, use_bias=False, dtype=jnp.float32)
    exact = np.asarray(linear.apply({"params": {"kernel": kernel}}, x))
    found = np.asarray(linear.apply({"params": quantize_kernel(jnp.asarray(kernel))}, x))
    # uniform within a step of max / 127, over products whose variance is one a weight
    expected = np.abs(kernel).max(axis=0).mean() / 127 / np.sqrt(12)
    relative = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert relative == pytest.approx(expected, rel=0.1) and relative < 0.01


def test_logits_and_gradients_are_close(pair):
    wide, narrow = pair
    batch = make_mixed_batch(WIDE, seed=0, rows=2)
    exact, found = measure_logits(WIDE, wide, batch), measure_logits(NARROW, narrow, batch)
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert 0 < error < 0.02
    is_target = np.asarray(batch["weight_bm"]) > 0
    same = (found.argmax(-1) == exact.argmax(-1))[is_target]
    assert same.mean() > 0.9

    _, slopes = make_gradient(WIDE)(wide, batch)
    adapters, rest = split_params(narrow, (".*/lora_.*",))

    @jax.jit
    def differentiate(adapters):
        def measure(adapters):
            return sum_loss(NARROW, join_params(adapters, rest), batch)[0]

        return jax.grad(measure)(adapters)

    found_slopes = flatten_dict(differentiate(adapters), sep="/")
    exact_slopes = flatten_dict(slopes, sep="/")
    assert len(found_slopes) == 2 * len(TARGETS)
    for path, slope in found_slopes.items():
        error = np.linalg.norm(slope - exact_slopes[path]) / np.linalg.norm(exact_slopes[path])
        assert error < 0.05, path


def test_generation_reads_the_same_numbers(pair):
    """With the adapter added, a kernel of generation is what training multiplies by."""
    wide, narrow = pair
    lora = LoraConfig(rank=2, alpha=WIDE.lora.alpha, targets=TARGETS)
    prepared = prepare_decoder(
        NARROW.decoder, lora, jnp.dtype("float32"), narrow["decoder"], rows=2
    )
    part = narrow["decoder"]["blocks"]["down"]
    low = part["lora_a"] @ part["lora_b"] * (lora.alpha / lora.rank)
    wanted = np.asarray(dequantize(part, jnp.float32)) + low
    for layer, block in enumerate(prepared["blocks"]):
        np.testing.assert_allclose(block["down"]["kernel"], wanted[layer], atol=1e-6)


def test_what_is_in_int8_neither_trains_nor_is_cast(pair):
    _, narrow = pair
    with pytest.raises(
        ValueError,
        match=r"decoder/blocks/\w+/kernel_int8 is in int8, which cannot train; leave it out of "
        "RunConfig.trainable, or set ModelConfig.quantized = None",
    ):
        split_params(narrow, ("decoder/.*",))
    cast = flatten_dict(cast_params(narrow, "bfloat16"), sep="/")
    assert cast["decoder/blocks/q/kernel_int8"].dtype == jnp.int8
    assert cast["decoder/blocks/q/kernel_scale"].dtype == jnp.float32
    assert cast["decoder/blocks/q/lora_a"].dtype == jnp.bfloat16
