"""Where an utterance is heard: a simulated room, background noise, a recording level.

    dry speech ─► * impulse response (C50) ─► + noise (SNR) ─► × gain (dBFS of active speech) ─► wave

An impulse response is a direct impulse and an exponentially decaying tail of noise. Its C50, the ratio of the energy in
the first 50 ms to the rest in dB, is met exactly by the tail's gain.
"""

import numpy as np
import scipy.fft
import scipy.signal

RATE = 16_000
DRY_C50 = 45.0
NOISES = ("white", "pink", "brown", "hum", "babble")
_FLOOR = 1e-9


def make_response(c50: float, rng: np.random.Generator) -> np.ndarray:
    """Impulse response [n] with the asked C50 in dB; from DRY_C50 on a lone impulse."""
    if c50 >= DRY_C50:
        return np.ones(1, np.float32)
    seconds = 1.5 * 10 ** (-c50 / 40) * rng.uniform(0.9, 1.15) + 0.05
    length = int(RATE * min(seconds, 1.2))
    times = np.arange(length) / RATE
    tail = rng.standard_normal(length) * 10 ** (-3 * times / seconds)
    # Walls swallow high frequencies: the tail is duller than the direct sound.
    tail = scipy.signal.lfilter([0.6], [1, -0.4], tail)
    tail[: int(0.002 * RATE)] = 0.0
    edge = int(0.050 * RATE)
    early, late = float((tail[:edge] ** 2).sum()), float((tail[edge:] ** 2).sum()) + _FLOOR
    ratio = 10 ** (c50 / 10)
    # (1 + g² early) / (g² late) = ratio; a tail that is all too early has no solution: keep it faint.
    power = 1.0 / max(ratio * late - early, 0.02)
    response = np.sqrt(power) * tail
    response[0] = 1.0
    return response.astype(np.float32)


def measure_c50(response: np.ndarray) -> float:
    """C50 in dB of an impulse response, at most DRY_C50."""
    edge = int(0.050 * RATE)
    early, late = float((response[:edge] ** 2).sum()), float((response[edge:] ** 2).sum())
    return min(10 * np.log10(early / (late + _FLOOR)), DRY_C50)


def add_room(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The wave as heard in the room, at its own length."""
    if len(response) == 1:
        return wave
    return scipy.signal.oaconvolve(wave, response)[: len(wave)].astype(np.float32)


def make_noise(kind: str, length: int, rng: np.random.Generator, babble: np.ndarray) -> np.ndarray:
    """Unit-power noise [length]; `babble` is the bank of mixed speech that the kind of this name cuts from."""
    if kind == "babble":
        start = int(rng.integers(len(babble)))
        noise = np.take(babble, np.arange(start, start + length), mode="wrap")
    elif kind == "hum":
        times = np.arange(length) / RATE
        mains = rng.choice([50.0, 60.0])
        noise = 0.15 * rng.standard_normal(length)
        for harmonic in range(1, 9):
            noise = noise + rng.uniform(0.4, 1) / harmonic * np.sin(
                2 * np.pi * (mains * harmonic * times + rng.uniform()))
    else:
        exponent = {"white": 0.0, "pink": 0.5, "brown": 1.0}[kind]
        size = scipy.fft.next_fast_len(length, real=True)
        spectrum = scipy.fft.rfft(rng.standard_normal(size, dtype=np.float32))
        frequency = np.maximum(scipy.fft.rfftfreq(size, 1 / RATE), 50.0).astype(np.float32)
        noise = scipy.fft.irfft(spectrum / frequency**exponent, size)[:length]
    return (noise / np.sqrt(np.mean(noise**2) + _FLOOR)).astype(np.float32)


def measure_active_power(wave: np.ndarray) -> float:
    """Mean power of the 20 ms frames that are within 25 dB of the loud ones: the level of speech without its pauses."""
    size = RATE // 50
    count = max(len(wave) // size, 1)
    power = (wave[: count * size].reshape(count, -1) ** 2).mean(axis=1)
    loud = np.quantile(power, 0.95)
    return float(power[power >= loud * 10**-2.5].mean()) + 1e-12
