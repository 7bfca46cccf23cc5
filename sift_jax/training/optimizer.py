"""AdamW, or Muon for matrices and AdamW for the rest, with warm-up and a cosine decay; trainable
parameters only.

Muon's steps have the same size in every direction of a matrix. A model that learns to hear and to
speak at once needs that: the gradient of its language drowns that of its hearing, and with AdamW it
stays deaf about twice as long.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from sift_jax.field_ranges import CheckedConfig, Positive, Range, Share, Whole
from sift_jax.models.speech_lm import Params
from sift_jax.training.gradient_guard import guard_updates


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig(CheckedConfig):
    peak_learning_rate: Annotated[float, Range(least=0, most=10)]
    # the peak for matrices under Muon; None trains them by AdamW like the rest
    muon_learning_rate: Annotated[float, Range(least=0, most=10)] | None
    warmup_steps: Whole
    # what remains of the peak at the last step; 1.0 keeps it constant after warm-up
    final_fraction: Share
    weight_decay: Annotated[float, Range(least=0, most=1)]
    beta1: Annotated[float, Range(least=0, below=1)]
    beta2: Annotated[float, Range(least=0, below=1)]
    clip_norm: Positive
    # an update whose gradient is so many times larger than usual is left out; None leaves out only
    # what is not finite
    spike_factor: Annotated[float, Range(above=1)] | None


def make_schedule(config: OptimizerConfig, steps: int, peak: float) -> optax.Schedule:
    if config.warmup_steps >= steps:
        raise ValueError(
            f"warm-up of {config.warmup_steps} steps does not fit in a run of {steps}; "
            "lower WARMUP_STEPS or raise STEPS"
        )
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=peak,
        warmup_steps=config.warmup_steps,
        decay_steps=steps,
        end_value=peak * config.final_fraction,
    )


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformationExtraArgs:
    schedule = make_schedule(config, steps, config.peak_learning_rate)
    if config.muon_learning_rate is None:
        update = optax.adamw(
            schedule,
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=_has_decay,
        )
    else:
        update = muon(
            make_schedule(config, steps, config.muon_learning_rate),
            weight_decay=config.weight_decay,
            adam_learning_rate=schedule,
            adam_b1=config.beta1,
            adam_b2=config.beta2,
            muon_weight_dimension_numbers=_name_matrix_axes,
            # makes the size of a step that of AdamW's, whatever the shape
            consistent_rms=0.2,
        )
    return guard_updates(
        optax.chain(optax.clip_by_global_norm(config.clip_norm), update), config.spike_factor
    )


def _has_decay(params: Params) -> Params:
    # norms, biases and embeddings are left alone: a stacked bias is 2-d, so names decide, not ranks
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key in ("kernel", "lora_a", "lora_b"), params
    )


def _name_matrix_axes(params: Params) -> Params:
    """Input and output axes of the kernels; None for what AdamW trains."""

    def name(path: tuple, leaf: jax.Array) -> MuonDimensionNumbers | None:
        if path[-1].key != "kernel":
            return None
        # Scanned layers lie in one array, (layers, in, out): each layer is a matrix of its own.
        if "blocks" in (part.key for part in path):
            return MuonDimensionNumbers(1, 2)
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(name, params)
