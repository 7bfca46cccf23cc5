"""One step: the critics learn from what the vocoder makes now, then the vocoder from what the
critics say of it.

    batch ─► vocoder ─► made ─┬─► critics, their gradient ─► critics'
                              └─► losses under critics' ─► gradient at `made` ─► back through the vocoder, run once

State: {"step", "trainable": {"vocoder", "critics"}, "frozen": {}, "optimizer": the same two}, all
of it on every device; rows of a batch are spread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from sift_jax.codecs.vocoder.network import (
    VocoderConfig,
    hear_voice,
    init_vocoder,
    predict_durations,
    speak_units,
)
from sift_jax.field_ranges import CheckedConfig, Positive, Range
from sift_jax.parallel.mesh import replicate, shard_rows
from sift_jax.vocoder_training import losses as measured
from sift_jax.vocoder_training.discriminators import CriticsConfig, init_critics, judge
from sift_jax.vocoder_training.losses import VocoderLosses

State = dict[str, Any]
PARTS = ("vocoder", "critics")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocoderOptimizer(CheckedConfig):
    """AdamW for both; the rate falls by the same share each step."""

    learning_rate: Annotated[float, Range(least=0, most=10)]
    # what remains of it at the last step
    final_fraction: Annotated[float, Range(above=0, most=1)]
    beta1: Annotated[float, Range(least=0, below=1)]
    beta2: Annotated[float, Range(least=0, below=1)]
    weight_decay: Annotated[float, Range(least=0, most=1)]
    clip_norm: Positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class Networks:
    """All that a step is made of."""

    vocoder: VocoderConfig
    critics: CriticsConfig
    losses: VocoderLosses
    codes: int
    has_durations: bool
    # of a segment
    samples: int


def make_schedule(config: VocoderOptimizer, steps: int) -> optax.Schedule:
    return optax.exponential_decay(config.learning_rate, max(steps, 1), config.final_fraction)


def make_optimizer(config: VocoderOptimizer, steps: int) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            make_schedule(config, steps),
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
        ),
    )


def init_state(networks: Networks, optimizer: optax.GradientTransformation, seed: int) -> State:
    vocoder, critics = jax.random.split(jax.random.key(seed))
    params = {
        "vocoder": init_vocoder(
            networks.vocoder, vocoder, codes=networks.codes, has_durations=networks.has_durations
        ),
        "critics": init_critics(networks.critics, critics, networks.samples),
    }
    return {
        "step": jnp.zeros((), jnp.int32),
        "trainable": params,
        "frozen": {},
        "optimizer": {part: optimizer.init(params[part]) for part in PARTS},
    }


def describe_state(
    networks: Networks, optimizer: optax.GradientTransformation, seed: int, mesh: Mesh
) -> State:
    """Shapes and where they lie."""
    abstract = jax.eval_shape(lambda: init_state(networks, optimizer, seed))
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicate(mesh)), abstract
    )


def make_step(networks: Networks, optimizer: optax.GradientTransformation, mesh: Mesh) -> Callable:
    """(state, batch) → (state, metrics), compiled for the mesh."""

    def run(vocoder: dict, batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array | None]:
        voice = hear_voice(networks.vocoder, vocoder, batch["mel_bsf"], batch["mel_length_b"])
        made = speak_units(networks.vocoder, vocoder, batch["ids_bt"], voice)
        if not networks.has_durations:
            return made, None
        return made, predict_durations(vocoder, batch["runs_br"], batch["run_length_b"])

    def measure(
        outputs: tuple, critics: dict, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        (made, durations), real, weights = outputs, batch["wave_bn"], networks.losses
        adversarial, feature = measured.measure_deception(
            judge(networks.critics, critics, real), judge(networks.critics, critics, made)
        )
        found = {
            "mel": measured.measure_mel_distance(made, real, weights),
            "adversarial": adversarial,
            "feature": feature,
            "spectrum": measured.measure_spectrum_distance(made, real, weights),
        }
        if durations is not None:
            found["duration"] = measured.measure_durations(
                durations, batch["run_frames_br"], batch["run_length_b"]
            )
        total = (
            weights.mel_weight * found["mel"]
            + weights.spectrum_weight * found["spectrum"]
            + weights.adversarial_weight * adversarial
            + weights.feature_weight * feature
        )
        return total + weights.duration_weight * found.get("duration", 0.0), found

    def measure_critics(critics: dict, made: jax.Array, real: jax.Array) -> jax.Array:
        return measured.measure_critics(
            judge(networks.critics, critics, real), judge(networks.critics, critics, made)
        )

    def update(part: str, state: State, gradient: dict) -> tuple[dict, Any]:
        changes, moments = optimizer.update(
            gradient, state["optimizer"][part], state["trainable"][part]
        )
        return optax.apply_updates(state["trainable"][part], changes), moments

    def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        outputs, pull_back = jax.vjp(
            lambda vocoder: run(vocoder, batch), state["trainable"]["vocoder"]
        )
        lost, gradient = jax.value_and_grad(measure_critics)(
            state["trainable"]["critics"], outputs[0], batch["wave_bn"]
        )
        critics, critics_moments = update("critics", state, gradient)
        (total, found), at_outputs = jax.value_and_grad(measure, has_aux=True)(
            outputs, critics, batch
        )
        (gradient,) = pull_back(at_outputs)
        vocoder, vocoder_moments = update("vocoder", state, gradient)
        new = {
            "step": state["step"] + 1,
            "trainable": {"vocoder": vocoder, "critics": critics},
            "frozen": {},
            "optimizer": {"vocoder": vocoder_moments, "critics": critics_moments},
        }
        return new, {
            "loss": total,
            "critics": lost,
            "grad_norm": optax.tree.norm(gradient),
            **found,
        }

    whole, rows = replicate(mesh), shard_rows(mesh)
    return jax.jit(step, donate_argnums=0, in_shardings=(whole, rows), out_shardings=(whole, whole))
