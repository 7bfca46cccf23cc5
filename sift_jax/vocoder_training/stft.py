"""Short-time spectra that a gradient can pass.

waves [b, n] ─► blocks of a hop ─► frames of whole hops, windowed ─► magnitudes [b, t, bins]
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

# a root's slope is endless at 0
_LEAST_POWER = 1e-7


def check_resolution(fft: int, hop: int, window: int) -> None:
    if window % hop or not hop <= window <= fft:
        raise ValueError(
            f"a spectrum (fft, hop, window) of {(fft, hop, window)} cannot be; a window is a "
            "whole number of hops, and no longer than the transform"
        )


def measure_magnitudes(wave_bn: jax.Array, fft: int, hop: int, window: int) -> jax.Array:
    """[b, t, fft / 2 + 1], a frame a hop; mirrored at the ends."""
    # So many samples more than the wave that there are as many frames as hops, each around its hop.
    half = (window - hop) // 2
    padded = jnp.pad(
        wave_bn, ((0, 0), (half, window - hop - half + -wave_bn.shape[1] % hop)), mode="reflect"
    )
    # A window of 4 hops is four blocks side by side: frame 0 has blocks 0 1 2 3, frame 1 has 1 2 3
    # 4, …. Slices have cheap gradients, where a gather's is a scatter.
    blocks = padded.reshape(len(padded), -1, hop)
    frames, turns = blocks.shape[1] - window // hop + 1, window // hop
    cut = jnp.concatenate([blocks[:, i : i + frames] for i in range(turns)], axis=-1)
    taps = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    spectrum = jnp.fft.rfft(cut * taps, fft)
    return jnp.sqrt(spectrum.real**2 + spectrum.imag**2 + _LEAST_POWER)
