"""One step: loss over the batch, gradients for the trainable tree alone, one update.

    state, batch ─► microbatches ─► Σ loss / Σ weight, their gradients added up ─► guard ─► optimizer ─► state, metrics

The weight is that of the whole batch, known before anything is computed: so microbatches of unequal
weight, and shards of unequal weight, add up to exactly the gradient of one large batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped

from sift_jax.checkpoints.train_state import State, join_params, shard_state
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Dropout, Params, SpeechLMConfig, compute_hidden
from sift_jax.parallel.compiler_options import find_compiler_options
from sift_jax.parallel.mesh import replicate, shard_pieces, shard_rows
from sift_jax.training.losses import (
    Objective,
    Terms,
    choose_chunk,
    list_cross_entropy,
    make_objective,
)
from sift_jax.training.other_audio import swap_audio
from sift_jax.training.regularization import draw_noise
from sift_jax.training.run_config import RegularizationConfig


def split_rows(batch: dict[str, Array], pieces: int) -> dict[str, Array]:
    """A leading axis of pieces. Every piece takes rows of every shard, so that no row moves to
    another device."""
    return {
        # Rows 0…7 on four devices of two rows each, in two pieces: rows 0, 2, 4, 6 and 1, 3, 5, 7,
        # so that each device has a row of each piece.
        key: jnp.swapaxes(x.reshape(len(x) // pieces, pieces, *x.shape[1:]), 0, 1)
        for key, x in batch.items()
    }


def compute_gradients(
    config: SpeechLMConfig,
    state: State,
    batch: dict[str, Array],
    *,
    microbatches: int,
    mesh: Mesh,
    dropout: Dropout | None = None,
    objective: Objective | None = None,
) -> tuple[Array, Array, Params, Terms]:
    """(mean loss, Σ weight, gradients of the mean loss for the trainable tree, its terms); the
    cross-entropy if no objective is given."""
    objective = objective or make_objective(config)
    # Of the whole batch, before it is cut: each piece's loss is divided by it, and the pieces'
    # gradients then simply add up. A mean of the pieces' means would weigh a piece with few targets
    # as much as one with many.
    weight = jnp.sum(batch["weight_bm"])

    def mean_loss(
        trainable: Params, piece: dict[str, Array], dropout: Dropout | None = None
    ) -> tuple[Array, Terms]:
        total, terms = objective(join_params(trainable, state["frozen"]), piece, dropout)
        return total / jnp.maximum(weight, 1.0), terms

    differentiate = jax.value_and_grad(mean_loss, has_aux=True)
    if microbatches == 1:
        (loss, terms), grads = differentiate(state["trainable"], batch, dropout)
        return loss, weight, grads, terms
    pieces = jax.lax.with_sharding_constraint(split_rows(batch, microbatches), shard_pieces(mesh))

    def add(sums: tuple, part: tuple[dict[str, Array], Array]) -> tuple[tuple, None]:
        # scan keeps one piece's activations in memory at a time.
        piece, number = part
        # each piece leaves out values of its own
        own = dropout and dropout._replace(key=jax.random.fold_in(dropout.key, number))
        return jax.tree.map(jnp.add, sums, differentiate(state["trainable"], piece, own)), None

    first = jax.tree.map(lambda x: x[0], pieces)
    # the rate of the dropout is a number of Python's, and no argument
    described = jax.eval_shape(
        lambda trainable, piece: differentiate(trainable, piece, dropout),
        state["trainable"],
        first,
    )
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), described)
    ((loss, terms), grads), _ = jax.lax.scan(add, nothing, (pieces, jnp.arange(microbatches)))
    return loss, weight, grads, terms


def make_train_step(
    config: SpeechLMConfig,
    optimizer: optax.GradientTransformationExtraArgs,
    state: State,
    mesh: Mesh,
    *,
    microbatches: int,
    regularization: RegularizationConfig | None = None,
    seed: int = 0,
    objective: Objective | None = None,
) -> Wrapped:
    """The jitted step for states shaped like `state` (arrays or shapes) on `mesh`; the state passed
    in is consumed. `seed` and the step decide what regularization hides. An objective other than the
    cross-entropy has its terms told beside the loss."""

    def train_step(state: State, batch: dict[str, Array]) -> tuple[State, dict[str, Array]]:
        # kernels that XLA cannot spread by itself read the mesh from here
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            batch, dropout = draw_noise(regularization, seed, state["step"], batch)
            loss, weight, grads, terms = compute_gradients(
                config,
                state,
                batch,
                microbatches=microbatches,
                mesh=mesh,
                dropout=dropout,
                objective=objective,
            )
        # The guard inside reads the loss: not finite, or a spike of the gradient, and the update is
        # zero.
        with jax.named_scope("optimizer"):
            updates, optimizer_state = optimizer.update(
                grads, state["optimizer"], state["trainable"], value=loss
            )
        new_state = {
            "step": state["step"] + 1,
            "trainable": optax.apply_updates(state["trainable"], updates),
            "frozen": state["frozen"],
            "optimizer": optimizer_state,
        }
        return new_state, {
            "loss": loss,
            "grad_norm": optax.tree.norm(grads),
            "targets": weight,
            "skipped": optimizer_state.skipped,
            "skipped_in_a_row": optimizer_state.skipped_in_a_row,
            **({"terms": terms} if terms else {}),
        }

    shardings = shard_state(state, mesh)
    return jax.jit(
        train_step,
        in_shardings=(shardings, shard_rows(mesh)),
        out_shardings=(shardings, replicate(mesh)),
        donate_argnums=0,
        compiler_options=find_compiler_options(mesh),
    )


def make_dev_step(
    config: SpeechLMConfig, mesh: Mesh, *, microbatches: int = 1, tasks: int | None = None
) -> Callable[[State, dict[str, Array]], dict[str, Array]]:
    """Sums of the loss, and of the loss of the targets that can hear another item's audio
    (paired_loss) beside their loss with that (swapped_loss), which is larger by the audio gain; and
    the weights of both.

    Over all of a batch; or of each of so many tasks: the batch then has the task of each target,
    task_bm. It is computed in as many pieces as the train step is, so that it takes no more memory
    than that.
    """

    def add(values_bm: Array, batch: dict[str, Array]) -> Array:
        if tasks is None:
            return jnp.sum(values_bm)
        # One sum per task, as a product with their one-hot vectors: losses 2 3 4 of tasks 0 1 0 are 6 3.
        is_of = batch["task_bm"][..., None] == jnp.arange(tasks)
        return jnp.sum(jnp.where(is_of, values_bm[..., None], 0.0), axis=(0, 1))

    def list_losses(params: Params, batch: dict[str, Array]) -> Array:
        hidden = compute_hidden(config, params, batch)
        return list_cross_entropy(
            params["decoder"],
            hidden,
            batch["target_bm"],
            chunk=choose_chunk(*batch["target_bm"].shape),
        )

    @functools.partial(
        jax.jit, out_shardings=replicate(mesh), compiler_options=find_compiler_options(mesh)
    )
    def dev_step(state: State, batch: dict[str, Array]) -> dict[str, Array]:
        params = join_params(state["trainable"], state["frozen"])

        def measure(pair: tuple[dict[str, Array], dict[str, Array]]) -> dict[str, Array]:
            own, swapped = pair
            own_bm, swapped_bm = list_losses(params, own), list_losses(params, swapped)
            return {
                "loss": add(own["weight_bm"] * own_bm, own),
                "weight": add(own["weight_bm"], own),
                "paired_loss": add(swapped["weight_bm"] * own_bm, own),
                "swapped_loss": add(swapped["weight_bm"] * swapped_bm, own),
                "paired_weight": add(swapped["weight_bm"], own),
            }

        # whose audio is whose is decided over the whole batch
        pair = (batch, swap_audio(batch, config.count_frames(batch["mel_basf"].shape[2])))
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            if microbatches == 1:
                return measure(pair)
            pieces = tuple(split_rows(each, microbatches) for each in pair)
            sums = jax.lax.map(
                measure, jax.lax.with_sharding_constraint(pieces, shard_pieces(mesh))
            )
            return jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)

    return dev_step
