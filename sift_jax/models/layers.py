"""Linear with LoRA, norms, rotary positions, attention: the parts that every network here is made
of.

Params are plain nested dicts: {"kernel": (in, out), "bias": (out,), "lora_a": (in, r), "lora_b":
(r, out)}. A kernel may be in int8, see quantization.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from sift_jax.models.quantization import SCALE, VALUES, dequantize
from sift_jax.parallel.mesh import BATCH_AXES, count_batch_shards

Array = jax.Array
# lanes of a TPU: its kernels want whole ones
LANES = 128
# the name under which what an attention kernel leaves for its backward pass may be kept
ATTENTION_RESULT = "attention"
# one number or many of them: what comes out is what went in
Counts = TypeVar("Counts", int, np.ndarray, jax.Array)
# Whisper and BERT use the exact form; jax.nn.gelu alone is the tanh form
exact_gelu = partial(jax.nn.gelu, approximate=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters: y += (x·A·B) · alpha / rank, on the projections named in `targets`; rank 0
    is none."""

    rank: int
    alpha: float
    targets: tuple[str, ...]

    def rank_of(self, name: str) -> int:
        return self.rank if name in self.targets else 0


NO_LORA = LoraConfig(rank=0, alpha=1.0, targets=())


def draw_lora_a(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """Uniform within 1/√(inputs), as PEFT draws it (torch's kaiming_uniform_ with a = √5), so that
    a learning rate that was found with PEFT moves an adapter as fast here."""
    bound = shape[-2] ** -0.5
    return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)


def apply_module(
    module: nn.Module, params: Mapping[str, Any], *inputs: Any, dropout_key: Array | None = None
) -> Array:
    """What a module that returns one array makes of its inputs; it drops nothing without a key."""
    rngs = {} if dropout_key is None else {"dropout": dropout_key}
    found = module.apply({"params": params}, *inputs, rngs=rngs)
    if isinstance(found, tuple):
        raise TypeError(f"{type(module).__name__} returns {len(found)} things, not one array")
    return found


class Linear(nn.Module):
    """A dense layer over the last axis, with a LoRA branch that is silent at the start (B is
    zero)."""

    features: int
    use_bias: bool
    dtype: jnp.dtype
    lora_rank: int = 0
    lora_alpha: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        stored: Array | None = self.get_variable("params", VALUES)
        if stored is None:
            shape = (x.shape[-1], self.features)
            kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        else:
            # next to its product, where XLA makes no more of it than the product reads
            scale: Array = self.get_variable("params", SCALE)
            kernel = dequantize({VALUES: stored, SCALE: scale}, self.dtype)
        y = x.astype(self.dtype) @ kernel.astype(self.dtype)
        if self.lora_rank:
            lora_a = self.param("lora_a", draw_lora_a, (x.shape[-1], self.lora_rank))
            lora_b = self.param("lora_b", nn.initializers.zeros, (self.lora_rank, self.features))
            low = (x.astype(self.dtype) @ lora_a.astype(self.dtype)) @ lora_b.astype(self.dtype)
            # x·A·B: two thin products, never the full A·B matrix.
            y += low * (self.lora_alpha / self.lora_rank)
        if self.use_bias:
            y += self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y


class RMSNorm(nn.Module):
    """x / rms(x) · (offset + scale), in float32 whatever the dtype around it: it begins at one."""

    eps: float
    # Gemma's scales are counted from one, which bfloat16 keeps finer
    offset: float = 0.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        start = nn.initializers.constant(1.0 - self.offset)
        scale = self.param("scale", start, (x.shape[-1],))
        if self.offset:
            scale = scale.astype(jnp.float32) + self.offset
        # bfloat16 has 8 bits of mantissa: a mean of squares over thousands of features needs more.
        x32 = x.astype(jnp.float32)
        normed = x32 * jax.lax.rsqrt(jnp.mean(jnp.square(x32), axis=-1, keepdims=True) + self.eps)
        return (normed * scale).astype(x.dtype)


