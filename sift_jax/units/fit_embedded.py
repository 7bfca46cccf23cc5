"""Fits the embedded codec: two code books by k-means, and what each sound is like.

    waves ─► describe ─► tones [p, 2] ─► book of tones ─► level as the tones tell it
                     └─► log power ── less that level ─► points [p, d] ─► book of sounds ─► mean envelope and voicing
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from sift_jax.units import features
from sift_jax.units.code_book import find_nearest, fit_book
from sift_jax.units.codec import CodecConfig, CodecFolder, write_folder
from sift_jax.units.embedded import (
    EmbeddedOptions,
    describe,
    place_sounds,
    scale_tones,
)
from sift_jax.units.features import STEP
from sift_jax.units.pieces import run_over

# a sound this many nepers of power below the level says little
_QUIET, _LEAST_WEIGHT = 5.0, 0.1


def fit_embedded(
    waves: Sequence[np.ndarray], out: str | Path, options: EmbeddedOptions, *, seed: int
) -> CodecFolder:
    """Writes the codec that these waves ask for."""
    unit = options.tone_steps * STEP
    described = run_over(waves, unit, jax.jit(functools.partial(_describe_tones, options=options)))
    heard = np.concatenate([tones for (tones,) in described])
    book = fit_book(scale_tones(heard), np.ones(len(heard)), options.tones, seed=seed)
    tones = book / scale_tones(np.ones(2, np.float32))
    tones = tones[np.lexsort((tones[:, 1], np.round(tones[:, 0])))].astype(np.float32)
    placed = run_over(waves, unit, jax.jit(functools.partial(_describe_sounds, tones=tones, options=options)))
    relative, voicing, points = (_join(placed, part, waves, options) for part in range(3))
    loudness = np.log(np.exp(relative).mean((1, 2)))
    weights = np.clip(1 + loudness / _QUIET, _LEAST_WEIGHT, 1)
    book = fit_book(points, weights, options.sounds, seed=seed + 1)
    code = np.asarray(jax.jit(find_nearest)(points, book)[0])
    sounds, voiced = _average(relative, voicing, code, options.sounds)
    order = np.lexsort((sounds.mean((1, 2)), np.round(2 * voiced.mean(1))))
    config = CodecConfig(
        kind="embedded",
        codes=options.tones + options.sounds,
        frame_rate=options.frame_rate,
        sample_rate=features.RATE,
        is_deduplicated=False,
        options=dataclasses.asdict(options),
    )
    tensors = {"tones": tones, "sounds": sounds[order], "voicing": voiced[order], "points": book[order]}
    return write_folder(out, config, {"book": tensors})


def _describe_tones(wave_bn: jax.Array, sample_b: jax.Array, *, options: EmbeddedOptions) -> tuple[jax.Array]:
    return describe(wave_bn, sample_b, options)[:1]


def _describe_sounds(
    wave_bn: jax.Array, sample_b: jax.Array, *, tones: np.ndarray, options: EmbeddedOptions
) -> tuple[jax.Array, ...]:
    return place_sounds(wave_bn, sample_b, tones, options)[1:]


def _join(
    placed: Sequence[Sequence[np.ndarray]], part: int, waves: Sequence[np.ndarray], options: EmbeddedOptions
) -> np.ndarray:
    """One of the parts, for every sound that is within a wave."""
    kept = []
    for found, wave in zip(placed, waves, strict=True):
        by_sound = found[part].reshape(-1, *found[part].shape[2:])
        kept.append(by_sound[: -(-len(wave) // (options.sound_steps * STEP))])
    return np.concatenate(kept)


def _average(
    relative: np.ndarray, voicing: np.ndarray, code: np.ndarray, codes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each code's mean log power, raised to the mean power of its frames, and mean voicing."""
    counts = np.maximum(np.bincount(code, minlength=codes), 1)

    def mean(values: np.ndarray) -> np.ndarray:
        sums = np.zeros((codes, *values.shape[1:]), np.float64)
        np.add.at(sums, code, values)
        return sums / counts.reshape(-1, *[1] * (values.ndim - 1))

    shape, power = mean(relative), mean(np.exp(relative).mean(2))
    # the mean of logarithms is less than the logarithm of the mean
    shape += (np.log(power) - np.log(np.exp(shape).mean(2)))[..., None]
    return shape.astype(np.float32), mean(voicing).astype(np.float32)
