"""Losses are (sum, weight) pairs, divided once, so that shards and packs of unequal size add up
exactly."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sift_jax.models.decoder import compute_logits
from sift_jax.models.layers import Array, gather
from sift_jax.models.speech_lm import Dropout, Params, SpeechLMConfig, compute_hidden

# positions whose logits over the whole vocabulary are there at once
LOSS_CHUNK = 64


def sum_cross_entropy(
    decoder: dict, hidden_bmd: Array, target_bm: Array, weight_bm: Array, *, chunk: int
) -> Array:
    """Σ weight · −log p(target), `chunk` targets a row at a time: never more than b · chunk ·
    vocabulary logits."""
    # Once, before the loop over pieces: inside it the head would be gathered from its shards anew
    # for each piece.
    decoder = _gather_head(decoder)

    @jax.checkpoint
    # Logits of 64 targets a row and 152k tokens are 39 MB a row in float32; of 1,024 targets they
    # would be 620 MB, and again as much for their gradient.
    def sum_chunk(piece: tuple[Array, Array, Array]) -> Array:
        h, y, w = piece
        return jnp.sum(w * _score(decoder, h, y))

    return jnp.sum(
        jax.lax.map(sum_chunk, tuple(_cut(x, chunk) for x in (hidden_bmd, target_bm, weight_bm)))
    )


def list_cross_entropy(decoder: dict, hidden_bmd: Array, target_bm: Array, *, chunk: int) -> Array:
    """−log p(target) of every target by itself (b, m), as many at a time."""
    decoder = _gather_head(decoder)
    pieces = (_cut(hidden_bmd, chunk), _cut(target_bm, chunk))
    losses = jax.lax.map(lambda piece: _score(decoder, *piece), pieces)
    return losses.swapaxes(0, 1).reshape(target_bm.shape[0], -1)[:, : target_bm.shape[1]]


def _gather_head(decoder: dict) -> dict:
    if "head" in decoder:
        return {"head": gather(decoder["head"], None, "tensor")}
    return {"embedding": gather(decoder["embedding"], "tensor", None)}


def _cut(x: Array, chunk: int) -> Array:
    """(b, m, …) as (pieces, b, chunk, …), the last filled up with zeros."""
    chunk = min(chunk, x.shape[1])
    # The filling has weight 0, so it adds nothing to the sum.
    padded = jnp.pad(x, ((0, 0), (0, -x.shape[1] % chunk), *((0, 0),) * (x.ndim - 2)))
    return padded.reshape(x.shape[0], -1, chunk, *x.shape[2:]).swapaxes(0, 1)


def _score(decoder: dict, hidden: Array, target: Array) -> Array:
    logits = compute_logits(decoder, hidden)
    picked = jnp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - picked


def sum_loss(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    dropout: Dropout | None = None,
) -> tuple[Array, Array]:
    """(Σ weighted cross-entropy, Σ weight) of a batch."""
    hidden = compute_hidden(config, params, batch, dropout)
    # profiles and compiled programs call it by this name
    with jax.named_scope("loss"):
        total = sum_cross_entropy(
            params["decoder"], hidden, batch["target_bm"], batch["weight_bm"], chunk=LOSS_CHUNK
        )
    return total, jnp.sum(batch["weight_bm"])
