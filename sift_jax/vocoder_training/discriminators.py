"""The networks that tell what is made from what was recorded: some fold time by a period, some look
at spectra.

    waves [b, n] ─► every p-th sample a row [b · p, n / p] ─► strided convolutions ─┬─► verdicts, one a place
    waves [b, n] ─► magnitudes [b, t, bins] ─► convolutions over both ──────────────┴─► what each layer saw

Kernels are weight-normed: direction and length are parameters of their own. Dims: b rows, n
samples, p periods.
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from sift_jax.field_ranges import CheckedConfig, Count
from sift_jax.vocoder_training.stft import check_resolution, measure_magnitudes

_SLOPE = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class CriticsConfig(CheckedConfig):
    # in samples; primes see different things
    periods: tuple[Count, ...]
    # of the strided layers over a period, one after the other
    period_channels: tuple[Count, ...]
    # (fft, hop, window) of each spectrum
    resolutions: tuple[tuple[Count, ...], ...]
    spectrum_channels: Count

    def __post_init__(self) -> None:
        super().__post_init__()
        for resolution in self.resolutions:
            check_resolution(*resolution)
        if not self.periods and not self.resolutions:
            raise ValueError("there must be a critic; give CriticsConfig periods or resolutions")


class NormedConv(nn.Module):
    """A convolution over one or two axes; `same` padding by hand, as strides shorten it."""

    features: int
    width: tuple[int, ...]
    stride: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.width, x.shape[-1], self.features)
        direction = self.param("direction", nn.initializers.he_normal(), shape)
        norm = jnp.sqrt((direction**2).sum(range(len(shape) - 1)) + 1e-12)
        size = self.param("size", lambda key: norm)
        places = ("NWC", "WIO", "NWC") if len(self.width) == 1 else ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(
            x,
            direction * (size / norm),
            self.stride,
            [((k - 1) // 2, (k - 1) // 2) for k in self.width],
            dimension_numbers=places,
        )
        return y + self.param("bias", nn.initializers.zeros, (self.features,))


class PeriodCritic(nn.Module):
    period: int
    channels: tuple[int, ...]

    @nn.compact
    def __call__(self, wave_bn: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        # Of period 3, samples 0 1 2 3 4 5 are the rows 0 3, 1 4, 2 5: each a wave of its own, so that
        # a convolution along it compares samples three apart.
        x = jnp.pad(wave_bn, ((0, 0), (0, -wave_bn.shape[1] % self.period)), mode="reflect")
        x = (
            x.reshape(len(x), -1, self.period)
            .transpose(0, 2, 1)
            .reshape(-1, x.shape[1] // self.period, 1)
        )
        seen = []
        for i, channels in enumerate(self.channels):
            stride = 3 if i < len(self.channels) - 1 else 1
            x = nn.leaky_relu(NormedConv(channels, (5,), (stride,), name=f"conv_{i}")(x), _SLOPE)
            seen.append(x)
        return NormedConv(1, (3,), (1,), name="out")(x), seen


class SpectrumCritic(nn.Module):
    resolution: tuple[int, ...]
    channels: int

    @nn.compact
    def __call__(self, wave_bn: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        x, seen = measure_magnitudes(wave_bn, *self.resolution)[..., None], []
        for i, stride in enumerate((1, 2, 2, 2)):
            x = nn.leaky_relu(
                NormedConv(self.channels, (3, 9), (1, stride), name=f"conv_{i}")(x), _SLOPE
            )
            seen.append(x)
        x = nn.leaky_relu(NormedConv(self.channels, (3, 3), (1, 1), name="last")(x), _SLOPE)
        return NormedConv(1, (3, 3), (1, 1), name="out")(x), [*seen, x]


class Critics(nn.Module):
    config: CriticsConfig

    @nn.compact
    def __call__(self, wave_bn: jax.Array) -> list[tuple[jax.Array, list[jax.Array]]]:
        """(verdicts, what each layer saw) of every critic."""
        config = self.config
        found = [
            PeriodCritic(period, config.period_channels, name=f"period_{period}")(wave_bn)
            for period in config.periods
        ]
        return found + [
            SpectrumCritic(tuple(resolution), config.spectrum_channels, name=f"spectrum_{i}")(
                wave_bn
            )
            for i, resolution in enumerate(config.resolutions)
        ]


def init_critics(config: CriticsConfig, key: jax.Array, samples: int) -> dict:
    return Critics(config).init(key, jnp.zeros((1, samples)))["params"]


def judge(
    config: CriticsConfig, params: dict, wave_bn: jax.Array
) -> list[tuple[jax.Array, list[jax.Array]]]:
    judged = Critics(config).apply({"params": params}, wave_bn)
    if isinstance(judged, tuple):
        raise TypeError("Critics returns a list, one entry a critic")
    return judged
