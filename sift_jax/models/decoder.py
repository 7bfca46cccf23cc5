"""A decoder as Qwen, Llama, Mistral, SmolLM and Gemma have it: RMS norms, grouped-query attention,
rotary positions, gated MLP, LoRA where asked.

It takes embeddings, not ids, so that audio frames may stand among them; positions and mask come
from outside. This is the decoder of training; `decoding.cached_decoder` runs the same parameters
with a cache. Where the families differ, a field of DecoderConfig says it:

                has_qkv_bias   has_qk_norm   pattern: of each `every` layers the last …    gemma
    Qwen2       yes
    Qwen3                      yes
    Llama
    Mistral 0.1                              all layers see a window
    SmolLM3                                  … of 4 knows no positions
    Gemma 3                    yes           … of 6 sees all, the others a window          yes
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
    LinearScaling,
    LoraConfig,
    RMSNorm,
    RopeScaling,
    make_rotation,
    rotate,
    spread,
)
from sift_jax.models.scanned_stack import NARROW, WIDE, run_stack

Rotation = tuple[Array, Array]
# farther back than any position
NO_WINDOW = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerPattern:
    """Layers of two kinds: of each `every` layers the last is the odd one; where that is None, none
    is."""

    every: int | None
    # how many positions, its own among them, the other layers see; None: all
    window: int | None
    # rotary base of the other layers, whose positions are not stretched; None: as in the odd ones
    rope_theta: float | None
    is_odd_rotated: bool

    def is_odd(self, layer: int) -> bool:
        return self.every is not None and (layer + 1) % self.every == 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class GemmaStyle:
    """Norms behind attention and MLP too, the scales of all norms counted from one, GeGLU, and
    tokens' embeddings times the root of their width."""

    # queries are divided by the root of this, elsewhere by that of the head's size
    query_size: int


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
    rope_scaling: RopeScaling | LinearScaling | None
    # what it was trained for; a served export says so
    max_positions: int
    norm_eps: float
    has_qkv_bias: bool
    # of each head, before it is turned
    has_qk_norm: bool
    pattern: LayerPattern | None
    gemma: GemmaStyle | None
    is_tied: bool

    @property
    def architecture(self) -> str:
        """The model_type under which others know it. A Mistral without a window is a Llama."""
        if self.gemma is not None:
            return "gemma3_text"
        if self.pattern is not None:
            return "mistral" if self.pattern.is_odd_rotated else "smollm3"
        if self.has_qk_norm:
            return "qwen3"
        return "qwen2" if self.has_qkv_bias else "llama"

    @property
    def query_scale(self) -> float:
        """What queries are multiplied by before they are divided by the root of the head's size."""
        return 1.0 if self.gemma is None else (self.head_size / self.gemma.query_size) ** 0.5

    def make_norm(self, name: str | None = None) -> RMSNorm:
        return RMSNorm(eps=self.norm_eps, offset=0.0 if self.gemma is None else 1.0, name=name)

    def activate(self, gate: Array) -> Array:
        return jax.nn.silu(gate) if self.gemma is None else jax.nn.gelu(gate, approximate=True)

    def make_rotations(self, position_bt: Array) -> tuple[Rotation, Rotation]:
        """Cosines and sines of the odd layers, and of the others."""
        plain = make_rotation(position_bt, self.head_size, self.rope_theta, self.rope_scaling)
        odd = other = plain
        if self.pattern is not None and not self.pattern.is_odd_rotated:
            # a turn by nothing
            odd = make_rotation(0 * position_bt, self.head_size, self.rope_theta)
        if self.pattern is not None and self.pattern.rope_theta is not None:
            other = make_rotation(position_bt, self.head_size, self.pattern.rope_theta)
        return odd, other


class DecoderBlock(nn.Module):
    config: DecoderConfig
    lora: LoraConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        x: Array,
        rotations: tuple[Rotation, Rotation],
        mask: AttentionMask,
        position_bt: Array,
        is_odd: Array | None = None,
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

        rotation, mask = _choose(c.pattern, rotations, mask, position_bt, is_odd)
        y = c.make_norm("attention_norm")(x)
        q, k, v = split("q", c.heads), split("k", c.kv_heads), split("v", c.kv_heads)
        if c.has_qk_norm:
            q, k = c.make_norm("q_norm")(q), c.make_norm("k_norm")(k)
        q, k = rotate(q, rotation), rotate(k, rotation)
        if c.query_scale != 1.0:
            q = q * c.query_scale
        attended = checkpoint_name(attend_by(q, k, v, mask), ATTENTION_RESULT)
        y = checkpoint_name(linear("o", c.width)(attended), NARROW)
        x = spread(x + (c.make_norm("attention_out_norm")(y) if c.gemma else y))
        y = c.make_norm("mlp_norm")(x)
        gate = checkpoint_name(linear("gate", c.hidden)(y), WIDE)
        up = checkpoint_name(linear("up", c.hidden)(y), WIDE)
        y = spread(c.activate(gate) * up, "tensor")
        y = linear("down", c.width)(y)
        return spread(x + (c.make_norm("mlp_out_norm")(y) if c.gemma else y)), None


def _choose(
    pattern: LayerPattern | None,
    rotations: tuple[Rotation, Rotation],
    mask: AttentionMask,
    position_bt: Array,
    is_odd: Array | None,
) -> tuple[Rotation, AttentionMask]:
    """What a layer of the scanned stack turns by and sees: the program is one, so that it is data
    which kind a layer is of."""
    if pattern is None or is_odd is None:
        return rotations[0], mask
    (odd_cos, odd_sin), (cos, sin) = rotations
    rotation = jnp.where(is_odd, odd_cos, cos), jnp.where(is_odd, odd_sin, sin)
    if pattern.window is not None:
        mask = mask.narrow(position_bt, jnp.where(is_odd, NO_WINDOW, pattern.window))
    return rotation, mask


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
        shared = (c.make_rotations(position_bt), mask, position_bt)
        each = (
            ()
            if c.pattern is None
            else (jnp.asarray([c.pattern.is_odd(i) for i in range(c.layers)]),)
        )
        x = run_stack(
            DecoderBlock,
            fields,
            x_btd.astype(self.dtype),
            shared,
            each,
            layers=c.layers,
            remat=self.remat,
        )
        return c.make_norm("norm")(x)


def embed_tokens(config: DecoderConfig, params: dict, token_bt: Array, dtype: jnp.dtype) -> Array:
    x = params["embedding"][token_bt].astype(dtype)
    return x if config.gemma is None else x * jnp.asarray(config.width**0.5, dtype)


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