class LayerNorm(nn.Module):
    """The usual layer norm, in float32 whatever the dtype around it; from 0 on it starts silent."""

    eps: float
    first_scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.constant(self.first_scale), (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        x32 = x.astype(jnp.float32)
        centred = x32 - jnp.mean(x32, axis=-1, keepdims=True)
        normed = centred * jax.lax.rsqrt(
            jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + self.eps
        )
        return (normed * scale + bias).astype(x.dtype)


def average_groups(x_bsd: Array, size: int) -> Array:
    """The mean of every `size` frames; an incomplete group is left out, unless it is all there
    is."""
    b, s, d = x_bsd.shape
    if s < size:
        return jnp.mean(x_bsd, axis=1, keepdims=True)
    return jnp.mean(x_bsd[:, : s - s % size].reshape(b, -1, size, d), axis=2)


def make_sinusoids(length: int, features: int) -> Array:
    """Whisper's fixed positions: sines in the first half of the features, cosines in the second."""
    half = features // 2
    rate = jnp.exp(-jnp.log(10000.0) / (half - 1) * jnp.arange(half))
    angle = jnp.arange(length)[:, None] * rate[None, :]
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearScaling:
    """Gemma 3's stretch to longer contexts: every pair turns `factor` times slower."""

    factor: float

    def stretch(self, inverse_k: Array) -> Array:
        return inverse_k / self.factor


@dataclasses.dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Llama 3.1's stretch to longer contexts. Per turn of a rotary pair: slow ones are slowed
    further by `factor`, fast ones are kept; the two bounds are turns within the `positions` of the
    original training."""

    factor: float
    low_frequency: float
    high_frequency: float
    positions: int

    def stretch(self, inverse_k: Array) -> Array:
        turns_k = inverse_k * (self.positions / (2 * jnp.pi))
        kept_k = jnp.clip(
            (turns_k - self.low_frequency) / (self.high_frequency - self.low_frequency), 0.0, 1.0
        )
        return inverse_k * (kept_k + (1.0 - kept_k) / self.factor)


def make_rotation(
    position_bt: Array,
    head_size: int,
    theta: float,
    scaling: RopeScaling | LinearScaling | None = None,
) -> tuple[Array, Array]:
    """Cosines and sines of rotary positions, (b, t, 1, head_size / 2): made once, read by every
    layer."""
    half = head_size // 2
    inverse = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    if scaling is not None:
        inverse = scaling.stretch(inverse)
    angle = position_bt[:, :, None, None].astype(jnp.float32) * inverse
    return jnp.cos(angle), jnp.sin(angle)


def rotate(x_btnk: Array, rotation: tuple[Array, Array]) -> Array:
    """Applies rotary positions in the two-halves layout of Llama and Qwen."""
    cos, sin = rotation
    first, second = jnp.split(x_btnk.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate(
        [first * cos - second * sin, second * cos + first * sin], axis=-1
    ).astype(x_btnk.dtype)


def attend(q_btnk: Array, k_bsnk: Array, v_bsnk: Array, mask_bts: Array | None) -> Array:
    """Softmax attention in float32; grouped queries share the keys of their group. mask: True where
    t may see s."""
    b, t, n, k = q_btnk.shape
    groups = k_bsnk.shape[2]
    q = q_btnk.reshape(b, t, groups, n // groups, k) * (k**-0.5)
    scores = jnp.einsum("btgnk,bsgk->bgnts", q, k_bsnk, preferred_element_type=jnp.float32)
    if mask_bts is not None:
        scores = jnp.where(mask_bts[:, None, None], scores, -1e30)
    weights = jax.nn.softmax(scores, axis=-1).astype(v_bsnk.dtype)
    return jnp.einsum("bgnts,bsgk->btgnk", weights, v_bsnk).reshape(b, t, n * k)


def spread(x: jax.Array, last: str | None = None) -> jax.Array:
    """Activations (rows, …, features) as they should lie on the mesh of the step: rows spread,
    features over `last`.

    Without it XLA may leave a parameter where it lies, and give every device all rows of the batch
    instead.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or x.shape[0] % count_batch_shards(mesh):
        return x
    last = last if last and x.shape[-1] % mesh.shape[last] == 0 else None
    return jax.lax.with_sharding_constraint(
        x, PartitionSpec(BATCH_AXES, *(None,) * (x.ndim - 2), last)
    )


def gather(x: jax.Array, *axes: str | None) -> jax.Array:
    """A parameter spread over these axes alone: fetched once, before a loop that reads it again and
    again."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or any(
        axis and n % mesh.shape[axis] for axis, n in zip(axes, x.shape, strict=True)
    ):
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*axes))
