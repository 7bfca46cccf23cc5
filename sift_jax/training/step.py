"""One step: loss over the batch, gradients for the trainable tree alone, one update.

    state, batch ─► Σ loss, Σ weight ─► gradients of Σ/Σ ─► optimizer ─► state, {"loss", "grad_norm", "targets"}
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params, SpeechLMConfig, compute_hidden
from sift_jax.parallel.mesh import replicate, shard_rows
from sift_jax.training.losses import sum_cross_entropy
from sift_jax.training.state import State, join_params, shard_state

LOSS_CHUNK = 64


def sum_loss(config: SpeechLMConfig, params: Params, batch: dict[str, Array]) -> tuple[Array, Array]:
    """(Σ weighted cross-entropy, Σ weight) of a batch."""
    hidden = compute_hidden(config, params, batch)
    total = sum_cross_entropy(
        params["decoder"], hidden, batch["target_bm"], batch["weight_bm"], chunk=LOSS_CHUNK
    )
    return total, jnp.sum(batch["weight_bm"])


def swap_audio(batch: dict[str, Array]) -> dict[str, Array]:
    """The same questions over other utterances' audio: every clip moves one place on, over rows and within them."""

    def roll(x: Array) -> Array:
        return jnp.roll(x.reshape(-1, *x.shape[2:]), 1, axis=0).reshape(x.shape)

    return {**batch, "mel_basf": roll(batch["mel_basf"]), "frames_ba": roll(batch["frames_ba"])}


def make_train_step(
    config: SpeechLMConfig, optimizer: optax.GradientTransformation, state: State, mesh: Mesh
) -> Callable[[State, dict[str, Array]], tuple[State, dict[str, Array]]]:
    """The jitted step for states shaped like `state` (arrays or shapes) on `mesh`; the state passed in is consumed."""

    def train_step(state: State, batch: dict[str, Array]) -> tuple[State, dict[str, Array]]:
        def mean_loss(trainable: Params) -> tuple[Array, Array]:
            total, weight = sum_loss(config, join_params(trainable, state["frozen"]), batch)
            return total / jnp.maximum(weight, 1.0), weight

        (loss, weight), grads = jax.value_and_grad(mean_loss, has_aux=True)(state["trainable"])
        updates, optimizer_state = optimizer.update(grads, state["optimizer"], state["trainable"])
        new_state = {
            "step": state["step"] + 1,
            "trainable": optax.apply_updates(state["trainable"], updates),
            "frozen": state["frozen"],
            "optimizer": optimizer_state,
        }
        return new_state, {"loss": loss, "grad_norm": optax.tree.norm(grads), "targets": weight}

    shardings = shard_state(state, mesh)
    return jax.jit(
        train_step,
        in_shardings=(shardings, shard_rows(mesh)),
        out_shardings=(shardings, replicate(mesh)),
        donate_argnums=0,
    )


def make_dev_step(config: SpeechLMConfig) -> Callable[[State, dict[str, Array]], dict[str, Array]]:
    """Sums of the loss with the right audio and with other utterances' audio: their difference is the audio gain."""

    @jax.jit
    def dev_step(state: State, batch: dict[str, Array]) -> dict[str, Array]:
        params = join_params(state["trainable"], state["frozen"])
        total, weight = sum_loss(config, params, batch)
        swapped, _ = sum_loss(config, params, swap_audio(batch))
        return {"loss": total, "swapped_loss": swapped, "weight": weight}

    return dev_step
