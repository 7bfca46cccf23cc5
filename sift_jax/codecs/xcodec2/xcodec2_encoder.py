"""X-codec2's way there: samples to codes, forward only; the way back is xcodec2_decoder.py.

    waves [b, n] ─┬─► Kaldi's log-mel ─► w2v-BERT ─► 4 convolutions ─► [b, t, d] ─┬─► linear ─► finite scalars ─► ids
                  └─► convolutions with smooth snakes, ÷ 320 ───────► [b, t, e] ──┘

A wave may stand in a longer row: what lies behind its length changes nothing.

Dims: b rows, n samples, t codes, d and e widths, h heads, k head size, p places.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.codecs.vocoder.snake import snake_smoothly
from sift_jax.codecs.xcodec2.kaldi_mel import measure_kaldi_mel

Params = Mapping[str, Any]
# dilations of the three residual units of each level
DILATIONS = (1, 3, 9)
# a little more than the outermost levels, so that tanh can reach them
_MARGIN = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Xcodec2EncoderConfig:
    """The fields of config.json that decide the way there; the first five are the semantic
    encoder's."""

    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float
    left_max_position_embeddings: int
    right_max_position_embeddings: int
    downsampling_ratios: tuple[int, ...]
    quantization_levels: tuple[int, ...]

    @property
    def hop(self) -> int:
        """Samples a code."""
        return math.prod(self.downsampling_ratios)


