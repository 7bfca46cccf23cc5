"""What a vocoder is trained for: the spectra of the recording, and to pass for one.

    made, real [b, n] ─► log-mel distance ─► spectra at several resolutions
                      ─► critics: verdicts (1 a recording, 0 made), what their layers saw
    frames of units predicted and counted ─► squared distance of logarithms

Every loss is a mean over what it looks at; a mean over rows is one over all devices.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from sift_jax.audio.whisper_mel import make_mel_filters
from sift_jax.field_ranges import CheckedConfig, Count, NotNegative
from sift_jax.vocoder_training.stft import check_resolution, measure_magnitudes

_LEAST = 1e-5
Judged = list[tuple[jax.Array, list[jax.Array]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocoderLosses(CheckedConfig):
    """What counts how much; a weight of 0 leaves a loss out of the sum."""

    mel_weight: NotNegative
    mel_bins: Count
    # (fft, hop, window)
    mel_resolution: tuple[Count, ...]
    spectrum_weight: NotNegative
    spectrum_resolutions: tuple[tuple[Count, ...], ...]
    feature_weight: NotNegative
    adversarial_weight: NotNegative
    duration_weight: NotNegative

    def __post_init__(self) -> None:
        super().__post_init__()
        for resolution in (self.mel_resolution, *self.spectrum_resolutions):
            check_resolution(*resolution)


def measure_mel_distance(made: jax.Array, real: jax.Array, config: VocoderLosses) -> jax.Array:
    filters = make_mel_filters(config.mel_bins, config.mel_resolution[0])

    def hear(wave: jax.Array) -> jax.Array:
        return jnp.log(
            jnp.maximum(measure_magnitudes(wave, *config.mel_resolution) @ filters, _LEAST)
        )

    return jnp.abs(hear(made) - hear(real)).mean()


def measure_spectrum_distance(made: jax.Array, real: jax.Array, config: VocoderLosses) -> jax.Array:
    """Of magnitudes: the distance as a share of what there is, and that of their logarithms."""
    total = jnp.zeros(())
    for resolution in config.spectrum_resolutions:
        x, y = (measure_magnitudes(wave, *resolution) for wave in (made, real))
        share = jnp.sqrt(((x - y) ** 2).sum() / (y**2).sum())
        total += share + jnp.abs(jnp.log(x) - jnp.log(y)).mean()
    return total / max(len(config.spectrum_resolutions), 1)


def measure_critics(of_real: Judged, of_made: Judged) -> jax.Array:
    """What the critics are to bring down."""
    losses = [
        ((real - 1) ** 2).mean() + (made**2).mean()
        for (real, _), (made, _) in zip(of_real, of_made, strict=True)
    ]
    return functools.reduce(jnp.add, losses) / len(of_real)


def measure_deception(of_real: Judged, of_made: Judged) -> tuple[jax.Array, jax.Array]:
    """(adversarial, feature) losses of what is made."""
    errors = [((made - 1) ** 2).mean() for made, _ in of_made]
    distances = [
        jnp.abs(x - y).mean()
        for (_, real), (_, made) in zip(of_real, of_made, strict=True)
        for x, y in zip(real, made, strict=True)
    ]
    return (
        functools.reduce(jnp.add, errors) / len(errors),
        functools.reduce(jnp.add, distances) / len(distances),
    )


def measure_durations(predicted: jax.Array, frames: jax.Array, length_b: jax.Array) -> jax.Array:
    is_real = jnp.arange(frames.shape[1]) < length_b[:, None]
    squares = jnp.where(is_real, (predicted - jnp.log1p(frames)) ** 2, 0.0)
    return squares.sum() / jnp.maximum(is_real.sum(), 1)
