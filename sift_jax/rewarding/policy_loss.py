"""The loss of GRPO: a clipped ratio weighs each rollout's advantage, and a distance holds the policy
near the decoder without LoRA.

    log p   of each token, now                                  r = p / p_old
    old     at the time of the rollout                ─► −min(r · A, clip(r) · A) + kl_weight · (q/p − log(q/p) − 1)
    ref     with LoRA off: log q                          summed over tokens, over one weight

A group is one row or a part of one: its prompt once, its answers behind it, each blind to the
others. So it costs the prompt once here, as in the rollouts.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from sift_jax.checkpoints.train_state import State, join_params
from sift_jax.models.decoder import compute_logits
from sift_jax.models.layers import Array
from sift_jax.models.lora_off import drop_lora, switch_off_lora
from sift_jax.models.speech_lm import Dropout, Params, SpeechLMConfig, compute_hidden
from sift_jax.parallel.mesh import shard_rows
from sift_jax.rewarding.config import GrpoConfig
from sift_jax.training import losses
from sift_jax.training.losses import Objective, Terms

# state, batch ─► (log p as the policy is, log q with LoRA off) of each target
Scorer = Callable[[State, dict[str, Array]], tuple[Array, Array]]


def check_policy(trainable: Params) -> None:
    """ValueError where the reference, the model without LoRA, would move with the policy."""
    others = sorted(path for path in flatten_dict(trainable, sep="/") if "/lora_" not in path)
    if others:
        raise ValueError(
            f"RunConfig.trainable trains {others[0]}, and the reference of the rewards' run is the "
            "same model with LoRA off; train LoRA alone: TRAINABLE = ('.*/lora_.*',)"
        )


def _score(decoder: dict, hidden: Array, target: Array, temperature: float) -> Array:
    logits = compute_logits(decoder, hidden) / temperature
    picked = jnp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]
    return picked - jax.nn.logsumexp(logits, axis=-1)


def list_log_probs(
    config: SpeechLMConfig, params: Params, batch: dict[str, Array], temperature: float
) -> Array:
    """log p of every target (b, m)."""
    hidden = compute_hidden(config, params, batch)
    decoder = losses.gather_head(params["decoder"])
    chunk = losses.choose_chunk(*batch["target_bm"].shape)
    return losses.list_chunks(
        lambda h, y: _score(decoder, h, y, temperature), (hidden, batch["target_bm"]), chunk=chunk
    )


def make_scorer(config: SpeechLMConfig, grpo: GrpoConfig, mesh: Mesh) -> Scorer:
    """(log p as the policy is, log q with LoRA off) of every target of a batch."""

    def score(state: State, batch: dict[str, Array]) -> tuple[Array, Array]:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            params = join_params(state["trainable"], state["frozen"])
            bare = {**params, "decoder": drop_lora(params["decoder"])}
            return (
                list_log_probs(config, params, batch, grpo.temperature),
                list_log_probs(switch_off_lora(config), bare, batch, grpo.temperature),
            )

    return jax.jit(score, out_shardings=shard_rows(mesh))


def sum_policy_loss(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    grpo: GrpoConfig,
    dropout: Dropout | None = None,
) -> tuple[Array, Terms]:
    """(Σ of the loss, to be divided by Σ weight_bm; its terms and the share of clipped tokens)."""
    hidden = compute_hidden(config, params, batch, dropout)
    decoder = losses.gather_head(params["decoder"])

    def score(
        h: Array, y: Array, w: Array, advantage: Array, old: Array, reference: Array
    ) -> tuple[Array, Array, Array]:
        log_p = _score(decoder, h, y, grpo.temperature)
        # what has no weight may hold anything: a ratio of it must stay finite
        ratio = jnp.exp(jnp.where(w > 0, log_p - old, 0.0))
        clipped = jnp.clip(ratio, 1.0 - grpo.clip, 1.0 + grpo.clip)
        gained = jnp.minimum(ratio * advantage, clipped * advantage)
        more = jnp.where(w > 0, reference - log_p, 0.0)
        distance = jnp.exp(more) - more - 1.0
        is_clipped = ratio * advantage > clipped * advantage
        return jnp.sum(-w * gained), jnp.sum(w * distance), jnp.sum(w * is_clipped)

    names = ("target_bm", "weight_bm", "advantage_bm", "old_bm", "reference_bm")
    parts = (hidden, *(batch[name] for name in names))
    chunk = losses.choose_chunk(*batch["target_bm"].shape)
    policy, distance, clipped = losses.sum_chunks(score, parts, chunk=chunk)
    weight = jnp.sum(batch["weight_bm"])
    terms = {
        "policy": (policy, weight),
        "kl": (distance, weight),
        "clipped": (clipped, weight),
    }
    return policy + grpo.kl_weight * distance, terms


def make_policy_objective(config: SpeechLMConfig, grpo: GrpoConfig) -> Objective:
    """The loss of a batch whose targets have advantage_bm, old_bm and reference_bm."""

    def objective(
        params: Params, batch: dict[str, Array], dropout: Dropout | None
    ) -> tuple[Array, Terms]:
        return sum_policy_loss(config, params, batch, grpo, dropout)

    return objective