@functools.partial(jax.jit, static_argnums=0)
def encode_waves(
    config: Xcodec2EncoderConfig, params: Params, wave_bn: jax.Array, length_b: jax.Array
) -> jax.Array:
    """Codes [b, n / hop] of waves of which the first `length_b` samples are real, both in whole
    codes."""
    # The digits of a number of mixed base, as xcodec2_decoder.py takes them apart. Bounded twice, as
    # the published network does: once before its quantizer, and once in it.
    places = np.cumprod(np.append(1, config.quantization_levels[:-1])).astype(np.int32)
    levels = jnp.round(
        bound(config, bound(config, describe_waves(config, params, wave_bn, length_b)))
    )
    return ((levels + np.array(config.quantization_levels) // 2).astype(jnp.int32) * places).sum(-1)


def describe_waves(
    config: Xcodec2EncoderConfig, params: Params, wave_bn: jax.Array, length_b: jax.Array
) -> jax.Array:
    """What is quantized [b, t, scalars]."""
    codes_b = length_b // config.hop
    is_real = (jnp.arange(wave_bn.shape[1] // config.hop) < codes_b[:, None])[..., None]
    heard = _hear_words(config, params["semantic"], measure_kaldi_mel(wave_bn, length_b), is_real)
    heard = _adapt(params["adapter"], heard, is_real)
    sound = _hear_sound(config, params["acoustic"], wave_bn, length_b)
    joined = jnp.concatenate([heard, sound], axis=-1)
    return _linear(_linear(joined, params["fc"]), params["project_in"])


def bound(config: Xcodec2EncoderConfig, x: jax.Array) -> jax.Array:
    """Any number into the reach of its levels, which are whole numbers; an even count has one more
    below 0."""
    # Four levels are −2, −1, 0, 1: tanh · 1.5 reaches −1.5 … 1.5, and half a level less is −2 … 1.
    # The shift inside tanh keeps 0 where it was.
    levels = np.array(config.quantization_levels)
    half = (levels - 1) * (1 + _MARGIN) / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    return (jnp.tanh(x + np.arctanh(offset / half).astype(np.float32)) * half - offset).astype(
        jnp.float32
    )


def _hear_words(
    config: Xcodec2EncoderConfig, params: Params, mel: jax.Array, is_real: jax.Array
) -> jax.Array:
    norm = functools.partial(_layer_norm, epsilon=config.layer_norm_eps)
    x = _linear(norm(mel, params["projection_norm"]), params["projection"])
    x = jnp.where(is_real, x, 0.0)

    def run_layer(x: jax.Array, layer: Params) -> tuple[jax.Array, None]:
        x = x + 0.5 * _feed(norm(x, layer["ffn1_norm"]), layer["ffn1"])
        x = x + _attend(config, layer["attention"], norm(x, layer["attention_norm"]), is_real)
        x = x + _convolve_back(layer, norm(x, layer["conv_norm"]), norm, is_real)
        x = x + 0.5 * _feed(norm(x, layer["ffn2_norm"]), layer["ffn2"])
        return norm(x, layer["final_norm"]), None

    return jax.lax.scan(run_layer, x, params["layers"])[0]


def _feed(x: jax.Array, feed: Params) -> jax.Array:
    return _linear(jax.nn.silu(_linear(x, feed["inner"])), feed["outer"])


def _attend(
    config: Xcodec2EncoderConfig, attention: Params, x: jax.Array, is_real: jax.Array
) -> jax.Array:
    """Each key has a bias by how far it is from the query, up to a few places to either side."""
    heads, times = config.num_attention_heads, x.shape[1]
    query, key, value = (
        _linear(x, attention[name]).reshape(*x.shape[:2], heads, -1)
        for name in ("linear_q", "linear_k", "linear_v")
    )
    scale = query.shape[-1] ** -0.5
    # Rows of the table are distances −left … right, and what is further away has the outermost.
    left, right = config.left_max_position_embeddings, config.right_max_position_embeddings
    distance = np.clip(np.arange(times)[None] - np.arange(times)[:, None], -left, right) + left
    by_place = jnp.einsum("bthk,pk->bhtp", query, attention["distance"]["weight"])
    bias = jnp.take_along_axis(by_place, jnp.asarray(distance)[None, None], axis=-1)
    scores = (jnp.einsum("bthk,bshk->bhts", query, key) + bias) * scale
    weights = jax.nn.softmax(jnp.where(is_real[:, None, None, :, 0], scores, -1e30), axis=-1)
    mixed = jnp.einsum("bhts,bshk->bthk", weights, value)
    return _linear(mixed.reshape(x.shape), attention["linear_out"])


def _convolve_back(layer: Params, x: jax.Array, norm: Any, is_real: jax.Array) -> jax.Array:
    """The conformer's convolution, which looks back alone."""
    x = jnp.where(is_real, x, 0.0) @ layer["pointwise1"]["weight"][:, :, 0].T
    first, gate = jnp.split(x, 2, axis=-1)
    x, kernel = first * jax.nn.sigmoid(gate), layer["depthwise"]["weight"]
    x = jax.lax.conv_general_dilated(
        x,
        kernel,
        (1,),
        [(kernel.shape[-1] - 1, 0)],
        feature_group_count=x.shape[-1],
        dimension_numbers=("NWC", "OIW", "NWC"),
    )
    return jax.nn.silu(norm(x, layer["depthwise_norm"])) @ layer["pointwise2"]["weight"][:, :, 0].T


def _adapt(params: Params, x: jax.Array, is_real: jax.Array) -> jax.Array:
    def convolve(x: jax.Array, name: str) -> jax.Array:
        return _convolve(jnp.where(is_real, x, 0.0), params[name])

    x = jax.nn.relu(convolve(x, "conv1"))
    y = convolve(jax.nn.relu(convolve(x, "conv2")), "conv3")
    return convolve(x + y, "conv4")


def _hear_sound(
    config: Xcodec2EncoderConfig, params: Params, wave_bn: jax.Array, length_b: jax.Array
) -> jax.Array:
    wave_bn = jnp.where(jnp.arange(wave_bn.shape[1]) < length_b[:, None], wave_bn, 0.0)
    x = _convolve(wave_bn[..., None], params["first"])
    for level, stride in enumerate(config.downsampling_ratios):
        block = params[f"block_{level}"]
        for i, dilation in enumerate(DILATIONS):
            unit = block[f"unit_{i}"]
            y = _convolve(_snake(x, unit["snake1"], length_b), unit["conv1"], dilation)
            x = x + _convolve(_snake(y, unit["snake2"], length_b), unit["conv2"])
        pad = math.ceil(stride / 2)
        x = (
            jax.lax.conv_general_dilated(
                _snake(x, block["snake"], length_b),
                block["conv"]["weight"],
                (stride,),
                [(pad, pad)],
                dimension_numbers=("NWC", "OIW", "NWC"),
            )
            + block["conv"]["bias"]
        )
        length_b = length_b // stride
    return _convolve(_snake(x, params["snake"], length_b), params["last"])


def _snake(x: jax.Array, snake: Params, length_b: jax.Array) -> jax.Array:
    return snake_smoothly(x, snake["alpha"], snake["beta"], length_b, holds_ends=True)


def _convolve(x: jax.Array, conv: Params, dilation: int = 1) -> jax.Array:
    half = (conv["weight"].shape[-1] - 1) * dilation // 2
    y = jax.lax.conv_general_dilated(
        x,
        conv["weight"],
        (1,),
        [(half, half)],
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "OIW", "NWC"),
    )
    return y + conv["bias"] if "bias" in conv else y


def _linear(x: jax.Array, linear: Params) -> jax.Array:
    return x @ linear["weight"].T + linear["bias"]


def _layer_norm(x: jax.Array, norm: Params, *, epsilon: float) -> jax.Array:
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + epsilon) * norm["weight"] + norm["bias"]
