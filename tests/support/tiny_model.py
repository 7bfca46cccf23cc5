"""The smallest speech LM, for tests: a float32 model of 32 dimensions whose parameters are all
random, none at zero."""

import dataclasses
import functools

import jax
import numpy as np

from sift_jax.models.presets import PROJECTORS, ModelConfig, make_model_config
from sift_jax.models.speech_lm import (
    SpeechLMConfig,
    compute_target_logits,
    encode_speech,
    init_params,
)
from sift_jax.training.losses import sum_loss

MODEL = ModelConfig(
    encoder="test",
    frame_mask=None,
    projector="pooled",
    projector_frames=4,
    decoder="test",
    fusion="splice",
    extra_tokens=0,
    lora_rank=0,
    lora_alpha=8.0,
    lora_targets=("q", "v"),
    quantized=None,
    soft_tokens=False,
    dtype="float32",
    remat="none",
    attention="plain",
    attention_block=512,
)

PROJECTORS["test-conformer"] = dataclasses.replace(
    PROJECTORS["conformer"], frames=2, width=24, heads=2
)
# SALM and SALM-XATT at small scale
SALM = {"encoder": "test-fastconformer", "projector": "test-conformer", "projector_frames": None}
SALM_XATT = {**SALM, "fusion": "cross"}


def make_config(**changes) -> SpeechLMConfig:
    return make_model_config(dataclasses.replace(MODEL, **changes))


@functools.cache
def make_params(config: SpeechLMConfig, seed: int = 0) -> dict:
    """Random everywhere: biases, norms and the adapters' silent half too, so that a test sees what
    they do."""
    params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(seed))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(np.float32), params
    )


# compiled once for each config and shape: outside of jit every call would compile the scanned
# stacks again
measure_loss = jax.jit(sum_loss, static_argnums=0)
measure_logits = jax.jit(compute_target_logits, static_argnums=0)
hear = jax.jit(encode_speech, static_argnums=0)


@functools.cache
def make_gradient(config: SpeechLMConfig):
    """(params, batch) → (summed loss, its gradient)."""
    return jax.jit(jax.value_and_grad(lambda params, batch: sum_loss(config, params, batch)[0]))
