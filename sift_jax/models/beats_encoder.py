"""BEATs: patches of a log-mel picture through post-norm blocks whose attention knows distances.

mel (clips, frames, 128) ─► patches of 16 × 16 ─► Linear ─► norm ─► Linear ─► + grouped convolution ─► norm ─► blocks
    ─► (clips, frames / 16 · 8, d)

a picture of 160 ms is eight tokens, low bins first: 50 a second, each of its own eighth of the bins
a block     x ─► norm(α x + attention) ─► norm(α x + MLP)                      α = (2 · layers)^¼: DeepNorm
attention   softmax(q·k / √d + gate(q) · bias[bucket of the distance])         one table of biases for all blocks

Near distances have a bucket each, far ones share one, up to `max_distance`; keys before and behind
have their own. What is behind a clip's end is nothing to a token, and comes out as zeros, so that a
clip gives the same tokens in a window of any length.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.models.layers import Array, Counts, LayerNorm, Linear, exact_gelu, spread
from sift_jax.models.scanned_stack import run_stack

NORM_EPS = 1e-5
# features of the gate, summed by fours into its two parts
GATE_FEATURES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatsConfig:
    """The geometry of a BEATs with DeepNorm and gated relative positions, as it is published."""

    mel_bins: int
    # frames and bins of a patch
    patch: int
    # of a patch's embedding
    embedding: int
    width: int
    layers: int
    heads: int
    # of the MLPs
    hidden: int
    # of the convolution over tokens that tells where they are
    position_kernel: int
    position_groups: int
    buckets: int
    max_distance: int

    def __post_init__(self) -> None:
        parts = (
            self.mel_bins % self.patch,
            self.width % self.heads,
            self.width % self.position_groups,
            self.position_kernel % 2,
            self.buckets % 4,
        )
        if any(parts):
            raise ValueError(
                f"a BEATs of {self.mel_bins} mel bins in patches of {self.patch}, width "
                f"{self.width} over {self.heads} heads and {self.position_groups} groups, a "
                f"convolution of {self.position_kernel} and {self.buckets} buckets does not "
                "divide; change the preset"
            )

    def count_tokens(self, mel_frames: Counts) -> Counts:
        """Tokens of so many mel frames: of whole patches alone; the same for ints and arrays."""
        return mel_frames // self.patch * (self.mel_bins // self.patch)


def find_buckets(config: BeatsConfig, tokens: int) -> np.ndarray:
    """The row of the biases' table for each pair (query, key): 320 buckets are 160 for keys up to
    the query and 160 for those behind it, of which 80 are distances 0 to 79 and 80 ever longer
    ones."""
    distance = np.arange(tokens)[None] - np.arange(tokens)[:, None]
    half = config.buckets // 2
    exact = half // 2
    far = np.abs(distance)
    # in float32, as published: a distance on the border of two buckets must not change sides
    growth = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact)) / np.float32(
        math.log(config.max_distance / exact)
    )
    long = np.minimum(exact + (growth * np.float32(half - exact)).astype(np.int32), half - 1)
    return np.where(far < exact, far, long) + half * (distance > 0)


class BeatsBlock(nn.Module):
    """Attention and an MLP, each normed after adding."""

    config: BeatsConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array, heard_bs: Array, bias_nts: Array) -> tuple[Array, None]:
        c = self.config
        alpha = (2 * c.layers) ** 0.25
        linear = partial(Linear, use_bias=True, dtype=self.dtype)
        norm = partial(LayerNorm, eps=NORM_EPS)
        x = spread(x)
        x = norm(name="attention_norm")(alpha * x + self._attend(x, heard_bs, bias_nts))
        y = exact_gelu(linear(features=c.hidden, name="up")(x))
        y = linear(features=c.width, name="down")(spread(y, "tensor"))
        return spread(norm(name="mlp_norm")(alpha * x + y)), None

    def _attend(self, x: Array, heard_bs: Array, bias_nts: Array) -> Array:
        c = self.config
        b, t, d = x.shape
        linear = partial(Linear, use_bias=True, dtype=self.dtype)
        q, k, v = (
            linear(features=d, name=name)(x).reshape(b, t, c.heads, d // c.heads) for name in "qkv"
        )
        gate_bnt = self._gate(q)
        scores = jnp.einsum("btnk,bsnk->bnts", q, k, preferred_element_type=jnp.float32)
        scores = scores * (d // c.heads) ** -0.5 + gate_bnt[..., None] * bias_nts
        weights = jax.nn.softmax(jnp.where(heard_bs[:, None, None], scores, -1e30), axis=-1)
        mixed = jnp.einsum("bnts,bsnk->btnk", weights.astype(self.dtype), v)
        return linear(features=d, name="o")(mixed.reshape(b, t, d))

    def _gate(self, q_btnk: Array) -> Array:
        """How much of the bias a query takes, between 1 and 2 where the scale is 1: (b, n, t)."""
        b, t, n, _ = q_btnk.shape
        scale_n = self.param("gate_scale", nn.initializers.ones, (n,)).astype(jnp.float32)
        parts = Linear(features=GATE_FEATURES, use_bias=True, dtype=self.dtype, name="gate")(q_btnk)
        parts = parts.astype(jnp.float32).reshape(b, t, n, 2, GATE_FEATURES // 2).sum(-1)
        first, second = jnp.moveaxis(jax.nn.sigmoid(parts), -1, 0)
        return jnp.swapaxes(first * (second * scale_n - 1.0) + 2.0, 1, 2)


class TokenPlaces(nn.Module):
    """A grouped convolution over tokens; an even kernel reaches one token further back than
    forth."""

    config: BeatsConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        c = self.config
        shape = (c.position_kernel, c.width // c.position_groups, c.width)
        init = nn.initializers.normal(2.0 * (c.position_kernel * c.width) ** -0.5)
        kernel = self.param("kernel", init, shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (c.width,)).astype(self.dtype)
        reach = c.position_kernel // 2
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            kernel,
            window_strides=(1,),
            padding=[(reach, reach - 1)],
            dimension_numbers=("NWC", "WIO", "NWC"),
            feature_group_count=c.position_groups,
        )
        return exact_gelu(y + bias)


class BeatsEncoder(nn.Module):
    """Tokens of Kaldi's log-mel (kaldi_mel.py), those behind a clip's end as zeros."""

    config: BeatsConfig
    dtype: jnp.dtype
    remat: str

    @nn.compact
    def __call__(self, mel_bsf: Array, frames_b: Array) -> Array:
        c = self.config
        x = self._embed_patches(mel_bsf)
        heard_bs = jnp.arange(x.shape[1])[None] < c.count_tokens(frames_b)[:, None]
        x = jnp.where(heard_bs[:, :, None], x, 0)
        x = x + TokenPlaces(config=c, dtype=self.dtype, name="places")(x)
        x = LayerNorm(eps=NORM_EPS, name="norm")(x)
        table = self.param("biases", nn.initializers.normal(0.02), (c.buckets, c.heads))
        bias_nts = jnp.moveaxis(table.astype(jnp.float32)[find_buckets(c, x.shape[1])], -1, 0)
        fields = {"config": c, "dtype": self.dtype}
        x = run_stack(
            BeatsBlock, fields, x, (heard_bs, bias_nts), layers=c.layers, remat=self.remat
        )
        return jnp.where(heard_bs[:, :, None], x, 0)

    def _embed_patches(self, mel_bsf: Array) -> Array:
        """(b, tokens, width): the eight patches of 160 ms follow each other, then the next 160."""
        c = self.config
        b, s, f = mel_bsf.shape
        size, linear = c.patch, partial(Linear, dtype=self.dtype)
        picture = mel_bsf[:, : s // size * size].reshape(b, s // size, size, f // size, size)
        patches = jnp.swapaxes(picture, 2, 3).reshape(b, -1, size * size)
        x = linear(features=c.embedding, use_bias=False, name="patch")(patches)
        x = LayerNorm(eps=NORM_EPS, name="patch_norm")(x)
        return linear(features=c.width, use_bias=True, name="projection")(x)
