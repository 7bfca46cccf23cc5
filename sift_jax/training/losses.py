"""Losses are (sum, weight) pairs, divided once, so that shards and packs of unequal size add up
exactly.

    Objective: parameters, batch ─► (Σ of the loss, to be divided by Σ weight_bm; {name: (sum, weight)} of its terms)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sift_jax.models.decoder import compute_logits, pull_logits
from sift_jax.models.layers import Array, gather
from sift_jax.models.speech_lm import Dropout, Params, SpeechLMConfig, compute_hidden
from sift_jax.parallel.mesh import count_batch_shards

# Targets of a device whose logits over the whole vocabulary are there at once. Each piece reads the
# whole head, so it should hold as many rows of a product as pay for that: 64 targets of one row read
# the 1.1 GB of a 7B model's head twelve times a step, and leave a matrix unit waiting for them.
LOSS_TARGETS = 1024
# (sum, weight) of each term that is reported beside the loss, by its name
Terms = dict[str, tuple[Array, Array]]
Objective = Callable[[Params, dict[str, Array], Dropout | None], tuple[Array, Terms]]


def choose_chunk(rows: int, targets: int) -> int:
    """Of `targets` a row, how many a piece has: 1,024 of one row on a device, 128 of each of eight,
    in equal pieces: 768 are one, 1,500 are two of 750."""
    mesh = jax.sharding.get_abstract_mesh()
    shards = 1 if mesh.empty else count_batch_shards(mesh)
    most = max(1, LOSS_TARGETS // max(1, rows // shards))
    pieces = -(-targets // most)
    return -(-targets // pieces)


def sum_cross_entropy(
    decoder: dict, hidden_bmd: Array, target_bm: Array, weight_bm: Array, *, chunk: int
) -> Array:
    """Σ weight · −log p(target), `chunk` targets a row at a time: never more than b · chunk ·
    vocabulary logits."""
    # Once, before the loop over pieces: inside it the head would be gathered from its shards again
    # for each piece.
    return _sum_pieces(gather_head(decoder), hidden_bmd, target_bm, weight_bm, chunk)


def sum_chunks(score: Callable[..., Any], parts: tuple[Array, ...], *, chunk: int) -> Any:
    """The sums of `score` over all targets, of arrays (b, m, …) cut into pieces of `chunk` targets a
    row; backwards each piece's logits are made again.

        hidden (b, 1500, d), target (b, 1500), chunk 750 ─► score(hidden (b, 750, d), target (b, 750)), twice, added
    """

    @jax.checkpoint
    # Logits of 1,024 targets and 152k tokens are 620 MB in float32; those of a batch would be many
    # times that, and again as much for their gradient.
    def sum_piece(piece: tuple[Array, ...]) -> Any:
        return score(*piece)

    return jax.tree.map(jnp.sum, jax.lax.map(sum_piece, tuple(cut(x, chunk) for x in parts)))


def list_chunks(score: Callable[..., Array], parts: tuple[Array, ...], *, chunk: int) -> Array:
    """`score` of every target by itself (b, m), of as many at a time; backwards each piece's logits
    are made again."""
    rows, targets = parts[0].shape[:2]

    @jax.checkpoint
    def list_piece(piece: tuple[Array, ...]) -> Array:
        return score(*piece)

    found = jax.lax.map(list_piece, tuple(cut(x, chunk) for x in parts))
    return found.swapaxes(0, 1).reshape(rows, -1)[:, :targets]


def _sum_plainly(
    decoder: dict, hidden_bmd: Array, target_bm: Array, weight_bm: Array, chunk: int
) -> Array:
    return sum_chunks(
        lambda h, y, w: jnp.sum(w * _score(decoder, h, y)),
        (hidden_bmd, target_bm, weight_bm),
        chunk=chunk,
    )


def _sum_forward(
    decoder: Any, hidden_bmd: Any, target_bm: Any, weight_bm: Any, chunk: int
) -> tuple[Array, tuple]:
    """(the sum, what its backward pass reads). Arguments say whether a gradient is asked of them."""
    is_leaf = lambda x: hasattr(x, "perturbed")  # noqa: E731 - as jax.tree takes it
    is_head_trained = any(x.perturbed for x in jax.tree.leaves(decoder, is_leaf=is_leaf))
    decoder, hidden, target, weight = jax.tree.map(
        lambda x: x.value, (decoder, hidden_bmd, target_bm, weight_bm), is_leaf=is_leaf
    )
    if is_head_trained:
        total = _sum_plainly(decoder, hidden, target, weight, chunk)
        return total, (decoder, hidden, target, weight)

    def differentiate(piece: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        h, y, w = piece
        logits = compute_logits(decoder, h)
        total = jax.nn.logsumexp(logits, axis=-1)
        picked = jnp.take_along_axis(logits, y[..., None], axis=-1)[..., 0]
        # d(−log p_y) / d logit_v = p_v − [v = y]
        is_target = jnp.arange(logits.shape[-1]) == y[..., None]
        slope = (jnp.exp(logits - total[..., None]) - is_target) * w[..., None]
        return jnp.sum(w * (total - picked)), pull_logits(decoder, slope.astype(h.dtype))

    pieces = tuple(cut(x, chunk) for x in (hidden, target, weight))
    losses, slopes = jax.lax.map(differentiate, pieces)
    # (pieces, b, chunk, d) back to (b, m, d), without what filled the last piece up
    whole = slopes.swapaxes(0, 1).reshape(hidden.shape[0], -1, hidden.shape[2])
    return jnp.sum(losses), (whole[:, : hidden.shape[1]],)


def _sum_backward(chunk: int, kept: tuple, slope: Array) -> tuple:
    if len(kept) == 1:
        return None, (kept[0] * slope).astype(kept[0].dtype), None, None
    decoder, hidden, target, weight = kept
    _, pull = jax.vjp(lambda head, h: _sum_plainly(head, h, target, weight, chunk), decoder, hidden)
    return *pull(slope), None, None


# Where the head is frozen, the gradient of the hidden states is made in the same pass: two products
# with the head, and not three.
_sum_pieces = jax.custom_vjp(_sum_plainly, nondiff_argnums=(4,))
_sum_pieces.defvjp(_sum_forward, _sum_backward, symbolic_zeros=True)


def list_cross_entropy(decoder: dict, hidden_bmd: Array, target_bm: Array, *, chunk: int) -> Array:
    """−log p(target) of every target by itself (b, m), as many at a time."""
    decoder = gather_head(decoder)
    return list_chunks(lambda h, y: _score(decoder, h, y), (hidden_bmd, target_bm), chunk=chunk)


def gather_head(decoder: dict) -> dict:
    """What compute_logits reads of a decoder, fetched from its shards once."""
    if "head" in decoder:
        return {"head": gather(decoder["head"], None, "tensor")}
    return {"embedding": gather(decoder["embedding"], "tensor", None)}


def cut(x: Array, chunk: int) -> Array:
    """(b, m, …) as (pieces, b, chunk, …), the last filled up with zeros."""
    # targets 1 2 3 4 5 of a row, two at a time: 1 2 | 3 4 | 5 0
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
            params["decoder"],
            hidden,
            batch["target_bm"],
            batch["weight_bm"],
            chunk=choose_chunk(*batch["target_bm"].shape),
        )
    return total, jnp.sum(batch["weight_bm"])


def make_objective(config: SpeechLMConfig) -> Objective:
    """The cross-entropy of the targets alone."""

    def objective(
        params: Params, batch: dict[str, Array], dropout: Dropout | None
    ) -> tuple[Array, Terms]:
        return sum_loss(config, params, batch, dropout)[0], {}

    return objective
