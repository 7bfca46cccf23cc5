"""Kaldi's log-mel in jax, as w2v-BERT hears it: 25 ms every 10 ms, 80 bins, each to mean 0 and
variance 1.

waves [b, n] ─► 10 ms of silence at either end ─► frames of 400 ─► less their mean, x[i] − 0.97 x[i−1] ─► |FFT|²
    ─► triangles ─► ln ─► over the clip's own frames ─► two frames side by side [b, n / 320, 160]
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

RATE, HOP, WINDOW, FFT, BINS = 16_000, 160, 400, 512, 80
# of a frame and of its step
_BLOCK = 80
_PREEMPHASIS = 0.97
_SCALE = 2.0**15
_LEAST_POWER, _LEAST_VARIANCE = 1.192092955078125e-07, 1e-7


@functools.cache
def _make_triangles() -> np.ndarray:
    """[bins of the transform, mel bins], straight on the mel scale."""
    mel = 1127.0 * np.log1p(np.arange(FFT // 2 + 1) * RATE / FFT / 700.0)
    low, high = (1127.0 * np.log1p(hz / 700.0) for hz in (20.0, RATE / 2))
    edges = np.linspace(low, high, BINS + 2)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@functools.cache
def _make_window() -> np.ndarray:
    """Povey's: Hann's to the power 0.85, with a zero at either end."""
    return ((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))) ** 0.85).astype(
        np.float32
    )


def measure_kaldi_mel(wave_bn: jax.Array, length_b: jax.Array) -> jax.Array:
    """[b, n / 320, 160] of waves of whole 320 samples, of which the first `length_b` are real; 0
    behind them."""
    # The last frame looks beyond the end. A hop is two blocks of 80 samples and a window five: frame
    # t is blocks 2t … 2t + 4, five slices in steps of two.
    wave_bn = jnp.where(jnp.arange(wave_bn.shape[1]) < length_b[:, None], wave_bn, 0.0)
    blocks = jnp.pad(wave_bn * _SCALE, ((0, 0), (HOP, HOP))).reshape(len(wave_bn), -1, _BLOCK)
    frames = wave_bn.shape[1] // HOP
    cut = jnp.concatenate(
        [blocks[:, i : i + 2 * frames - 1 : 2] for i in range(WINDOW // _BLOCK)], axis=-1
    )
    cut = cut - cut.mean(-1, keepdims=True)
    # Kaldi's: the first sample of a frame has itself before it, not the frame before.
    before = jnp.concatenate([cut[..., :1], cut[..., :-1]], axis=-1)
    spectrum = jnp.fft.rfft((cut - _PREEMPHASIS * before) * _make_window(), FFT)
    power = spectrum.real**2 + spectrum.imag**2
    mel = jnp.log(
        jnp.maximum(jnp.matmul(power, _make_triangles(), precision="highest"), _LEAST_POWER)
    )
    # Over the clip's own frames, with count − 1 as torch's variance has it.
    own = length_b // HOP
    is_real = (jnp.arange(frames) < own[:, None])[..., None]
    count = own[:, None, None]
    mean = jnp.where(is_real, mel, 0.0).sum(1, keepdims=True) / count
    variance = jnp.where(is_real, (mel - mean) ** 2, 0.0).sum(1, keepdims=True) / jnp.maximum(
        count - 1, 1
    )
    normed = jnp.where(is_real, (mel - mean) * jax.lax.rsqrt(variance + _LEAST_VARIANCE), 0.0)
    return normed.reshape(len(wave_bn), -1, 2 * BINS)
