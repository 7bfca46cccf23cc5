"""Direct preference optimisation (DPO): of two answers to a question the one that was chosen becomes
likelier than the other, compared with what a reference says of both.

    policy      LoRA on   ─► Σ log p of each answer ┐  h = β · (log p − log q), an answer's implicit reward
    reference   LoRA off  ─► Σ log q of each answer ┴─► margin = h(chosen) − h(rejected) ─► −log σ(margin)

A pair is a group of a row: its prompt once, segment 1 the chosen answer, segment 2 the rejected one.
Both passes are over the same arrays in one step, and the reference's has no gradient. The reference
is the model that the run starts from: only where LoRA says nothing at the start is that LoRA off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from sift_jax.checkpoints.train_state import State, join_params
from sift_jax.field_ranges import CheckedConfig, Positive
from sift_jax.models.layers import Array
from sift_jax.models.lora_off import drop_lora, switch_off_lora
from sift_jax.models.speech_lm import Dropout, Params, SpeechLMConfig, compute_hidden
from sift_jax.parallel.distributed import fetch
from sift_jax.parallel.mesh import replicate, shard_pieces
from sift_jax.training import losses
from sift_jax.training.losses import Objective, Terms
from sift_jax.training.step import split_rows

CHOSEN, REJECTED = 1, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class DpoConfig(CheckedConfig):
    """How a pair of answers is learnt from."""

    # how much a margin counts: the larger, the nearer the policy stays to the reference
    beta: Positive
    # an answer's mean over its tokens in place of its sum, so that long answers weigh no more
    is_length_normalized: bool


def check_preference(trainable: Params) -> None:
    """ValueError where the reference, the model without LoRA, would move with the policy."""
    others = sorted(path for path in flatten_dict(trainable, sep="/") if "/lora_" not in path)
    if others:
        raise ValueError(
            f"RunConfig.trainable trains {others[0]}, and the reference of DPO is the same model "
            "with LoRA off; train LoRA alone: TRAINABLE = ('.*/lora_.*',)"
        )


def check_reference(trainable: Params) -> None:
    """ValueError where the adapters of a first state say something: LoRA off is then not the model
    that the run starts from."""
    second = {k: x for k, x in flatten_dict(trainable, sep="/").items() if k.endswith("lora_b")}
    moved = [path for path, x in sorted(second.items()) if fetch(jnp.any(jnp.asarray(x) != 0))]
    if moved:
        raise ValueError(
            f"the run starts from trained adapters ({moved[0]}), and the reference of DPO is the "
            "model with LoRA off; merge them: python -m sift_jax.export --checkpoint=RUN "
            "--out=EXPORT --format=sift, then START_MODEL = 'EXPORT' and no START_RUN"
        )


def list_log_probs(config: SpeechLMConfig, params: Params, batch: dict[str, Array]) -> Array:
    """log p of every target (b, m)."""
    hidden = compute_hidden(config, params, batch)
    return -losses.list_cross_entropy(
        params["decoder"],
        hidden,
        batch["target_bm"],
        chunk=losses.choose_chunk(*batch["target_bm"].shape),
    )


def sum_answers(batch: dict[str, Array], values_bm: Array) -> tuple[Array, Array, Array]:
    """(sums over the chosen and over the rejected answers, tokens of both): (2, b, p) each; and
    which of the p pairs a row has."""
    segment_bm = jnp.take_along_axis(batch["segment_bt"], batch["predict_bm"], axis=1)
    # weight_bm is 1 where a pair begins: 1 0 0 0 1 0 0 counts them as 1 1 1 1 2 2 2. What fills the
    # row up belongs to the last pair by that, and by its segment to none.
    number_bm = jnp.cumsum(batch["weight_bm"], axis=1)
    # two targets a pair at least
    pairs = jnp.arange(1, batch["target_bm"].shape[1] // 2 + 1)
    is_of = number_bm[:, :, None] == pairs

    def add(x_bm: Array) -> Array:
        # one sum a pair as in a product with one-hot vectors, which adds up in the same order always
        return jnp.sum(jnp.where(is_of, x_bm[:, :, None], 0.0), axis=1)

    sides = [segment_bm == side for side in (CHOSEN, REJECTED)]
    sums = jnp.stack([add(jnp.where(side, values_bm, 0.0)) for side in sides])
    tokens = jnp.stack([add(side.astype(jnp.float32)) for side in sides])
    return sums, tokens, pairs <= number_bm[:, -1:]


def sum_preference_loss(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    dpo: DpoConfig,
) -> tuple[Array, Terms]:
    """(Σ of the loss over pairs, to be divided by Σ weight_bm, their number; its terms)."""
    bare = jax.lax.stop_gradient({**params, "decoder": drop_lora(params["decoder"])})
    reference_bm = list_log_probs(switch_off_lora(config), bare, batch)
    ratio_bm = list_log_probs(config, params, batch) - jax.lax.stop_gradient(reference_bm)
    sums, tokens, is_pair = sum_answers(batch, ratio_bm)
    if dpo.is_length_normalized:
        sums = sums / jnp.maximum(tokens, 1.0)
    chosen, rejected = dpo.beta * sums
    margin = chosen - rejected

    def add(values: Array) -> Array:
        return jnp.sum(jnp.where(is_pair, values, 0.0))

    pairs = jnp.sum(batch["weight_bm"])
    # of two that are equal neither is preferred
    is_right = (margin > 0) + 0.5 * (margin == 0)
    values = {
        "margin": margin,
        "pair_accuracy": is_right,
        "chosen_reward": chosen,
        "rejected_reward": rejected,
    }
    terms = {name: (add(each), pairs) for name, each in values.items()}
    return add(-jax.nn.log_sigmoid(margin)), terms


def make_preference_objective(config: SpeechLMConfig, dpo: DpoConfig) -> Objective:
    """The loss of a batch whose groups are pairs."""

    def objective(
        params: Params, batch: dict[str, Array], dropout: Dropout | None
    ) -> tuple[Array, Terms]:
        return sum_preference_loss(config, params, batch, dpo)

    return objective


def make_pair_dev_step(
    config: SpeechLMConfig, dpo: DpoConfig, mesh: Mesh, *, microbatches: int
) -> Callable[[State, dict[str, Array]], Terms]:
    """The loss and its terms over a batch that is held out, in as many pieces as the train step."""

    def dev_step(state: State, batch: dict[str, Array]) -> Terms:
        params = join_params(state["trainable"], state["frozen"])

        def measure(piece: dict[str, Array]) -> Terms:
            total, terms = sum_preference_loss(config, params, piece, dpo)
            return {"loss": (total, jnp.sum(piece["weight_bm"])), **terms}

        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            pieces = split_rows(batch, microbatches)
            sums = jax.lax.map(
                measure, jax.lax.with_sharding_constraint(pieces, shard_pieces(mesh))
            )
            return jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)

    return jax.jit(dev_step, out_shardings=replicate(mesh))
