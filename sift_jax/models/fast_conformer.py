"""FastConformer's encoder: three strided convolutions, which make one frame of eight of mel, then
conformer blocks.

mel (clips, frames, bins) ─► conv/2 ─► 2 × (depthwise conv/2 ─► pointwise) ─► Linear ─► blocks ─► (clips, frames / 8, d)

a block      x ─► + ½ MLP ─► + attention ─► + convolution ─► + ½ MLP ─► norm           each of them behind a norm
attention    softmax((q + u)·k + (q + v)·r)      r: learnt of the sines of how far the key is from the query
convolution  pointwise ─► gate ─► depthwise, `kernel` frames wide ─► norm ─► swish ─► pointwise

What is behind a clip's end is nothing to any of them, so that a clip gives the same frames in a
window of any length. The norm inside the convolution is a batch norm in the published encoders.
Here it is what it is when they are used: its mean and variance come with the weights and stay as
they are. Blocks made again have a layer norm in its place.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial, reduce
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sift_jax.models.layers import Array, Counts, LayerNorm, Linear, average_groups, spread
from sift_jax.models.scanned_stack import run_stack
from sift_jax.models.strided_convolution import convolve_strided

NORM_EPS = 1e-5
# convolutions that halve the rate
STRIDES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastConformerConfig:
    """The geometry of a FastConformer's encoder. `window_seconds` is our choice: it takes any
    length."""

    mel_bins: int
    width: int
    layers: int
    heads: int
    # of the MLPs
    hidden: int
    # of the convolution, in frames
    kernel: int
    # of the subsampling
    channels: int
    # of attention, MLPs and the convolution alike
    has_bias: bool
    # the blocks' input is multiplied by √width
    is_scaled: bool
    window_seconds: float
    frame_mask: str

    def __post_init__(self) -> None:
        if self.frame_mask != "all":
            raise ValueError(
                f"frame_mask is {self.frame_mask!r}, and a FastConformer hears nothing behind a "
                "clip; set ModelConfig.frame_mask = None"
            )
        if self.kernel % 2 == 0 or self.width % self.heads or self.mel_bins % self.stride:
            raise ValueError(
                f"a FastConformer of width {self.width} over {self.heads} heads, kernel "
                f"{self.kernel} and {self.mel_bins} mel bins does not divide; change the preset"
            )

    @property
    def front_end(self) -> str:
        return "normalised"

    @property
    def mel_frames(self) -> int:
        return round(self.window_seconds * 100)

    @property
    def stride(self) -> int:
        """Mel frames that become one."""
        return 2**STRIDES

    def count_frames(self, mel_frames: Counts) -> Counts:
        """Encoder frames of a clip of `mel_frames`; the same for ints and arrays."""
        return -(-mel_frames // self.stride)

    @property
    def kernel_uses(self) -> dict[str, float]:
        """How often each kernel is multiplied for a frame that comes out, by pattern of its
        path."""
        bins = self.mel_bins
        return {
            "blocks/.*kernel": 1,
            "subsampling/linear/kernel": 1,
            "subsampling/conv0/kernel": 4 * bins / 2,
            "subsampling/(depth|point)1/kernel": 2 * bins / 4,
            "subsampling/(depth|point)2/kernel": bins / 8,
        }


class StridedConvolution(nn.Module):
    """3 × 3 over (frames, bins), every second of both; kernel (3 bins, 3 frames, 1, d): of one
    channel, or its own."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_bsfc: Array) -> Array:
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=(0, 1, 2))
        kernel = self.param("kernel", init, (3, 3, 1, self.features)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return convolve_strided(x_bsfc.astype(self.dtype), kernel[:, :, 0]) + bias.astype(
            self.dtype
        )


class Subsampling(nn.Module):
    """Mel to frames of an eighth of the rate; what is behind the clip is zero after every
    convolution."""

    config: FastConformerConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, mel_bsf: Array, frames_b: Array) -> Array:
        c = self.config
        strided = partial(StridedConvolution, features=c.channels, dtype=self.dtype)

        def silence(x_bsfc: Array, count_b: Array) -> Array:
            return jnp.where(is_heard(x_bsfc.shape[1], count_b)[:, :, None, None], x_bsfc, 0)

        count_b = frames_b
        x = silence(mel_bsf[..., None], count_b)
        for i in range(STRIDES):
            count_b = -(-count_b // 2)
            x = silence(strided(name=f"depth{i}" if i else "conv0")(x), count_b)
            if i:
                x = Linear(features=c.channels, use_bias=True, dtype=self.dtype, name=f"point{i}")(
                    x
                )
                x = silence(x, count_b)
            x = jax.nn.relu(x)
        # theirs has the channels outermost
        x = jnp.swapaxes(x, 2, 3).reshape(*x.shape[:2], -1)
        return Linear(features=c.width, use_bias=True, dtype=self.dtype, name="linear")(x)


def is_heard(frames: int, count_b: Array) -> Array:
    """(b, frames): which frames are of the clip. An empty one keeps its first, so that attention
    sees something."""
    return jnp.arange(frames)[None] < jnp.maximum(count_b, 1)[:, None]


def make_distances(frames: int, width: int) -> Array:
    """(2 · frames − 1, width): sine and cosine interleaved, of frames − 1 before … frames − 1
    behind."""
    rate = 10_000.0 ** (-jnp.arange(0, width, 2) / width)
    angle = jnp.arange(frames - 1, -frames, -1)[:, None] * rate
    return jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1).reshape(2 * frames - 1, width)


