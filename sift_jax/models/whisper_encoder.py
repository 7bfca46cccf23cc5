"""Whisper's encoder: two convolutions over log-mel frames (the second halves the rate), then
pre-norm blocks.

mel (clips, frames, bins) ─► conv ─► gelu ─► conv/2 ─► gelu ─► + sinusoids ─► blocks ─► pool ─► norm
    ─► (clips, frames / 2 / pool, d)
"""

from __future__ import annotations

import dataclasses
from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from sift_jax.models.attention import AttentionMask, attend_by, make_clip_mask
from sift_jax.models.layers import (
    Array,
    Counts,
    LayerNorm,
    Linear,
    average_groups,
    exact_gelu,
    make_sinusoids,
    spread,
)
from sift_jax.models.scanned_stack import run_stack

CONV_SCALE = 12.0
FRAME_MASKS = ("none", "attention", "all")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The geometry of a Whisper encoder. `window_seconds` is what every clip is padded to.

    `frame_mask` says what is heard of the silence behind a clip's end:
        none         all of it, as Whisper was trained: exactly 30 s, whatever the clip
        attention    the convolutions hear it, attention does not: Qwen2-Audio
        all          nothing: a clip gives the same frames in a window of any length, so that short clips cost little
    """

    mel_bins: int
    width: int
    layers: int
    heads: int
    window_seconds: float
    frame_mask: str

    @property
    def mel_frames(self) -> int:
        return round(self.window_seconds * 100)

    @property
    def front_end(self) -> str:
        return "whisper"

    @property
    def stride(self) -> int:
        """Mel frames that become one."""
        return 2

    def count_frames(self, mel_frames: Counts) -> Counts:
        """Encoder frames that hold something of `mel_frames` mel frames; the same for ints and
        arrays."""
        return -(-mel_frames // self.stride)

    @property
    def kernel_uses(self) -> dict[str, float]:
        """How often each kernel is multiplied for a frame that comes out, by pattern of its
        path."""
        return {"blocks/.*kernel": 1, "conv2/kernel": 1, "conv1/kernel": 2}


class EncoderBlock(nn.Module):
    config: EncoderConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array, mask: AttentionMask) -> tuple[Array, None]:
        b, t, d = x.shape
        n = self.config.heads
        x = spread(x)
        linear = partial(Linear, features=d, dtype=self.dtype)
        y = LayerNorm(eps=1e-5, name="attention_norm")(x)
        q = linear(use_bias=True, name="q")(y).reshape(b, t, n, d // n)
        k = linear(use_bias=False, name="k")(y).reshape(b, t, n, d // n)
        v = linear(use_bias=True, name="v")(y).reshape(b, t, n, d // n)
        x = spread(x + linear(use_bias=True, name="o")(attend_by(q, k, v, mask)))
        y = LayerNorm(eps=1e-5, name="mlp_norm")(x)
        y = exact_gelu(Linear(features=4 * d, use_bias=True, dtype=self.dtype, name="up")(y))
        return spread(x + linear(use_bias=True, name="down")(spread(y, "tensor"))), None


class Convolution(nn.Module):
    """A width-3 convolution over time, kernel (3, in, out), padded by one frame on either side."""

    features: int
    stride: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param(
            "kernel",
            nn.initializers.variance_scaling(CONV_SCALE, "fan_in", "normal", in_axis=(0, 1)),
            (3, x.shape[-1], self.features),
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        # three shifted matrix products: the same sum as a convolution, and on a CPU several times
        # faster than XLA's
        padded = jnp.pad(x.astype(self.dtype), ((0, 0), (1, 1), (0, 0)))
        stop = x.shape[1]
        y = sum(
            padded[:, i : i + stop : self.stride] @ kernel[i].astype(self.dtype) for i in range(3)
        )
        return y + bias.astype(self.dtype)


class WhisperEncoder(nn.Module):
    """`pool` frames are averaged before the last norm: the half of a pooled projector that lies in
    here."""

    config: EncoderConfig
    dtype: jnp.dtype
    remat: str
    pool: int = 1
    attention: str = "auto"

    @nn.compact
    def __call__(self, mel_bsf: Array, frames_b: Array) -> Array:
        c = self.config
        if c.frame_mask == "all":
            # the convolutions reach over a clip's end, where attention's mask does not help
            is_heard_bs = jnp.arange(mel_bsf.shape[1])[None] < frames_b[:, None]
            mel_bsf = jnp.where(is_heard_bs[:, :, None], mel_bsf, 0)
        x = exact_gelu(
            Convolution(features=c.width, stride=1, dtype=self.dtype, name="conv1")(mel_bsf)
        )
        x = exact_gelu(Convolution(features=c.width, stride=2, dtype=self.dtype, name="conv2")(x))
        x += make_sinusoids(x.shape[1], c.width).astype(self.dtype)
        seen_bs = None
        if c.frame_mask != "none":
            # the first frame stays visible, so that an empty clip attends to something
            seen_bs = (
                jnp.arange(x.shape[1])[None] < jnp.maximum(c.count_frames(frames_b), 1)[:, None]
            )
        head_size, dtype = c.width // c.heads, str(self.dtype)
        mask = make_clip_mask(
            self.attention, seen_bs, frames=x.shape[1], head_size=head_size, dtype=dtype
        )
        fields = {"config": c, "dtype": self.dtype}
        x = run_stack(EncoderBlock, fields, x, (mask,), layers=c.layers, remat=self.remat)
        return LayerNorm(eps=1e-5, name="norm")(average_groups(x, self.pool))
