"""Fits the embedded codec: two code books by k-means, and what each sound is like.

waves ─► hear ─► tones [p, 2] ─► book of tones ─► level as the tones tell it
             └─► log power ── less that level ─► points [p, d] ─► book of sounds ─► mean envelope and voicing
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sift_jax.codecs.code_book import assign, fit_book
from sift_jax.codecs.codec_folder import CodecConfig, CodecFolder, write_folder
from sift_jax.codecs.embedded import embedded_features
from sift_jax.codecs.embedded.embedded_codec import (
    EmbeddedOptions,
    assign_all,
    describe_tones,
    hear,
    place_sounds,
    scale_tones,
)
from sift_jax.codecs.embedded.utterance_header import HEAD_VALUES

# a sound this many nepers of power below the level says little
_QUIET, _LEAST_WEIGHT = 5.0, 0.1


def fit_embedded(
    waves: Sequence[np.ndarray], out: str | Path, options: EmbeddedOptions, *, seed: int
) -> CodecFolder:
    """Writes the codec that these waves ask for."""
    heard = hear(waves)
    described = [describe_tones(one, options) for one in heard]
    # what a tone is wrong by counts in semitones for as many as a spread has
    spreads = np.repeat([one.head.spread for one in heard], [len(tone) for tone in described])
    book = fit_book(scale_tones(np.concatenate(described)), spreads, options.tones, seed=seed)
    tones = book / scale_tones(np.ones(2, np.float32))
    tones = tones[np.lexsort((tones[:, 1], np.round(2 * tones[:, 0])))].astype(np.float32)
    placed = [
        place_sounds(one, tone, tones, options)
        for one, tone in zip(heard, assign_all(described, tones), strict=True)
    ]
    relative, voicing, points = (np.concatenate(parts) for parts in zip(*placed, strict=True))
    loudness = np.log(np.exp(relative).mean((1, 2)))
    weights = np.clip(1 + loudness / _QUIET, _LEAST_WEIGHT, 1)
    book = fit_book(points, weights, options.sounds, seed=seed + 1)
    code = assign(points, book)
    sounds, voiced = _average_codes(relative, voicing, code, options.sounds)
    order = np.lexsort((sounds.mean((1, 2)), np.round(2 * voiced.mean(1))))
    config = CodecConfig(
        kind="embedded",
        codes=options.codes,
        frame_rate=options.frame_rate,
        sample_rate=embedded_features.RATE,
        is_deduplicated=False,
        options=dataclasses.asdict(options),
    )
    tensors = {
        "head": HEAD_VALUES,
        "tones": tones,
        "sounds": sounds[order],
        "voicing": voiced[order],
        "points": book[order],
    }
    return write_folder(out, config, {"book": tensors})


def _average_codes(
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