def shift_distances(scores_btr: Array) -> Array:
    """(…, t, 2t − 1) by distance to (…, t, t) by key: each query reads its row from one place
    further left."""
    *outer, t, r = scores_btr.shape
    if t == 1:
        return scores_btr
    # t = 3, rows of distances +2 … −2, of which query 0 wants 0 −1 −2, query 1 +1 0 −1, query 2 +2 +1 0:
    #
    #     a b c d e        in one line   a b c d e f g h i j k l m n o
    #     f g h i j        from c on         c d e f|g h i j|k l m n     in rows of four, one less
    #     k l m n o        first three       c d e   g h i   k l m
    flat = scores_btr.reshape(*outer, t * r)
    return flat[..., t - 1 : t - 1 + t * (r - 1)].reshape(*outer, t, r - 1)[..., :t]


def drop_out(module: nn.Module, rate: float, x: Array) -> Array:
    """Some of x as zeros, the rest larger by what that takes away; all of x where the module was
    given no key for it, as everywhere but in training."""
    if not rate or not module.has_rng("dropout"):
        return x
    is_kept = jax.random.bernoulli(module.make_rng("dropout"), 1 - rate, x.shape)
    return jnp.where(is_kept, x / (1 - rate), 0)


class ConformerBlock(nn.Module):
    """One block; `is_published` has the batch norm of published weights, else a layer norm is in
    its place."""

    width: int
    heads: int
    hidden: int
    kernel: int
    has_bias: bool
    is_published: bool
    dtype: jnp.dtype
    # of each branch, of what is inside the MLPs and of the attention's weights
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Array, heard_bs: Array, distance_rd: Array) -> tuple[Array, None]:
        norm = partial(LayerNorm, eps=NORM_EPS)
        x = spread(x)
        drop = partial(drop_out, self, self.dropout)
        x = spread(x + 0.5 * drop(self._mix_features(norm(name="first_norm")(x), "first")))
        x = spread(x + drop(self._attend(norm(name="attention_norm")(x), heard_bs, distance_rd)))
        x = spread(x + drop(self._convolve(norm(name="conv_norm")(x), heard_bs)))
        x = spread(x + 0.5 * drop(self._mix_features(norm(name="second_norm")(x), "second")))
        return norm(name="out_norm")(x), None

    def _linear(self, name: str, features: int, use_bias: bool | None = None) -> Linear:
        use_bias = self.has_bias if use_bias is None else use_bias
        return Linear(features=features, use_bias=use_bias, dtype=self.dtype, name=name)

    def _mix_features(self, y: Array, name: str) -> Array:
        y = spread(jax.nn.silu(self._linear(f"{name}_up", self.hidden)(y)), "tensor")
        y = drop_out(self, self.dropout, y)
        return self._linear(f"{name}_down", self.width)(y)

    def _attend(self, y: Array, heard_bs: Array, distance_rd: Array) -> Array:
        b, t, d = y.shape
        n, k = self.heads, d // self.heads
        query, key, value = (self._linear(name, d)(y).reshape(b, t, n, k) for name in "qkv")
        # the same for every clip: made once for all of them
        distance_rnk = self._linear("distance", d, use_bias=False)(distance_rd).reshape(-1, n, k)
        init = nn.initializers.normal(0.02)
        of_content, of_distance = (
            self.param(name, init, (n, k)).astype(self.dtype) for name in ("bias_u", "bias_v")
        )
        by_content = jnp.einsum(
            "btnk,bsnk->bnts", query + of_content, key, preferred_element_type=jnp.float32
        )
        by_distance = jnp.einsum(
            "btnk,rnk->bntr", query + of_distance, distance_rnk, preferred_element_type=jnp.float32
        )
        scores = (by_content + shift_distances(by_distance)) * k**-0.5
        weights = jax.nn.softmax(jnp.where(heard_bs[:, None, None], scores, -1e30), axis=-1)
        weights = drop_out(self, self.dropout, weights)
        mixed = jnp.einsum("bnts,bsnk->btnk", weights.astype(self.dtype), value).reshape(b, t, d)
        return self._linear("o", d)(mixed)

    def _convolve(self, y: Array, heard_bs: Array) -> Array:
        d = self.width
        first, gate = jnp.split(self._linear("gate", 2 * d)(y), 2, axis=-1)
        y = jnp.where(heard_bs[:, :, None], first * jax.nn.sigmoid(gate), 0)
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=(0, 1))
        kernel = self.param("depth_kernel", init, (self.kernel, 1, d)).astype(self.dtype)
        reach = self.kernel // 2
        padded = jnp.pad(y, ((0, 0), (reach, reach), (0, 0)))
        taps = (padded[:, i : i + y.shape[1]] * kernel[i, 0] for i in range(self.kernel))
        y = reduce(jnp.add, taps)
        if self.has_bias:
            y += self.param("depth_bias", nn.initializers.zeros, (d,)).astype(self.dtype)
        make_norm = FixedBatchNorm if self.is_published else partial(LayerNorm, eps=NORM_EPS)
        return self._linear("point", d)(jax.nn.silu(make_norm(name="inner_norm")(y)))


