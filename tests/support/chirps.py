"""A rising tone in noise: something in every bin, the same for each seed."""

import numpy as np

RATE = 16_000


def make_wave(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    return (
        0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time) + 0.05 * rng.normal(size=samples)
    ).astype(np.float32)
