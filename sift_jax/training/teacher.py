"""The decoder as its own teacher: what it says of text is what it shall say of speech.

    student   audio prefix, LoRA on    ─► hidden (b, m, d) ─► log p ┐
    teacher   text prefix,  LoRA off   ─► hidden (b, m, d) ─► log q ┴─► Σ q (log q − log p) of each target

Both are passes over the same arrays in one step; the teacher's has no gradient, so that it costs
one forward pass over rows that hold text instead of audio. A target that is taught counts
kl_share · KL + (1 − kl_share) · cross-entropy, any other its cross-entropy: all of them over one
weight.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sift_jax.field_ranges import CheckedConfig, Count, Share
from sift_jax.models.attention import make_row_mask
from sift_jax.models.decoder import compute_logits, embed_tokens
from sift_jax.models.layers import Array, apply_module
from sift_jax.models.lora_off import drop_lora, list_moving, switch_off_lora
from sift_jax.models.speech_lm import (
    Dropout,
    Params,
    SpeechLMConfig,
    compute_hidden,
    make_decoder,
)
from sift_jax.training import losses
from sift_jax.training.losses import Objective, Terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherConfig(CheckedConfig):
    """How much of a self-generated target is learnt from the decoder's own distribution."""

    # of a row, for text prefixes and their answers
    positions: Count
    # 1: its distribution alone; 0: the tokens alone, and the distance is only measured
    kl_share: Share


def check_teacher(trainable: Params) -> None:
    """ValueError where the teacher would move with what it teaches."""
    if moving := list_moving(trainable):
        raise ValueError(
            f"RunConfig.trainable trains {moving[0]}"
            f"{f' and {len(moving) - 1} others' if moving[1:] else ''}, which the teacher, the "
            "decoder without LoRA, reads too; train LoRA and the projector alone, or take "
            "train.teacher out"
        )


def compute_teacher_hidden(
    config: SpeechLMConfig, params: Params, batch: dict[str, Array]
) -> Array:
    """What the decoder without LoRA makes of the text, at the positions that predict the targets
    (b, m, d); no gradient goes into it."""
    bare = switch_off_lora(config)
    decoder = jax.lax.stop_gradient(drop_lora(params["decoder"]))
    mask = make_row_mask(
        bare.attention,
        batch["teacher_group_bt"],
        batch["teacher_segment_bt"],
        head_size=bare.decoder.head_size,
        dtype=bare.dtype,
        block=bare.attention_block,
    )
    x_btd = embed_tokens(bare.decoder, decoder, batch["teacher_token_bt"], jnp.dtype(bare.dtype))
    place = (batch["teacher_position_bt"], mask)
    hidden = apply_module(make_decoder(bare), decoder, x_btd, *place)
    return jnp.take_along_axis(hidden, batch["teacher_predict_bm"][:, :, None], axis=1)


def sum_distances(
    decoder: dict,
    teacher: dict,
    hidden_bmd: Array,
    teacher_bmd: Array,
    target_bm: Array,
    weights: tuple[Array, Array],
    *,
    chunk: int,
) -> tuple[Array, Array]:
    """(Σ w · −log p(target), Σ v · KL(q ‖ p)) for the two weights w and v, `chunk` targets a row at a
    time: student and teacher have their logits over the whole vocabulary together."""
    decoder, teacher = losses.gather_head(decoder), losses.gather_head(teacher)

    def score(h: Array, g: Array, y: Array, w: Array, v: Array) -> tuple[Array, Array]:
        log_p = jax.nn.log_softmax(compute_logits(decoder, h))
        log_q = jax.nn.log_softmax(compute_logits(teacher, g))
        picked = jnp.take_along_axis(log_p, y[..., None], axis=-1)[..., 0]
        distance = jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=-1)
        return jnp.sum(-w * picked), jnp.sum(v * distance)

    parts = (hidden_bmd, teacher_bmd, target_bm, *weights)
    return losses.sum_chunks(score, parts, chunk=chunk)


def sum_taught_loss(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    teacher: TeacherConfig,
    dropout: Dropout | None = None,
) -> tuple[Array, Terms]:
    """(Σ of the loss, to be divided by Σ weight_bm; its two terms)."""
    hidden = compute_hidden(config, params, batch, dropout)
    heard = jax.lax.stop_gradient(compute_teacher_hidden(config, params, batch))
    weight, taught = batch["weight_bm"], batch["weight_bm"] * batch["taught_bm"]
    token_weight = weight - teacher.kl_share * taught
    bare = jax.lax.stop_gradient(drop_lora(params["decoder"]))
    token_sum, distance = sum_distances(
        params["decoder"],
        bare,
        hidden,
        heard,
        batch["target_bm"],
        (token_weight, taught),
        chunk=losses.choose_chunk(*batch["target_bm"].shape),
    )
    terms = {
        "cross_entropy": (token_sum, jnp.sum(token_weight)),
        "kl": (distance, jnp.sum(taught)),
    }
    return token_sum + teacher.kl_share * distance, terms


def make_taught_objective(config: SpeechLMConfig, teacher: TeacherConfig) -> Objective:
    """The cross-entropy, and for what the decoder has generated the distance from it."""

    def objective(
        params: Params, batch: dict[str, Array], dropout: Dropout | None
    ) -> tuple[Array, Terms]:
        return sum_taught_loss(config, params, batch, teacher, dropout)

    return objective
