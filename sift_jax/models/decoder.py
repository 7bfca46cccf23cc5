"""A decoder as Qwen2 and Llama have it: RMS norms, grouped-query attention, rotary positions, SwiGLU, LoRA where asked.

It takes embeddings, not ids, so that audio frames may stand among them; positions and mask come from outside.
With a cache {"k", "v": (layers, b, slots, kv heads, k)} the new keys are written at `index` and all slots are attended.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from sift_jax.models.layers import Array, Linear, LoraConfig, RMSNorm, RopeScaling, attend, make_rotation, rotate
from sift_jax.models.stack import run_stack

Cache = dict[str, Array]


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
        self, x: Array, cache: Cache | None, rotation: tuple[Array, Array], mask_bts: Array, index: Array | None
    ) -> tuple[Array, Cache | None]:
        c = self.config
        b, t, _ = x.shape

        def linear(name: str, features: int, use_bias: bool = False) -> Linear:
            return Linear(
                features=features,
                use_bias=use_bias,
                dtype=self.dtype,
                lora_rank=self.lora.rank_of(name),
                lora_alpha=self.lora.alpha,
                name=name,
            )

        y = RMSNorm(eps=c.norm_eps, name="attention_norm")(x)
        q = linear("q", c.heads * c.head_size, c.has_qkv_bias)(y).reshape(b, t, c.heads, c.head_size)
        k = linear("k", c.kv_heads * c.head_size, c.has_qkv_bias)(y).reshape(b, t, c.kv_heads, c.head_size)
        v = linear("v", c.kv_heads * c.head_size, c.has_qkv_bias)(y).reshape(b, t, c.kv_heads, c.head_size)
        q, k = rotate(q, rotation), rotate(k, rotation)
        if cache is not None:
            write = partial(jax.lax.dynamic_update_slice_in_dim, start_index=index, axis=1)
            cache = {"k": write(cache["k"], k), "v": write(cache["v"], v)}
            k, v = cache["k"], cache["v"]
        x += linear("o", c.width)(attend(q, k, v, mask_bts))
        y = RMSNorm(eps=c.norm_eps, name="mlp_norm")(x)
        y = jax.nn.silu(linear("gate", c.hidden)(y)) * linear("up", c.hidden)(y)
        return x + linear("down", c.width)(y), cache


class Decoder(nn.Module):
    """Embeddings in, normed hidden states out; `embedding` and `head` are read by embed_tokens and compute_logits."""

    config: DecoderConfig
    lora: LoraConfig
    dtype: jnp.dtype
    remat: str

    @nn.compact
    def __call__(
        self, x_btd: Array, position_bt: Array, mask_bts: Array, cache: Cache | None = None, index: Array | None = None
    ) -> tuple[Array, Cache | None]:
        c = self.config
        self.param("embedding", nn.initializers.normal(0.02), (c.vocab_size, c.width))
        if not c.is_tied:
            self.param("head", nn.initializers.normal(0.02), (c.width, c.vocab_size))
        fields = {"config": c, "lora": self.lora, "dtype": self.dtype}
        shared = (make_rotation(position_bt, c.head_size, c.rope_theta, c.rope_scaling), mask_bts, index)
        x, cache = run_stack(
            DecoderBlock, fields, x_btd.astype(self.dtype), cache, shared, layers=c.layers, remat=self.remat
        )
        return RMSNorm(eps=c.norm_eps, name="norm")(x), cache


def embed_tokens(params: dict, token_bt: Array, dtype: jnp.dtype) -> Array:
    return params["embedding"][token_bt].astype(dtype)


def compute_logits(params: dict, hidden: Array) -> Array:
    """Float32 logits of hidden states; a tied decoder reads its embedding backwards."""
    head = params["head"] if "head" in params else params["embedding"].T
    return jnp.matmul(hidden, head.astype(hidden.dtype), preferred_element_type=jnp.float32)


def make_cache(config: DecoderConfig, rows: int, slots: int, dtype: jnp.dtype) -> Cache:
    shape = (config.layers, rows, slots, config.kv_heads, config.head_size)
    return {"k": jnp.zeros(shape, dtype), "v": jnp.zeros(shape, dtype)}
