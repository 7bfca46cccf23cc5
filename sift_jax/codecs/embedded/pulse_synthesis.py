"""A voice from envelope and pitch: pulses and noise, each through a filter that changes every step.

    semitones [s] ─► pulses ─┐ by voicing [s], breath above 4.5 kHz
    seeded noise ────────────┴─► frames of two steps ─► × minimum-phase filter of log power [s, f] ─► added up

Pulses have the power of unit noise, so that the filter alone says how loud each band is. What is as
long as the speech is made in blocks, whose ends join exactly. Dims: s steps of 10 ms, f bands, n
samples.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import scipy.fft

from sift_jax.codecs.embedded.embedded_features import LOWEST_HZ, RATE, STEP, make_bands

_FRAME, _FFT = 2 * STEP, 512
_BLOCK = 2_048
_TAILS = -(-_FFT // STEP)
# above this a voice is breath, whatever its period
_BREATH_HZ, _BREATH_WIDTH = 4_500.0, 900.0


@functools.cache
def _spread_bands() -> np.ndarray:
    """[f, bins]: log power between the middles of the bands by straight lines, level beyond the
    outermost."""
    middle = make_bands()[1]
    bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
    return np.stack([np.interp(bins, middle, row) for row in np.eye(len(middle))]).astype(
        np.float32
    )


@functools.cache
def _make_breath() -> np.ndarray:
    bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
    return (1 / (1 + np.exp(-(bins - _BREATH_HZ) / _BREATH_WIDTH))).astype(np.float32)


@dataclasses.dataclass(kw_only=True)
class PulseTrain:
    """A pulse a period, placed between samples as it falls; goes on where the block before
    ended."""

    phase: float = 0.0
    # the share of a block's last pulse that falls on the next one's first sample
    rest: float = 0.0

    def make(self, semitone_n: np.ndarray) -> np.ndarray:
        """The pulses of these samples [n], each of its period's power."""
        # Periods a sample: at 110 Hz and 16 kHz .0069. Their sum is the phase, and where it passes a
        # whole number a pulse is due.
        turn = LOWEST_HZ / RATE * 2 ** (semitone_n / 12)
        phase = self.phase + np.cumsum(turn)
        whole = np.floor(phase)
        at = np.flatnonzero(np.diff(whole, prepend=np.floor(self.phase)) > 0)
        # phase[n] is reached at the end of sample n. Where the whole number lies .3 of a sample
        # before that, at n + .7, .3 of the pulse falls on n and .7 on n + 1: rounded to whole
        # samples the periods would jump, which is heard as hoarseness.
        early = np.clip((phase[at] - whole[at]) / turn[at], 0, 1)
        # One pulse in a period of P samples of height √P has power 1 a sample, as the noise has.
        height = np.sqrt(1 / turn[at])
        pulses = np.zeros(len(turn) + 1)
        pulses[0] = self.rest
        pulses[at] += height * early
        pulses[at + 1] += height * (1 - early)
        self.phase, self.rest = float(phase[-1] % 1), float(pulses[-1])
        return pulses[:-1].astype(np.float32)


def _make_filters(log_power_tf: np.ndarray) -> np.ndarray:
    """Minimum-phase spectra [t, bins] of the bands' log power."""
    # The cepstrum of a log magnitude (half the log power) is even: what stands at −n stands at n. A
    # filter of minimum phase with the same magnitude has nothing at −n and twice as much at n,
    # so fold: n = 0 and the middle stay, 1 … 255 double, the rest goes.
    cepstrum = scipy.fft.irfft(log_power_tf @ _spread_bands() / 2, _FFT, axis=1)
    cepstrum[:, 1 : _FFT // 2] *= 2
    cepstrum[:, _FFT // 2 + 1 :] = 0
    return np.exp(scipy.fft.rfft(cepstrum, axis=1))


def synthesise(
    log_power_sf: np.ndarray, semitone_s: np.ndarray, voicing_s: np.ndarray, *, seed: int
) -> np.ndarray:
    """float32 [s · STEP]; `log_power_sf` is the natural logarithm of the power in each band."""
    steps = len(log_power_sf)
    random, train = np.random.default_rng(seed), PulseTrain()
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    # frame t stands around the middle of step t: the sources begin half a step before the first
    held = np.zeros((2, 0), np.float32)
    wave = np.zeros((steps + _TAILS, STEP), np.float32)
    for first in range(0, steps, _BLOCK):
        last = min(first + _BLOCK, steps)
        begin = (first + 1) * STEP if first else 0
        place = np.arange(begin, (last + 1) * STEP) / STEP - 1
        near = slice(max(first - 1, 0), last + 1)
        semitone = np.interp(place, np.arange(near.start, min(near.stop, steps)), semitone_s[near])
        fresh = np.stack([train.make(semitone), random.standard_normal(len(place), np.float32)])
        sources = np.concatenate([held, fresh], axis=1)
        held = sources[:, -STEP:]
        cut = np.lib.stride_tricks.sliding_window_view(sources, _FRAME, axis=1)[:, ::STEP]
        # [source, frame, sample], two steps long and one apart: a Hann window and its neighbour add
        # up to 1 everywhere, so that an unchanging filter leaves no trace of the frames.
        pulses, noise = scipy.fft.rfft(cut * window, _FFT, axis=2)
        # Powers add up, not amplitudes: √share and √(1 − share) keep the sum at 1.
        share = np.clip(voicing_s[first:last, None], 0, 1).astype(np.float32) * (1 - _make_breath())
        mixed = (pulses * np.sqrt(share) + noise * np.sqrt(1 - share)) * _make_filters(
            log_power_sf[first:last]
        )
        made = np.zeros((last - first, _TAILS * STEP), np.float32)
        made[:, :_FFT] = scipy.fft.irfft(mixed, _FFT, axis=1)
        # A filtered frame is 512 samples long, 3.2 steps of 160: it is laid over four rows of steps,
        # one after the other. Rows in place of samples make it four additions for a whole block.
        for tail in range(_TAILS):
            wave[first + tail : last + tail] += made[:, tail * STEP : (tail + 1) * STEP]
    return wave.reshape(-1)[STEP // 2 : STEP // 2 + steps * STEP]
