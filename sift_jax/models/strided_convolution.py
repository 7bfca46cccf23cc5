"""A 3 × 3 convolution over (frames, bins) that keeps every second of both, each channel by itself,
and its gradient.

y[s, f] = Σ x[2s + i − 1, 2f + j − 1] · kernel[j, i]        x of one channel for all of the kernel's, or of as many

One channel, or each by itself, is no work for a matrix unit: it is nine shifted products. What JAX
would make of their gradient is nine strided scatters, into which XLA merges all that comes before
and after and does it nine times over: three times the work (measured on CPU). Here an input's
gradient is written in four, by the parity of its place, and the large arrays are fences.

    even, even   dy · k11                                 odd, even    dy · k21 + dy↑ · k01           ↑ the next frame's
    even, odd    dy · k12 + dy← · k10                     odd, odd     the other four                 ← the next bin's
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array
TAPS = tuple((i, j) for i in range(3) for j in range(3))


def _shift(x_bsfc: Array) -> list[tuple[int, int, Array]]:
    """What each place of the kernel is multiplied with."""
    s, f = x_bsfc.shape[1:3]
    # Row i of the padded input is row i − 1 of the input: tap i of output s lies at 2s + i − 1, so
    # that a slice from i in steps of two has it for every s at once.
    padded = jnp.pad(x_bsfc, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [(i, j, padded[:, i : i + s : 2, j : j + f : 2]) for i, j in TAPS]


def _multiply(x_bsfc: Array, kernel: Array) -> Array:
    # The barrier keeps XLA from merging what comes before into each of the nine taps.
    return jax.lax.optimization_barrier(sum(tap * kernel[j, i] for i, j, tap in _shift(x_bsfc)))


@jax.custom_vjp
def convolve_strided(x_bsfc: Array, kernel: Array) -> Array:
    """(b, s, f, 1 or d) and a kernel (3 bins, 3 frames, d) to (b, ⌈s / 2⌉, ⌈f / 2⌉, d)."""
    return _multiply(x_bsfc, kernel)


def _keep(x_bsfc: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _multiply(x_bsfc, kernel), (x_bsfc, kernel)


def _differentiate(kept: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x_bsfc, kernel = kept
    dy = jax.lax.optimization_barrier(dy)
    if x_bsfc.shape[-1] == 1:
        # nine columns: a product of matrices after all, frame by frame
        taps = jnp.concatenate([tap for _, _, tap in _shift(x_bsfc)], axis=-1)
        by_frame = jnp.einsum("bsfp,bsfc->bspc", taps, dy, preferred_element_type=jnp.float32)
        sums = by_frame.sum((0, 1)).reshape(3, 3, -1)
    else:
        by_tap = [jnp.sum(tap * dy, (0, 1, 2), dtype=jnp.float32) for _, _, tap in _shift(x_bsfc)]
        sums = jnp.stack(by_tap).reshape(3, 3, -1)
    d_kernel = jnp.swapaxes(sums, 0, 1).astype(kernel.dtype)
    d_x = _give_back(dy, kernel, (x_bsfc.shape[1], x_bsfc.shape[2]))
    if x_bsfc.shape[-1] == 1:
        d_x = jnp.sum(d_x, axis=-1, keepdims=True)
    return jax.lax.optimization_barrier(d_x), d_kernel


def _give_back(dy: Array, kernel: Array, size: tuple[int, int]) -> Array:
    """dy to every place that it came of, (b, *size, d)."""
    dy_up = jnp.pad(dy, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:]
    dy_left, both = (jnp.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)))[:, :, 1:] for x in (dy, dy_up))
    # y[s] = … x[2s − 1] k0 + x[2s] k1 + x[2s + 1] k2: a place at 2s was read by output s alone, in
    # its middle; one at 2s + 1 by s with k2 and by s + 1, the next frame, with k0.
    k = jnp.swapaxes(kernel, 0, 1)
    even = jnp.stack([dy * k[1, 1], dy * k[1, 2] + dy_left * k[1, 0]], axis=3)
    last = dy * k[2, 2] + dy_left * k[2, 0] + dy_up * k[0, 2] + both * k[0, 0]
    odd = jnp.stack([dy * k[2, 1] + dy_up * k[0, 1], last], axis=3)
    # The four parities side by side, [even, odd] of frames × [even, odd] of bins, read in the order
    # of memory are the input again; one of an odd size ends before the last of them.
    b, s, f, d = dy.shape
    return jnp.stack([even, odd], axis=2).reshape(b, 2 * s, 2 * f, d)[:, : size[0], : size[1]]


convolve_strided.defvjp(_keep, _differentiate)
