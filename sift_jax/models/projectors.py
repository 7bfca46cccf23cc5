"""From encoder frames to decoder embeddings: average over `pool` frames, then one Linear with bias.

    (clips, frames, width) ─► mean of every `pool` frames ─► Linear ─► (clips, frames / pool, decoder width)

pool 1 is SIFT-LLM's projector, pool 2 is Qwen2-Audio's.
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from sift_jax.models.layers import Array, Linear
from sift_jax.models.speech_encoders import count_encoder_frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    pool: int

    def count_frames(self, mel_frames: int) -> int:
        """Decoder positions that a clip of `mel_frames` takes: the one place where data and model agree on it."""
        return max(1, -(-count_encoder_frames(mel_frames) // self.pool))


class PooledLinear(nn.Module):
    config: ProjectorConfig
    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_bsd: Array) -> Array:
        b, s, d = x_bsd.shape
        pool = self.config.pool
        if s % pool:
            x_bsd = jnp.pad(x_bsd, ((0, 0), (0, -s % pool), (0, 0)), mode="edge")
        pooled = jnp.mean(x_bsd.reshape(b, -1, pool, d), axis=2)
        return Linear(features=self.features, use_bias=True, dtype=self.dtype, name="linear")(pooled)
