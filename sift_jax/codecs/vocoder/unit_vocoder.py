"""Units to samples by a codec's vocoder, in the voice of a reference recording.

    ids ─► (how long each lasts) ─► a unit a frame ─► pieces of 20 s and what is around them ─► samples, joined exactly
    reference ─► log-mel ─► voice                         none: the voice that the vocoder gives where it is told none

Pieces and references come in a few static lengths, each row by itself: the same units and the same
reference give the same bytes in any company.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from sift_jax.audio.whisper_mel import HOP, count_mel_frames, fill_log_mel
from sift_jax.codecs.codec_folder import CodecConfig, CodecFolder, add_vocoder
from sift_jax.codecs.network_folder import nest
from sift_jax.codecs.vocoder import network as networks
from sift_jax.codecs.vocoder.network import VocoderConfig, vocoder_from_json

_RATE = 16_000
# of units a piece has, and of the shortest; others are twice, four times, … that
_PIECE, _SHORTEST = 1_024, 64
# of a reference more is not heard
_REFERENCE_SECONDS, _SHORTEST_REFERENCE = 32, 2
# of one unit, whatever is predicted: 10 s at fifty a second
_LONGEST = 500


def measure_reference(wave: np.ndarray, frames: int, mel_bins: int) -> tuple[np.ndarray, int]:
    """(log-mel [frames, f], how many of them are the recording); what is longer is cut."""
    wave = wave[: frames * HOP]
    mel = np.zeros((frames, mel_bins), np.float32)
    fill_log_mel(wave, mel)
    return mel, count_mel_frames(len(wave))


def check_shape(config: VocoderConfig, codec: CodecConfig) -> None:
    """A vocoder makes as many samples of a unit as its codec's units last."""
    wanted = codec.sample_rate / codec.frame_rate
    if config.generator.hop != wanted:
        raise ValueError(
            f"the vocoder makes {config.generator.hop} samples of a unit, and a unit of this "
            f"codec lasts {wanted:g} ({codec.sample_rate} Hz, {codec.frame_rate:g} units a "
            "second); choose HifiGanConfig.rates whose product is that"
        )


class UnitVocoder:
    """The vocoder of a codec's folder."""

    def __init__(self, folder: CodecFolder):
        if folder.vocoder is None:
            raise ValueError(explain_missing(folder.path))
        self.config = vocoder_from_json(folder.vocoder["config"])
        check_shape(self.config, folder.config)
        self._params = jax.device_put(nest(folder.read_vocoder()))
        self._is_timed = folder.config.is_deduplicated

    def hear(self, reference: np.ndarray | None) -> np.ndarray:
        """The voice [1, d] of a recording at 16 kHz, or the one for no recording."""
        samples = 0 if reference is None else len(reference)
        seconds = _SHORTEST_REFERENCE
        while seconds < _REFERENCE_SECONDS and seconds * _RATE < samples:
            seconds *= 2
        frames = seconds * _RATE // HOP
        mel, length = np.zeros((frames, self.config.mel_bins), np.float32), 0
        if reference is not None and samples:
            mel, length = measure_reference(reference, frames, self.config.mel_bins)
        return np.asarray(networks.hear(self.config, self._params, mel[None], np.array([length])))

    def spread(self, ids: np.ndarray) -> np.ndarray:
        """A unit a frame, as long as each is predicted to last."""
        row, length = _fill(ids, _round_up(len(ids)))
        frames = np.asarray(networks.predict(self._params, row, length))[0, : len(ids)]
        return np.repeat(ids, np.minimum(frames, _LONGEST))

    def speak(self, ids: np.ndarray, voice: np.ndarray) -> np.ndarray:
        """The samples of units as the codec has them."""
        ids = self.spread(ids) if self._is_timed else ids
        hop, reach = self.config.generator.hop, self.config.generator.reach
        if len(ids) <= _PIECE:
            return self._run(ids, voice, _round_up(len(ids)))
        parts = []
        for first in range(0, len(ids), _PIECE):
            start, stop = max(first - reach, 0), min(first + _PIECE, len(ids))
            made = self._run(ids[start : stop + reach], voice, _PIECE + 2 * reach)
            parts.append(made[(first - start) * hop : (stop - start) * hop])
        return np.concatenate(parts)

    def _run(self, ids: np.ndarray, voice: np.ndarray, width: int) -> np.ndarray:
        row, length = _fill(ids, width)
        samples = networks.speak(self.config, self._params, row, voice, length)
        return np.asarray(samples[0, : len(ids) * self.config.generator.hop])


def _round_up(count: int) -> int:
    return max(1 << (count - 1).bit_length(), _SHORTEST)


def _fill(ids: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A row [1, width] that begins with the units, and how many these are."""
    row = np.zeros((1, width), np.int32)
    row[0, : len(ids)] = ids
    return row, np.array([len(ids)])


def install_vocoder(
    folder: CodecFolder, config: VocoderConfig, params: Mapping[str, Any], *, fingerprint: str
) -> CodecFolder:
    """Adds trained parameters to a codec's folder; `fingerprint` is that of the units they
    learnt."""
    check_shape(config, folder.config)
    tensors = {path: np.asarray(x) for path, x in flatten_dict(dict(params), sep="/").items()}
    return add_vocoder(folder, dataclasses.asdict(config), tensors, fingerprint=fingerprint)


def explain_missing(path: Path) -> str:
    """What a codec without a vocoder says when it is asked to speak."""
    return (
        f"{path} has no vocoder, so its units cannot be spoken; train one by `python -m "
        f"sift_jax.train_vocoder --gin_file=configs/vocoder/hubert.gin --gin.CODEC={path}`, then "
        "`python -m sift_jax.units add_vocoder`"
    )
