"""Speech as soft tokens: what a decoder that has read nothing but text can read at once.

    frame ─► scores, its product with each token's embedding ─► softmax ─► Σ p · embedding ─► (+) ─► position
      └──────────────────────── rest: a Linear, zero at the start ──────────────────────────────┘

    scored              p                          the position is
    ♪ 9, rain 2         ♪ 1.0                      the audio token's embedding: nothing is said here
    rain 8, reign 7     rain .7, reign .3          between the two words, nearer to rain

A projector's frame can point to a word, in that it scores it highest, and still lie far from the
word's embedding (cosines of .3); the decoder reads places and not scores. The mean of embeddings
lies among them whatever the frame's size. What it leaves out, how a thing is said, goes by the
rest. A warm start by CTC teaches the scores (training/ctc.py); without one they mean nothing.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.layers import Array, gather, spread

# Positions of each row whose scores of the whole vocabulary are there at once.
SCORED = 256


def read_table(config: DecoderConfig, decoder: dict) -> Array:
    """The embeddings of all tokens as they stand among the decoder's positions; nothing that hears
    moves them."""
    table = jax.lax.stop_gradient(gather(decoder["embedding"], "tensor", None))
    return table if config.gemma is None else table * config.width**0.5


def score_tokens(frames: Array, table: Array) -> Array:
    """(…, d) ─► float32 scores of every token, (…, vocabulary)."""
    table = table.astype(frames.dtype)
    return spread(jnp.matmul(frames, table.T, preferred_element_type=jnp.float32), last="tensor")


def mix_tokens(frames_bsd: Array, table: Array) -> Array:
    """The mean embedding of each frame, by the softmax of its scores."""

    @jax.checkpoint
    def mix(piece: Array) -> Array:
        share = jax.nn.softmax(score_tokens(piece, table), axis=-1).astype(piece.dtype)
        return jnp.matmul(share, table.astype(piece.dtype))

    b, s, d = frames_bsd.shape
    # frames 1 2 3 4 5, two at a time: 1 2 | 3 4 | 5 0; what becomes of the filling is cut off
    size = min(SCORED, s)
    filled = jnp.pad(frames_bsd, ((0, 0), (0, -s % size), (0, 0)))
    pieces = filled.reshape(b, -1, size, d).swapaxes(0, 1)
    return jax.lax.map(mix, pieces).swapaxes(0, 1).reshape(b, -1, d)[:, :s]


def init_rest(width: int) -> dict[str, Array]:
    """Parameters of the rest: silent until something is learnt."""
    return {"kernel": jnp.zeros((width, width))}


def soften(frames_bsd: Array, rest: dict[str, Array], table: Array) -> Array:
    """Frames of the projector to the positions that the decoder reads."""
    return mix_tokens(frames_bsd, table) + frames_bsd @ rest["kernel"].astype(frames_bsd.dtype)
