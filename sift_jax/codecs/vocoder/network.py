"""A vocoder of units: what is said comes from the units, whose voice it is from a recording of that
voice.

    reference, log-mel [b, s, f] ─► strided convolutions ─► mean and deviation ─► voice [b, d]     (or the learnt one)
    ids [b, t] ─► embedding ─► (+ how long each lasts, where runs were made one) ─┬─► HiFi-GAN ─► samples [b, t · hop]
    voice [b, d] ─► at every frame ───────────────────────────────────────────────┘

Dims: b rows, t units or frames of units, s frames of mel, f mel bins, d widths.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sift_jax.codecs.vocoder.hifi_gan import Conv, HifiGan, HifiGanConfig, silence
from sift_jax.field_ranges import CheckedConfig, Count
from sift_jax.models.layers import LayerNorm, apply_module

Params = Mapping[str, Any]
_NORM_EPSILON = 1e-5
_VOICE_LAYERS, _VOICE_KERNEL = 3, 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocoderConfig(CheckedConfig):
    """The shape of a vocoder; how many codes there are is their codec's to say."""

    unit_width: Count
    voice_width: Count
    # what the reference is heard in
    mel_bins: Count
    generator: HifiGanConfig


def vocoder_from_json(raw: Mapping[str, Any]) -> VocoderConfig:
    """The config that `dataclasses.asdict` and JSON made this of."""

    def freeze(value: Any) -> Any:
        return tuple(freeze(item) for item in value) if isinstance(value, list | tuple) else value

    generator = HifiGanConfig(**{name: freeze(value) for name, value in raw["generator"].items()})
    return VocoderConfig(**{**raw, "generator": generator})


class VoiceEncoder(nn.Module):
    """One vector for all that does not change within a recording."""

    width: int

    @nn.compact
    def __call__(self, mel_bsf: jax.Array, length_b: jax.Array) -> jax.Array:
        x = silence(mel_bsf, length_b)
        for i in range(_VOICE_LAYERS):
            x = Conv(self.width, _VOICE_KERNEL, name=f"conv_{i}")(x)
            x = LayerNorm(_NORM_EPSILON, name=f"norm_{i}")(nn.leaky_relu(x, 0.1))
            # neighbours are halved by their mean, so that a length keeps its meaning
            x = silence(x, length_b)
            x = (
                jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0)))
                .reshape(len(x), -1, 2, self.width)
                .mean(2)
            )
            length_b = (length_b + 1) // 2
        count = length_b[:, None].astype(x.dtype)
        mean = x.sum(1) / count
        spread = silence((x - mean[:, None]) ** 2, length_b).sum(1) / count
        heard = jnp.concatenate([mean, jnp.sqrt(spread + _NORM_EPSILON)], axis=-1)
        return nn.Dense(self.width, name="out")(heard)


class DurationPredictor(nn.Module):
    """log(1 + frames) of each unit [b, t], from its neighbours."""

    @nn.compact
    def __call__(self, x: jax.Array, length_b: jax.Array | None = None) -> jax.Array:
        for i in range(2):
            x = nn.relu(Conv(x.shape[-1], 3, name=f"conv_{i}")(silence(x, length_b)))
            x = LayerNorm(_NORM_EPSILON, name=f"norm_{i}")(x)
        return nn.Dense(1, name="out")(x)[..., 0]


@functools.partial(jax.jit, static_argnums=0, static_argnames=("codes", "has_durations"))
def init_vocoder(
    config: VocoderConfig, key: jax.Array, *, codes: int, has_durations: bool
) -> Params:
    """Parameters at random."""
    keys = jax.random.split(key, 4)
    mel, ids = jnp.zeros((1, 8, config.mel_bins)), jnp.zeros((1, 2, config.unit_width))
    length = jnp.array([2])
    heard = jnp.zeros((1, 2, config.unit_width + config.voice_width))
    params = {
        "units": jax.random.normal(keys[0], (codes, config.unit_width)),
        "voice": VoiceEncoder(config.voice_width).init(keys[1], mel, length)["params"],
        "any_voice": jnp.zeros(config.voice_width),
        "generator": HifiGan(config.generator).init(keys[2], heard)["params"],
    }
    if has_durations:
        params["durations"] = DurationPredictor().init(keys[3], ids, length)["params"]
    return params


def hear_voice(
    config: VocoderConfig, params: Params, mel_bsf: jax.Array, length_b: jax.Array
) -> jax.Array:
    """The voice [b, d] of each reference, of whose frames the first `length_b` are real; with none,
    the learnt one."""
    heard = apply_module(
        VoiceEncoder(config.voice_width), params["voice"], mel_bsf, jnp.maximum(length_b, 1)
    )
    return jnp.where(length_b[:, None] > 0, heard, params["any_voice"])


def speak_units(
    config: VocoderConfig,
    params: Params,
    ids_bt: jax.Array,
    voice_bd: jax.Array,
    length_b: jax.Array | None = None,
) -> jax.Array:
    """Samples [b, t · hop] of a unit a frame."""
    voice = jnp.broadcast_to(voice_bd[:, None], (*ids_bt.shape, voice_bd.shape[-1]))
    x = jnp.concatenate([params["units"][ids_bt], voice], axis=-1)
    return apply_module(HifiGan(config.generator), params["generator"], x, length_b)


def predict_durations(params: Params, ids_bt: jax.Array, length_b: jax.Array) -> jax.Array:
    """log(1 + frames) of units of which no two neighbours are alike [b, t]."""
    x = params["units"][ids_bt]
    return apply_module(DurationPredictor(), params["durations"], x, length_b)


@functools.partial(jax.jit, static_argnums=0)
def hear(
    config: VocoderConfig, params: Params, mel_bsf: jax.Array, length_b: jax.Array
) -> jax.Array:
    return hear_voice(config, params, mel_bsf, length_b)


@functools.partial(jax.jit, static_argnums=0)
def speak(
    config: VocoderConfig,
    params: Params,
    ids_bt: jax.Array,
    voice_bd: jax.Array,
    length_b: jax.Array,
) -> jax.Array:
    return speak_units(config, params, ids_bt, voice_bd, length_b)


@jax.jit
def predict(params: Params, ids_bt: jax.Array, length_b: jax.Array) -> jax.Array:
    """Frames of each unit, at least one."""
    return jnp.maximum(jnp.round(jnp.expm1(predict_durations(params, ids_bt, length_b))), 1).astype(
        jnp.int32
    )
