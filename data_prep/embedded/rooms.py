"""Where an utterance is heard: a simulated room, background noise, a recording level.

    dry speech ─► * impulse response (C50) ─► + noise (SNR) ─► × gain (dBFS of active speech) ─► wave

An impulse response is a direct impulse and an exponentially decaying tail of noise. Its C50, the
ratio of the energy in the first 50 ms to the rest in dB, is met exactly by the tail's gain.

Places are drawn so that each class of noise and of distance has its share. A class is told only
where neither the edges of `metadata.absolute` nor the other of the two leave it in doubt, and of
SNR and C50 drawn evenly and independently half would have none (distance is told in quiet alone):

    somewhere noisy   SNR 6 … 9, 11.5 … 17 or 20 … 24.5 dB     near by
    somewhere quiet   SNR 27 … 34 or 37 … 60 dB                C50 -2 … 5 or 13 … 16 dB, or near by
    anywhere          SNR 3 … 60 dB                            C50 -2 … 53 dB
"""

import numpy as np
import scipy.fft
import scipy.signal

RATE = 16_000
DRY_C50 = 45.0
NOISES = ("white", "pink", "brown", "hum", "babble")
_FLOOR = 1e-9

Range = tuple[float, float]
# Louder noise hides the voice from the measures of pitch, too.
ANY_SNR, ANY_C50 = (3.0, 60.0), (-2.0, DRY_C50 + 8)
NOISY_SNRS: tuple[Range, ...] = ((6.0, 9.0), (11.5, 17.0), (20.0, 24.5))
QUIET_SNRS: tuple[Range, ...] = ((27.0, 34.0), (37.0, 60.0))
NEAR_C50 = (30.0, ANY_C50[1])
# What is read of rooms of the middle range is in doubt as often as not: they are drawn more often.
FAR_C50S: tuple[Range, ...] = ((-2.0, 5.0), (13.0, 16.0), (13.0, 16.0))
_ANYWHERE, _SOMEWHERE_NOISY = 0.1, 0.4


def draw_place(rng: np.random.Generator) -> tuple[float, float]:
    """SNR and C50 in dB."""
    share = rng.random()
    if share < _ANYWHERE:
        return rng.uniform(*ANY_SNR), rng.uniform(*ANY_C50)
    if share < _ANYWHERE + _SOMEWHERE_NOISY:
        return _draw_within(NOISY_SNRS, rng), rng.uniform(*NEAR_C50)
    return _draw_within(QUIET_SNRS, rng), _draw_within((*FAR_C50S, NEAR_C50), rng)


def _draw_within(ranges: tuple[Range, ...], rng: np.random.Generator) -> float:
    return rng.uniform(*ranges[rng.integers(len(ranges))])


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
    # (1 + g² early) / (g² late) = ratio; a tail that is all too early has no solution: keep it
    # faint.
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
    """Unit-power noise [length]; `babble` is the bank of mixed speech that the kind of this name
    cuts from."""
    if kind == "babble":
        start = int(rng.integers(len(babble)))
        noise = np.take(babble, np.arange(start, start + length), mode="wrap")
    elif kind == "hum":
        times = np.arange(length) / RATE
        mains = rng.choice([50.0, 60.0])
        noise = 0.15 * rng.standard_normal(length)
        for harmonic in range(1, 9):
            noise = noise + rng.uniform(0.4, 1) / harmonic * np.sin(
                2 * np.pi * (mains * harmonic * times + rng.uniform())
            )
    else:
        exponent = {"white": 0.0, "pink": 0.5, "brown": 1.0}[kind]
        size = scipy.fft.next_fast_len(length, real=True)
        spectrum = scipy.fft.rfft(rng.standard_normal(size, dtype=np.float32))
        frequency = np.maximum(scipy.fft.rfftfreq(size, 1 / RATE), 50.0).astype(np.float32)
        noise = scipy.fft.irfft(spectrum / frequency**exponent, size)[:length]
    return (noise / np.sqrt(np.mean(noise**2) + _FLOOR)).astype(np.float32)


def measure_active_power(wave: np.ndarray) -> float:
    """Mean power of the 20 ms frames that are within 25 dB of the loud ones: the level of speech
    without its pauses."""
    size = RATE // 50
    count = max(len(wave) // size, 1)
    power = (wave[: count * size].reshape(count, -1) ** 2).mean(axis=1)
    loud = np.quantile(power, 0.95)
    return float(power[power >= loud * 10**-2.5].mean()) + 1e-12
