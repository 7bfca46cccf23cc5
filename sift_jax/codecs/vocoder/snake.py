"""BigVGAN's activation: x + sin²(αx) / β, computed at twice the rate so that what it adds is not
folded back.

    x [b, t, c] ─► two phases [b, t, c] of the doubled signal ─► snake, each ─► low-pass and back ─► [b, t, c]

The doubled signal is never laid out: of its two phases each is six taps of x, and so is the way
back. Past its ends a signal holds its last value, or is silent. Dims: b rows, t times, c channels.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

TAPS = 12
# times to either side that decide one
REACH = 6
_LEAST = 1e-9


@functools.cache
def make_filter() -> np.ndarray:
    """A low pass at half the band: a sinc under Kaiser's window, which adds up to 1."""
    attenuation = 2.285 * (TAPS // 2 - 1) * np.pi * 4 * 0.3 + 7.95
    beta = (
        0.1102 * (attenuation - 8.7)
        if attenuation > 50
        else 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    )
    taps = np.kaiser(TAPS, beta) * np.sinc((np.arange(TAPS) - TAPS / 2 + 0.5) / 2)
    return (taps / taps.sum()).astype(np.float32)


def snake(x: jax.Array, alpha: jax.Array, beta: jax.Array) -> jax.Array:
    """The bare activation; both parameters [c] are logarithms."""
    return x + jnp.sin(x * jnp.exp(alpha)) ** 2 / (jnp.exp(beta) + _LEAST)


def snake_smoothly(
    x: jax.Array,
    alpha: jax.Array,
    beta: jax.Array,
    length_b: jax.Array | None = None,
    *,
    holds_ends: bool,
) -> jax.Array:
    """The activation of x [b, t, c] of whose rows the first `length_b` times are real, without
    aliases.

    With `holds_ends` a signal goes on with its first and last value, else with silence; what lies
    behind a row's own length changes nothing before it, and is 0 in the answer.
    """
    taps, times = make_filter(), x.shape[1]
    last = (jnp.full((len(x),), times) if length_b is None else length_b)[:, None, None]
    is_real = jnp.arange(times)[None, :, None] < last

    def fill(
        first: jax.Array, phase: jax.Array, end: jax.Array, before: int, behind: int
    ) -> jax.Array:
        """The phase with what lies before and behind it."""
        if not holds_ends:
            return jnp.pad(jnp.where(is_real, phase, 0.0), ((0, 0), (before, behind), (0, 0)))
        final = jnp.take_along_axis(end, last - 1, axis=1)
        parts = (
            jnp.repeat(first[:, :1], before, axis=1),
            jnp.where(is_real, phase, final),
            jnp.repeat(final, behind, axis=1),
        )
        return jnp.concatenate(parts, axis=1)

    # Doubling puts a zero behind every sample and runs 12 taps over it: of those, an even place
    # meets samples under six, an odd place under the other six. Hence two phases of six taps, and a
    # factor of 2 for the zeros.
    wide = fill(x, x, x, 3, 3)
    even, odd = (
        snake(2 * sum(taps[k] * wide[:, first : first + times] for k, first in places), alpha, beta)
        for places in (_EVEN, _ODD)
    )
    # each is read six times: kept, or XLA would compute the sines again for every tap
    ahead, after = jax.lax.optimization_barrier(
        (fill(even, even, odd, 2, 3), fill(even, odd, odd, 3, 2))
    )
    # The way back keeps every second place of the low-passed signal: six taps of each phase.
    y = sum(
        taps[2 * i + 1] * ahead[:, i : i + times] + taps[2 * i] * after[:, i : i + times]
        for i in range(TAPS // 2)
    )
    return jnp.where(is_real, y, 0.0)


# (tap, where in a signal with three more times ahead it begins) of each phase
_EVEN = [(k, (11 - k) // 2) for k in range(1, TAPS, 2)]
_ODD = [(k, (12 - k) // 2) for k in range(0, TAPS, 2)]
