"""What the embedded codec hears: envelope, loudness and pitch of a batch, each from what is near in
time alone.

    waves [b, n] 16 kHz ─► steps of 10 ms ─► power in bands [b, s, f]        25 ms windows, bands wider than a harmonic
                                          ─► level [b, s]                   dB, of a second around
                                          ─► semitones, voicing [b, s]      autocorrelation of 48 ms at 8 kHz

Nothing looks further than REACH seconds, so that a long recording cut into pieces that overlap by
twice that gives what it gives whole. Dims: b waves, n samples, s steps, f bands, l lags.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

STEP, RATE = 160, 16_000
STEPS_A_SECOND = RATE // STEP
# how far any feature looks, in seconds
REACH = 1.5
BANDS = 28
# a band takes in at least a harmonic of a high voice, or the envelope would ripple with the pitch
_NARROWEST = 280.0
_CEPSTRA, _LOUDNESS_WEIGHT = 14, 0.6
_FFT = 512
_QUIET = 1e-10
LOWEST_HZ, HIGHEST_HZ = 62.0, 470.0
_LAG_RATE = 8_000
_SHORTEST, _LONGEST = int(_LAG_RATE / HIGHEST_HZ), int(np.ceil(_LAG_RATE / LOWEST_HZ))
_VOICED = 0.38
# what a longer lag costs, an octave: of peaks alike, the shortest is the period
_OCTAVE_COST = 0.08
_REGISTER_STEPS, _OCTAVES = 24, float(np.log2(HIGHEST_HZ / LOWEST_HZ))
# the register is searched this far to either side, in octaves
_REGISTER_REACH = 0.75
_GATE_DB = 22.0
# noise is heard in the calmest 80 ms of 2.6 s (powers of two steps); the least of many means is
# below the mean
_CALM, _AROUND, _NOISE, _REMNANT = 3, 8, 1.5, 0.02
_LARGEST_SHARE = 0.5


@functools.cache
def make_bands() -> tuple[np.ndarray, np.ndarray]:
    """Weights [bins, f] of means over triangles on the mel scale, and the middles [f] in Hz."""
    lowest, highest = _to_mel(np.array([60.0, 7_800.0]))
    mel = np.linspace(lowest, highest, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    middle = edges[1:-1]
    half = np.maximum((edges[2:] - edges[:-2]) / 2, _NARROWEST)
    bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
    weights = np.maximum(1 - np.abs(bins[:, None] - middle) / half, 0)
    return (weights / weights.sum(0)).astype(np.float32), middle


@functools.cache
def make_lifter() -> np.ndarray:
    """[f, cepstra]: a cosine transform over the bands whose first row, loudness, weighs less."""
    n = np.arange(BANDS)
    cosines = np.sqrt(2 / BANDS) * np.cos(np.pi / BANDS * (n[:, None] + 0.5) * np.arange(_CEPSTRA))
    cosines[:, 0] *= _LOUDNESS_WEIGHT / np.sqrt(2)
    return cosines.astype(np.float32)


def _to_mel(hz: np.ndarray) -> np.ndarray:
    return 2595 * np.log10(1 + hz / 700)


def _window(length: int, blocks: int, step: int) -> np.ndarray:
    """A Hann window of `length` in the middle of `blocks` steps."""
    window = np.zeros(blocks * step, np.float32)
    first = (blocks * step - length) // 2
    window[first : first + length] = np.hanning(length + 2)[1:-1]
    return window


def _cut(wave_bn: jax.Array, step: int, blocks: int) -> jax.Array:
    """Frames [b, s, blocks · step] around the middle of each step, silence beyond the ends."""
    blocks_bsn = wave_bn.reshape(*wave_bn.shape[:-1], -1, step)
    half = blocks // 2
    padded = jnp.pad(blocks_bsn, ((0, 0), (half, half), (0, 0)))
    steps = blocks_bsn.shape[1]
    return jnp.concatenate([padded[:, i : i + steps] for i in range(blocks)], axis=-1)


def smooth(x_bs: jax.Array, kernel: np.ndarray) -> jax.Array:
    """Each row convolved with an odd kernel, nothing beyond the ends."""
    half = len(kernel) // 2
    length = x_bs.shape[1] + 2 * half
    spectrum = (
        jnp.fft.rfft(x_bs, length, axis=1)
        * jnp.fft.rfft(jnp.asarray(kernel, x_bs.dtype), length)[None]
    )
    return jnp.fft.irfft(spectrum, length, axis=1)[:, half : half + x_bs.shape[1]]


def measure_bands(wave_bn: jax.Array) -> jax.Array:
    """Power in each band [b, s, f], as the variance that noise of that density would have."""
    window = _window(400, 3, STEP)
    frames = _cut(wave_bn, STEP, 3) * window
    power = jnp.abs(jnp.fft.rfft(frames, _FFT)) ** 2 / float((window**2).sum())
    return power @ make_bands()[0] + _QUIET


def remove_noise(power_bsf: jax.Array, sample_b: jax.Array) -> jax.Array:
    """What each band has above the least that it has for a second around: steady noise is no part
    of what is said."""
    is_inside = (jnp.arange(power_bsf.shape[1]) * STEP + STEP <= sample_b[:, None])[
        ..., None
    ].astype(jnp.float32)
    # single steps of noise go far below its mean
    calm = _fold_around(power_bsf, jnp.add, 0.0, _CALM) / 2**_CALM
    is_whole = _fold_around(is_inside, jnp.add, 0.0, _CALM) > 2**_CALM - 0.5
    least = _fold_around(jnp.where(is_whole, calm, jnp.inf), jnp.minimum, jnp.inf, _AROUND)
    count = _fold_around(is_inside, jnp.add, 0.0, _AROUND)
    mean = _fold_around(power_bsf * is_inside, jnp.add, 0.0, _AROUND) / jnp.maximum(count, 1)
    # a band that never rests may be a voice that holds on
    noise = jnp.where(jnp.isfinite(least), jnp.minimum(_NOISE * least, _LARGEST_SHARE * mean), 0.0)
    return jnp.maximum(power_bsf - noise, _REMNANT * power_bsf)


def _fold_around(x_bsf: jax.Array, fold: Callable, nothing: float, doublings: int) -> jax.Array:
    """`fold` over the 2 ** doublings steps around each."""
    half = 2 ** (doublings - 1)
    x_bsf = jnp.pad(x_bsf, ((0, 0), (half, half - 1), (0, 0)), constant_values=nothing)
    for width in (2**i for i in range(doublings)):
        x_bsf = fold(x_bsf[:, :-width], x_bsf[:, width:])
    return x_bsf


def measure_level(wave_bn: jax.Array, sample_b: jax.Array) -> jax.Array:
    """Mean power of a second around each step, in dB [b, s]."""
    power = (wave_bn.reshape(len(wave_bn), -1, STEP) ** 2).mean(-1)
    steps = power.shape[1]
    is_inside = (jnp.arange(steps) * STEP < sample_b[:, None]).astype(power.dtype)
    kernel = np.hanning(103)[1:-1]
    # a transform rounds: what is all but nothing must not come out below it
    mean = jnp.maximum(smooth(power * is_inside, kernel), 0) / jnp.maximum(
        smooth(is_inside, kernel), 1e-3
    )
    return 10 * jnp.log10(mean + _QUIET)


@functools.cache
def _make_lowpass() -> np.ndarray:
    n = np.arange(-31, 32)
    taps = np.sinc(n * 2 * 2_400 / RATE) * np.hamming(63)
    return (taps / taps.sum()).astype(np.float32)


def _correlate(wave_bn: jax.Array) -> jax.Array:
    """The periodic share of the energy [b, s, l] for each lag, one more at either side than are
    looked at."""
    kernel = jnp.asarray(_make_lowpass()[::-1].reshape(1, 1, -1))
    low = jax.lax.conv_general_dilated(wave_bn[:, None], kernel, (2,), [(31, 30)])[:, 0]
    window = _window(384, 5, STEP // 2)
    frames = _cut(low, STEP // 2, 5)
    frames = (frames - frames.mean(-1, keepdims=True)) * window
    power = jnp.abs(jnp.fft.rfft(frames, 640)) ** 2
    correlation = jnp.fft.irfft(power, 640)
    reference = np.fft.irfft(np.abs(np.fft.rfft(window, 640)) ** 2, 640)
    reference = (reference / reference[0])[_SHORTEST - 1 : _LONGEST + 2].astype(np.float32)
    return (
        correlation[..., _SHORTEST - 1 : _LONGEST + 2] / (correlation[..., :1] + 1e-7) / reference
    )


def _find_peak(
    scaled_bsl: jax.Array, allowed_bsl: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """log2 of the best lag's frequency over the lowest, and the height of its peak, 0 where there
    is none."""
    inner = scaled_bsl[..., 1:-1]
    is_peak = (inner >= scaled_bsl[..., :-2]) & (inner >= scaled_bsl[..., 2:])
    if allowed_bsl is not None:
        is_peak &= allowed_bsl
    cost = _OCTAVE_COST * np.log2(np.arange(_SHORTEST, _LONGEST + 1) / _SHORTEST).astype(np.float32)
    best = jnp.where(is_peak, inner - cost, -9.0).argmax(-1)[..., None]
    left, mid, right = (jnp.take_along_axis(scaled_bsl, best + i, -1)[..., 0] for i in range(3))
    curve = left - 2 * mid + right
    shift = jnp.clip(
        jnp.where(curve < -1e-6, 0.5 * (left - right) / jnp.minimum(curve, -1e-6), 0.0), -0.5, 0.5
    )
    height = jnp.where(jnp.take_along_axis(is_peak, best, -1)[..., 0], mid, 0.0)
    return jnp.log2(_LAG_RATE / (best[..., 0] + _SHORTEST + shift) / LOWEST_HZ), height


def measure_pitch(wave_bn: jax.Array, level_bs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Semitones above LOWEST_HZ and voicing (0 or 1), each [b, s]; the pitch counts where voicing
    is 1."""
    scaled = _correlate(wave_bn)
    power = (wave_bn.reshape(len(wave_bn), -1, STEP) ** 2).mean(-1)
    is_loud = 10 * jnp.log10(power + _QUIET) > level_bs - _GATE_DB
    octave, height = _find_peak(scaled)
    # the register of those seconds: where the surest frames lie; around it no octave is left to
    # jump to
    weight = jnp.where(is_loud & (height > _VOICED), height**4, 0.0)
    grid = jnp.linspace(0, _OCTAVES, _REGISTER_STEPS)
    votes = weight[..., None] * jnp.exp(-0.5 * ((octave[..., None] - grid) / 0.2) ** 2)
    width = int(2 * REACH * STEPS_A_SECOND) - 20
    kernel = np.hanning(width + 1 + width % 2)
    votes = jax.vmap(lambda row: smooth(row.T, kernel).T)(votes)
    register = grid[votes.argmax(-1)]
    lag_octave = np.log2(_LAG_RATE / np.arange(_SHORTEST, _LONGEST + 1) / LOWEST_HZ).astype(
        np.float32
    )
    octave, height = _find_peak(scaled, jnp.abs(lag_octave - register[..., None]) < _REGISTER_REACH)
    is_voiced = is_loud & (height > _VOICED)
    # a voice lasts: of three steps around two are voiced
    is_voiced &= smooth(is_voiced.astype(jnp.float32), np.ones(5)) > 2.5
    return 12 * octave, is_voiced.astype(jnp.float32)


def measure(
    wave_bn: jax.Array, sample_b: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Power in bands [b, s, f], level in dB, semitones and voicing [b, s]."""
    level = measure_level(wave_bn, sample_b)
    semitone, voicing = measure_pitch(wave_bn, level)
    return remove_noise(measure_bands(wave_bn), sample_b), level, semitone, voicing
