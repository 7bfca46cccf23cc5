"""A decoder as Qwen2 and Llama have it: RMS norms, grouped-query attention, rotary positions,
SwiGLU, LoRA where asked.

It takes embeddings, not ids, so that audio frames may stand among them; positions and mask come
from outside. This is the decoder of training; `decoding.cached` runs the same parameters with a
cache.
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from sift_jax.models.attention import ATTENTION_RESULT, AttentionMask, attend_by
from sift_jax.models.layers import (
    Array,
    Linear,
    LoraConfig,
    RMSNorm,
    RopeScaling,
    make_rotation,
    rotate,
    spread,
)
from sift_jax.models.scanned_stack import NARROW, WIDE, run_stack


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    rope_theta: float
    rope_scaling: RopeScaling | None
    # what it was trained for; a served export says so
    max_positions: int
    norm_eps: float
    # the one difference between Qwen2 (biases on q, k and v) and Llama (none)
    has_qkv_bias: bool
    is_tied: bool

    @property
    def architecture(self) -> str:
        """The model_type under which others know it."""
        return "qwen2" if self.has_qkv_bias else "llama"


class DecoderBlock(nn.Module):
    config: DecoderConfig
    lora: LoraConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, x: Array, rotation: tuple[Array, Array], mask: AttentionMask
    ) -> tuple[Array, None]:
        c = self.config
        b, t, _ = x.shape
        x = spread(x)

        def linear(name: str, features: int, use_bias: bool = False) -> Linear:
            return Linear(
                features=features,
                use_bias=use_bias,
                dtype=self.dtype,
                lora_rank=self.lora.rank_of(name),
                lora_alpha=self.lora.alpha,
                name=name,
            )

        def split(name: str, heads: int) -> Array:
            y_heads = linear(name, heads * c.head_size, c.has_qkv_bias)(y)
            y_heads = checkpoint_name(y_heads, NARROW)
            return spread(y_heads, "tensor").reshape(b, t, heads, c.head_size)

        y = RMSNorm(eps=c.norm_eps, name="attention_norm")(x)
        q, k, v = split("q", c.heads), split("k", c.kv_heads), split("v", c.kv_heads)
        q, k = rotate(q, rotation), rotate(k, rotation)
        attended = checkpoint_name(attend_by(q, k, v, mask), ATTENTION_RESULT)
        x = spread(x + checkpoint_name(linear("o", c.width)(attended), NARROW))
        y = RMSNorm(eps=c.norm_eps, name="mlp_norm")(x)
        gate = checkpoint_name(linear("gate", c.hidden)(y), WIDE)
        up = checkpoint_name(linear("up", c.hidden)(y), WIDE)
        y = spread(jax.nn.silu(gate) * up, "tensor")
        return spread(x + linear("down", c.width)(y)), None


class Decoder(nn.Module):
    """Embeddings in, normed hidden states out; `embedding` and `head` are read by embed_tokens and
    compute_logits."""

    config: DecoderConfig
    lora: LoraConfig
    dtype: jnp.dtype
    remat: str

    @nn.compact
    def __call__(self, x_btd: Array, position_bt: Array, mask: AttentionMask) -> Array:
        c = self.config
        self.param("embedding", nn.initializers.normal(0.02), (c.vocab_size, c.width))
        if not c.is_tied:
            self.param("head", nn.initializers.normal(0.02), (c.width, c.vocab_size))
        fields = {"config": c, "lora": self.lora, "dtype": self.dtype}
        shared = (make_rotation(position_bt, c.head_size, c.rope_theta, c.rope_scaling), mask)
        x = run_stack(
            DecoderBlock,
            fields,
            x_btd.astype(self.dtype),
            shared,
            layers=c.layers,
            remat=self.remat,
        )
        return RMSNorm(eps=c.norm_eps, name="norm")(x)


def embed_tokens(params: dict, token_bt: Array, dtype: jnp.dtype) -> Array:
    return params["embedding"][token_bt].astype(dtype)


def compute_logits(params: dict, hidden: Array) -> Array:
    """Float32 logits of hidden states; a tied decoder reads its embedding backwards."""
    head = params["head"] if "head" in params else params["embedding"].T
    return spread(
        jnp.matmul(hidden, head.astype(hidden.dtype), preferred_element_type=jnp.float32), "tensor"
    )


def pull_logits(params: dict, slope: Array) -> Array:
    """The gradient of hidden states by that of their logits."""
    embedding = params["head"].T if "head" in params else params["embedding"]
    return jnp.matmul(slope, embedding.astype(slope.dtype))
