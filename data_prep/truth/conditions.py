"""Recordings under a condition that is known, because it was just added.

    clip ─► + white, pink, brown, hum or babble at 12.3 dB          SNR of what was added
         ─► * impulse response of a room of 6.1 dB                  its C50

What a clip brings along bounds what can be added: noise and rooms are at least `_APART_DB` worse
than what is measured of the clip itself, so that its own changes the sum by a decibel at most. The
other of the two stays as it was.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from data_prep.embedded import rooms
from data_prep.metadata import intensity

RATE = rooms.RATE
NOISE, ROOM = "noise_level", "reverberation"
# What is tried, from the worst to the best, in dB.
RANGES = {NOISE: (0.0, 40.0), ROOM: (0.0, 30.0)}
_APART_DB = 6.0
_TALKERS = 6

Measure = Callable[[np.ndarray], dict[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """`key` is what was changed, `kind` what was added, `level` how much of it in dB."""

    key: str
    kind: str
    level: float


def draw_condition(own: dict[str, float], rng: np.random.Generator, key: str) -> Condition | None:
    """One that this clip can take; None where it is no better than the worst by itself."""
    low, high = RANGES[key]
    high = min(high, own.get(key, low) - _APART_DB)
    if high <= low:
        return None
    kind = str(rng.choice(rooms.NOISES)) if key == NOISE else "room"
    return Condition(key=key, kind=kind, level=float(rng.uniform(low, high)))


def apply_condition(
    wave: np.ndarray, condition: Condition, rng: np.random.Generator, babble: np.ndarray
) -> tuple[np.ndarray, float]:
    """The clip under the condition, and the level that came to be."""
    if condition.key == ROOM:
        response = rooms.make_response(condition.level, rng)
        return _fit(rooms.add_room(wave, response)), rooms.measure_c50(response)
    power = intensity.frame_power(wave)
    level = power[intensity.find_active(power)].mean()
    noise = rooms.make_noise(condition.kind, len(wave), rng, babble)
    return _fit(wave + noise * np.sqrt(level / 10 ** (condition.level / 10))), condition.level


def _fit(wave: np.ndarray) -> np.ndarray:
    """No louder than a file holds."""
    return (wave * min(1.0, 0.98 / max(float(np.abs(wave).max()), 1e-9))).astype(np.float32)


def make_babble(waves: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Six voices at once without their pauses at the ends, of unit power."""
    spoken = [_trim(wave) for wave in waves]
    length = max(len(wave) for wave in spoken)
    mixed = np.zeros(length, np.float64)
    for place in rng.integers(len(spoken), size=_TALKERS):
        wave = spoken[place] / np.sqrt(np.mean(spoken[place] ** 2) + 1e-12)
        mixed += np.roll(np.resize(wave, length), int(rng.integers(length)))
    return (mixed / np.sqrt(np.mean(mixed**2))).astype(np.float32)


def _trim(wave: np.ndarray) -> np.ndarray:
    first, last = intensity.find_speech(intensity.frame_power(wave))
    return wave[int(first * RATE) : max(int(last * RATE), int(first * RATE) + RATE // 10)]