class FixedBatchNorm(nn.Module):
    """A batch norm with the mean and variance that it came with, in float32 whatever the dtype
    around it."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        d = (x.shape[-1],)
        scale, bias = (
            self.param("scale", nn.initializers.ones, d),
            self.param("bias", nn.initializers.zeros, d),
        )
        mean, variance = (
            self.param("mean", nn.initializers.zeros, d),
            self.param("variance", nn.initializers.ones, d),
        )
        mean, variance = jax.lax.stop_gradient(mean), jax.lax.stop_gradient(variance)
        scale = scale * jax.lax.rsqrt(variance.astype(jnp.float32) + NORM_EPS)
        return ((x.astype(jnp.float32) - mean) * scale + bias).astype(x.dtype)


class FastConformerEncoder(nn.Module):
    """Frames behind a clip's end come out as zeros; `pool` frames are averaged."""

    config: FastConformerConfig
    dtype: jnp.dtype
    remat: str
    pool: int = 1

    @nn.compact
    def __call__(self, mel_bsf: Array, frames_b: Array) -> Array:
        c = self.config
        x = Subsampling(config=c, dtype=self.dtype, name="subsampling")(mel_bsf, frames_b)
        if c.is_scaled:
            x *= math.sqrt(c.width)
        heard_bs = is_heard(x.shape[1], c.count_frames(frames_b))
        x = run_conformer(
            x,
            heard_bs,
            layers=c.layers,
            remat=self.remat,
            width=c.width,
            heads=c.heads,
            hidden=c.hidden,
            kernel=c.kernel,
            has_bias=c.has_bias,
            is_published=True,
            dtype=self.dtype,
        )
        return average_groups(jnp.where(heard_bs[:, :, None], x, 0), self.pool)


def run_conformer(
    x_bsd: Array, heard_bs: Array, *, layers: int, remat: str, **fields: Any
) -> Array:
    """A stack of blocks with these fields; call it inside a compact module."""
    distance_rd = make_distances(x_bsd.shape[1], x_bsd.shape[2]).astype(x_bsd.dtype)
    return run_stack(
        ConformerBlock, fields, x_bsd, (heard_bs, distance_rd), layers=layers, remat=remat
    )
