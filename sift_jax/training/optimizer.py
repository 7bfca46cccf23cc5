"""AdamW with warm-up and a cosine decay, over the trainable parameters only."""

from __future__ import annotations

import dataclasses

import jax
import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    peak_learning_rate: float
    warmup_steps: int
    # what remains of the peak at the last step; 1.0 keeps it constant after warm-up
    final_fraction: float
    weight_decay: float
    beta1: float
    beta2: float
    clip_norm: float


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    if config.warmup_steps >= steps:
        raise ValueError(
            f"warm-up of {config.warmup_steps} steps does not fit in a run of {steps}; lower WARMUP_STEPS or raise STEPS"
        )
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.peak_learning_rate,
        warmup_steps=config.warmup_steps,
        decay_steps=steps,
        end_value=config.peak_learning_rate * config.final_fraction,
    )


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    def has_decay(params):
        # norms, biases and embeddings are left alone: a stacked bias is 2-d, so names decide, not ranks
        return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key in ("kernel", "lora_a", "lora_b"), params)

    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            make_schedule(config, steps),
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=has_decay,
        ),
    )
