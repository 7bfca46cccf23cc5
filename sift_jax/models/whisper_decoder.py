"""Whisper's decoder over a given text, forward only: where it listens as it reads, and how likely
each token is to it.

    speech_bsd (encoder)   <|startoftranscript|> <|de|> <|transcribe|> <|notimestamps|> Es reg net . <|endoftext|>
         └──► cross-attention of some heads, weight_bhts      row i listens for the token that comes after token i
              log_prob_bt   of the token that comes next      end_bt   of <|endoftext|> in its place

The text is known, so that all rows are computed at once: no cache, no search. Rows see only what
stands before them; what is padded behind a text changes none of its rows.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sift_jax.models.layers import Array, apply_module, exact_gelu
from sift_jax.models.whisper_encoder import EncoderConfig, WhisperEncoder

Params = Mapping[str, Any]
Heads = tuple[tuple[int, int], ...]
_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class WhisperDecoderConfig:
    """`positions` is the longest text in tokens, the prompt included."""

    vocab_size: int
    layers: int
    heads: int
    positions: int


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("weight_bhts", "log_prob_bt", "end_bt"),
    meta_fields=(),
)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """Cross-attention of the heads that were asked for; log probabilities of the next token and of
    the end. The last row, which no token follows, has 0 in log_prob_bt."""

    weight_bhts: Array
    log_prob_bt: Array
    end_bt: Array


@functools.partial(jax.jit, static_argnames=("config", "heads", "end"))
def read_along(
    config: WhisperDecoderConfig,
    params: Params,
    token_bt: Array,
    speech_bsd: Array,
    *,
    heads: Heads,
    end: int,
) -> Reading:
    """Reads texts along with their speech. `heads` are (layer, head); `end` is the id of
    <|endoftext|>."""
    x = params["embedding"][token_bt] + params["positions"][: token_bt.shape[1]]
    t = token_bt.shape[1]
    is_earlier_ts = jnp.arange(t)[None, :] <= jnp.arange(t)[:, None]
    found: dict[tuple[int, int], Array] = {}
    for layer in range(config.layers):
        block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], params["blocks"])
        y = _norm(x, block["attention_norm"])
        mixed, _ = _attend(config, block, "", y, y, is_earlier_ts)
        x = x + mixed
        y = _norm(x, block["cross_norm"])
        mixed, weight_bnts = _attend(config, block, "cross_", y, speech_bsd, None)
        found |= {(layer, head): weight_bnts[:, head] for at, head in heads if at == layer}
        x = x + mixed
        y = _norm(x, block["mlp_norm"])
        x = x + _linear(exact_gelu(_linear(y, block["up"])), block["down"])
    logits = _norm(x, params["norm"]) @ params["embedding"].T
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    next_bt = jnp.take_along_axis(log_probs[:, :-1], token_bt[:, 1:, None], axis=-1)[..., 0]
    return Reading(
        weight_bhts=jnp.stack([found[head] for head in heads], axis=1),
        log_prob_bt=jnp.pad(next_bt, ((0, 0), (0, 1))),
        end_bt=log_probs[..., end],
    )


def _attend(
    config: WhisperDecoderConfig,
    block: Params,
    kind: str,
    x_btd: Array,
    y_bsd: Array,
    mask_ts: Array | None,
) -> tuple[Array, Array]:
    """What x hears of y, and how it listened (b, n, t, s)."""

    def split(name: str, z: Array) -> Array:
        return _linear(z, block[kind + name]).reshape(*z.shape[:2], config.heads, -1).swapaxes(1, 2)

    q, k, v = split("q", x_btd), split("k", y_bsd), split("v", y_bsd)
    scores = jnp.einsum("bntk,bnsk->bnts", q * q.shape[-1] ** -0.5, k)
    if mask_ts is not None:
        scores = jnp.where(mask_ts, scores, -1e30)
    weights = jax.nn.softmax(scores, axis=-1)
    mixed = jnp.einsum("bnts,bnsk->bntk", weights, v).swapaxes(1, 2).reshape(x_btd.shape)
    return _linear(mixed, block[kind + "o"]), weights


def _linear(x: Array, linear: Params) -> Array:
    y = x @ linear["kernel"]
    return y + linear["bias"] if "bias" in linear else y


def _norm(x: Array, norm: Params) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + _EPSILON) * norm["scale"] + norm["bias"]


@functools.partial(jax.jit, static_argnames=("config",))
def encode_speech(config: EncoderConfig, params: Params, mel_bsf: Array) -> Array:
    """What the encoder makes of log-mel windows (b, frames, bins), which may be shorter than those
    of its training."""
    encoder = WhisperEncoder(config=config, dtype=jnp.dtype("float32"), remat="none")
    return apply_module(encoder, params, mel_bsf, jnp.full(mel_bsf.shape[0], mel_bsf.shape[1]))
