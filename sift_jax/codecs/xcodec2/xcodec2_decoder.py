"""X-codec2's way back: codes of one finite scalar quantizer to samples, forward only.

    ids [b, t] ─► digits in −1 … 1 ─► projections ─► convolution 7 ─► 2 residual blocks ─► transformer
        ─► 2 residual blocks ─► norm ─► log magnitude and phase [b, t, n_fft + 2] ─► overlapping windows ─► [b, t · hop]

The published network turns its queries and keys by the number of the head, not by the place in
time: what it was trained with is kept. A row may stand in a longer one: what lies behind its length
changes nothing.
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

from sift_jax.models.layers import rotate

Params = Mapping[str, Any]
_GROUPS = 32
_NORM_EPSILON = 1e-6
_LOUDEST = 1e2
_QUIETEST_WINDOW = 1e-11


@dataclasses.dataclass(frozen=True, kw_only=True)
class Xcodec2Config:
    """The fields of config.json that decide the way back, by their names there."""

    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    quantization_levels: tuple[int, ...]
    downsampling_ratios: tuple[int, ...]
    sampling_rate: int

    @property
    def hop(self) -> int:
        """Samples a code."""
        return math.prod(self.downsampling_ratios)

    @property
    def codes(self) -> int:
        return math.prod(self.quantization_levels)


@functools.partial(jax.jit, static_argnums=0)
def decode_codes(
    config: Xcodec2Config, params: Params, ids: jax.Array, lengths: jax.Array
) -> jax.Array:
    """Samples [b, t · hop] of ids [b, t] of which the first `lengths` [b] are real."""
    is_real = (jnp.arange(ids.shape[1]) < lengths[:, None])[..., None]
    # A code is a number of mixed base: with levels (4, 4, 4) the places are 1, 4, 16, and code 27 =
    # 3 + 2 · 4 + 1 · 16 has the digits 3, 2, 1. Less half of the levels, over half: .5, 0, −.5.
    levels = np.array(config.quantization_levels)
    places = np.cumprod(np.append(1, levels[:-1]))
    x = (ids[..., None] // places % levels - levels // 2) / (levels // 2)
    x = _linear(_linear(x.astype(jnp.float32), params["project_out"]), params["fc"])
    x = _convolve(jnp.where(is_real, x, 0.0), params["embed"])
    for name in ("prior_0", "prior_1"):
        x = _run_residual(x, params[name], is_real)
    rotation = _make_rotation(config)

    def run_layer(x: jax.Array, layer: Params) -> tuple[jax.Array, None]:
        x = x + _attend(
            config,
            layer,
            _rms_norm(x, layer["attention_norm"], config.rms_norm_eps),
            rotation,
            is_real,
        )
        y = _linear(_rms_norm(x, layer["mlp_norm"], config.rms_norm_eps), layer["fc1"])
        return x + _linear(jax.nn.silu(y), layer["fc2"]), None

    x, _ = jax.lax.scan(run_layer, x, params["layers"])
    for name in ("post_0", "post_1"):
        x = _run_residual(x, params[name], is_real)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    x = (x - mean) * jax.lax.rsqrt(variance + _NORM_EPSILON) * params["norm"]["weight"] + params[
        "norm"
    ]["bias"]
    return _synthesise(_linear(x, params["head"]), is_real, config.hop)


def _make_rotation(config: Xcodec2Config) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines [1, 1, heads, head_dim / 2]: each head has one angle for all times."""
    half = config.head_dim // 2
    inverse = config.rope_theta ** (-np.arange(half, dtype=np.float32) / half)
    angle = (np.arange(config.num_attention_heads)[:, None] * inverse).astype(np.float32)[
        None, None
    ]
    return jnp.cos(angle), jnp.sin(angle)


def _attend(
    config: Xcodec2Config,
    layer: Params,
    x: jax.Array,
    rotation: tuple[jax.Array, jax.Array],
    is_real: jax.Array,
) -> jax.Array:
    def split(name: str, heads: int) -> jax.Array:
        return _linear(x, layer[name]).reshape(*x.shape[:2], heads, config.head_dim)

    # as many keys as queries: the angle is the head's own
    heads = config.num_attention_heads
    query, key, value = (split(name, heads) for name in ("q_proj", "k_proj", "v_proj"))
    mixed = jax.nn.dot_product_attention(
        rotate(query, rotation), rotate(key, rotation), value, mask=is_real[:, None, None, :, 0]
    )
    return _linear(mixed.reshape(*x.shape[:2], -1), layer["o_proj"])


def _run_residual(x: jax.Array, block: Params, is_real: jax.Array) -> jax.Array:
    y = x
    for norm, conv in (("norm1", "conv1"), ("norm2", "conv2")):
        y = _convolve(
            jnp.where(is_real, jax.nn.silu(_group_norm(y, block[norm], is_real)), 0.0), block[conv]
        )
    return x + y


def _group_norm(x: jax.Array, norm: Params, is_real: jax.Array) -> jax.Array:
    """Groups of channels to mean 0 and variance 1 over all times that are real."""
    grouped = x.reshape(*x.shape[:2], _GROUPS, -1)
    count = is_real.sum((1, 2))[:, None, None, None] * grouped.shape[-1]
    mean = jnp.sum(grouped * is_real[..., None], (1, 3), keepdims=True) / count
    variance = jnp.sum((grouped - mean) ** 2 * is_real[..., None], (1, 3), keepdims=True) / count
    normed = (grouped - mean) * jax.lax.rsqrt(variance + _NORM_EPSILON)
    return normed.reshape(x.shape) * norm["weight"] + norm["bias"]


def _convolve(x: jax.Array, conv: Params) -> jax.Array:
    return (
        jax.lax.conv_general_dilated(
            x, conv["weight"], (1,), "SAME", dimension_numbers=("NWC", "OIW", "NWC")
        )
        + conv["bias"]
    )


def _rms_norm(x: jax.Array, norm: Params, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + epsilon) * norm["weight"]


def _linear(x: jax.Array, linear: Params) -> jax.Array:
    y = x @ linear["weight"].T
    return y + linear["bias"] if "bias" in linear else y


def _synthesise(x: jax.Array, is_real: jax.Array, hop: int) -> jax.Array:
    """Samples of windows of four hops whose spectra lie in x [b, t, n_fft + 2], each centred on its
    hop."""
    # Window t covers hops t … t + 3. Its four quarters are laid over rows 0 … t + 3 of hops, so that
    # overlapping is four additions of shifted arrays; the window's squares, overlapped in the same
    # way, are what every sample was multiplied with in sum.
    log_magnitude, phase = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    magnitude = jnp.minimum(jnp.exp(log_magnitude), _LOUDEST)
    size, frames = 4 * hop, x.shape[1]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    pieces = jnp.fft.irfft(magnitude * jnp.exp(1j * phase), size) * window * is_real

    def overlap(pieces: jax.Array) -> jax.Array:
        """Sums [b, (t + 3) · hop] of pieces [b, t, n_fft], each a hop behind the other."""
        quarters = pieces.reshape(*pieces.shape[:2], 4, hop)
        late = (jnp.pad(quarters[:, :, i], ((0, 0), (i, 3 - i), (0, 0))) for i in range(4))
        rows = functools.reduce(jnp.add, late)
        return rows.reshape(len(pieces), -1)

    weight = overlap(jnp.asarray(window**2) * is_real)
    inner = slice((size - hop) // 2, (size - hop) // 2 + frames * hop)
    return overlap(pieces)[:, inner] / jnp.maximum(weight[:, inner], _QUIETEST_WINDOW)
