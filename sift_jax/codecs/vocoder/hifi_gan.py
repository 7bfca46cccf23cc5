"""HiFi-GAN's generator, and BigVGAN's, which is the same with another activation: features to
samples.

    x [b, t, d] ─► convolution ─► (activation ─► t × rate, half the channels ─► mean of residual blocks) × levels
        ─► activation ─► convolution ─► tanh ─► samples [b, t · hop]

A row may stand in a longer one: what lies behind its length changes nothing. No sample depends on
features further than `reach` away, so that a long row may be made in pieces. Dims: b rows, t
frames, c channels.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from sift_jax.codecs.vocoder import snake
from sift_jax.field_ranges import CheckedConfig, Count, Items, OneOf, Range

ACTIVATIONS = ("leaky_relu", "snake")
# of the last activation, whatever the others have
_LAST_SLOPE = 0.01
_ENDS = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class HifiGanConfig(CheckedConfig):
    """The shape of a generator; what of the input it hears follows from it."""

    # in front of the first level; each has half of the one before
    channels: Count
    # samples of a level to each of the one before
    rates: Annotated[tuple[Count, ...], Items(least=1)]
    rate_kernels: tuple[Count, ...]
    # of each level's residual blocks, whose mean is taken: width, and dilations one after the other
    block_kernels: Annotated[tuple[Count, ...], Items(least=1)]
    block_dilations: tuple[tuple[Count, ...], ...]
    activation: Annotated[str, OneOf(*ACTIVATIONS)]
    # of leaky ReLU; snake has none
    slope: Annotated[float, Range(least=0, below=1)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.rates) != len(self.rate_kernels) or len(self.block_kernels) != len(
            self.block_dilations
        ):
            raise ValueError(
                "HifiGanConfig needs a rate_kernel for each rate and dilations for each "
                "block_kernel"
            )
        for rate, kernel in zip(self.rates, self.rate_kernels, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(
                    f"a kernel of {kernel} cannot make {rate} samples of one; take {rate}, or "
                    f"{rate} and an even number more"
                )
        if even := [kernel for kernel in self.block_kernels if kernel % 2 == 0]:
            raise ValueError(f"a residual block's kernel of {even[0]} has no middle; take odd ones")
        if self.channels % 2 ** len(self.rates):
            raise ValueError(
                f"{self.channels} channels cannot be halved {len(self.rates)} times; take a "
                f"multiple of {2 ** len(self.rates)}"
            )

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return math.prod(self.rates)

    @property
    def reach(self) -> int:
        """Frames to either side of which a sample knows."""
        soft = snake.REACH if self.activation == "snake" else 0
        frames, samples = float(_ENDS // 2), 1
        for rate, kernel in zip(self.rates, self.rate_kernels, strict=True):
            frames += (soft + math.ceil(kernel / rate)) / samples
            samples *= rate
            frames += (
                max(
                    sum((k - 1) * (d + 1) // 2 + 2 * soft for d in dilations)
                    for k, dilations in zip(self.block_kernels, self.block_dilations, strict=True)
                )
                / samples
            )
        return math.ceil(frames + (soft + _ENDS // 2) / samples)


class Conv(nn.Module):
    """A convolution that gives as many times as came in."""

    features: int
    width: int
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (self.width, x.shape[-1], self.features)
        )
        half = (self.width - 1) * self.dilation // 2
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (1,),
            [(half, half)],
            rhs_dilation=(self.dilation,),
            dimension_numbers=("NWC", "WIO", "NWC"),
        )
        return y + self.param("bias", nn.initializers.zeros, (self.features,))


class Upsample(nn.Module):
    """A transposed convolution [b, t, c] ─► [b, t · rate, features], as one product and sums of what overlaps."""

    features: int
    width: int
    rate: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (self.width, x.shape[-1], self.features)
        )
        # A kernel of 16 at rate 8 gives each frame 16 samples: 8 of its own and 8 that fall on the
        # next frame's. As two turns of 8: one product for both, the second laid a frame later.
        turns = -(-self.width // self.rate)
        whole = jnp.pad(kernel, ((0, turns * self.rate - self.width), (0, 0), (0, 0)))
        whole = whole.transpose(1, 0, 2).reshape(x.shape[-1], turns, self.rate * self.features)
        pieces = jnp.einsum("btc,cmf->mbtf", x, whole)
        late = (jnp.pad(pieces[m], ((0, 0), (m, turns - 1 - m), (0, 0))) for m in range(turns))
        rows = functools.reduce(jnp.add, late)
        # what a transposed convolution with padding (width − rate) / 2 leaves out at the ends
        first = (self.width - self.rate) // 2
        y = rows.reshape(len(x), -1, self.features)[:, first : first + x.shape[1] * self.rate]
        return y + self.param("bias", nn.initializers.zeros, (self.features,))


class Activation(nn.Module):
    kind: str
    slope: float

    @nn.compact
    def __call__(self, x: jax.Array, length_b: jax.Array | None) -> jax.Array:
        if self.kind == "leaky_relu":
            return nn.leaky_relu(x, self.slope)
        alpha, beta = (
            self.param(name, nn.initializers.zeros, (x.shape[-1],)) for name in ("alpha", "beta")
        )
        return snake.snake_smoothly(x, alpha, beta, length_b, holds_ends=False)


class ResidualBlock(nn.Module):
    config: HifiGanConfig
    width: int
    dilations: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array, length_b: jax.Array | None) -> jax.Array:
        for i, dilation in enumerate(self.dilations):
            y = x
            for half, spread in (("first", dilation), ("second", 1)):
                y = Activation(
                    self.config.activation, self.config.slope, name=f"{half}_activation_{i}"
                )(y, length_b)
                y = silence(Conv(x.shape[-1], self.width, spread, name=f"{half}_{i}")(y), length_b)
            x = x + y
        return x


class HifiGan(nn.Module):
    config: HifiGanConfig

    @nn.compact
    def __call__(self, x: jax.Array, length_b: jax.Array | None = None) -> jax.Array:
        """Samples [b, t · hop] of features [b, t, d] of whose rows the first `length_b` frames are
        real."""
        config = self.config
        x = silence(Conv(config.channels, _ENDS, name="before")(silence(x, length_b)), length_b)
        for level, (rate, kernel) in enumerate(zip(config.rates, config.rate_kernels, strict=True)):
            x = Activation(config.activation, config.slope, name=f"activation_{level}")(x, length_b)
            x = Upsample(x.shape[-1] // 2, kernel, rate, name=f"up_{level}")(x)
            length_b = length_b if length_b is None else length_b * rate
            x = silence(x, length_b)
            blocks = zip(config.block_kernels, config.block_dilations, strict=True)
            found = [
                ResidualBlock(config, width, tuple(dilations), name=f"block_{level}_{i}")(
                    x, length_b
                )
                for i, (width, dilations) in enumerate(blocks)
            ]
            x = functools.reduce(jnp.add, found) / len(found)
        x = Activation(config.activation, _LAST_SLOPE, name="last_activation")(x, length_b)
        return jnp.tanh(Conv(1, _ENDS, name="after")(x))[..., 0]


def silence(x: jax.Array, length_b: jax.Array | None) -> jax.Array:
    """x [b, t, c] with nothing behind each row's length."""
    return x if length_b is None else x * (jnp.arange(x.shape[1]) < length_b[:, None])[..., None]
