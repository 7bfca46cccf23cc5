"""The contract of all codecs: a waveform ↔ discrete units of one code book.

    waves [n], 16 kHz ─► check ─► _encode (static shapes, all devices) ─► ids [frames] ─► runs to one, if so configured
    ids [t] ─► check ─► _decode ─► samples [n] at the codec's own rate

A codec's folder is codec_folder.py's business; which kinds there are, registry.py's.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import numpy as np

from sift_jax.codecs.codec_folder import CodecFolder

# the rate of what every codec hears
INPUT_RATE = 16_000


class Codec(abc.ABC):
    """What every codec does the same way: inputs are checked here; `_encode` and `_decode` see only
    good ones."""

    # whether `decode` takes a recording of the voice to speak with
    has_reference = False

    def __init__(self, folder: CodecFolder):
        self.config = folder.config
        self.fingerprint = folder.fingerprint
        self.path = folder.path

    def encode(
        self,
        waves: np.ndarray | Sequence[np.ndarray],
        *,
        rate: int = INPUT_RATE,
        names: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """int32 ids of each wave, in order; one wave gives a list of one. Errors call the waves by
        their names."""
        ids = self.encode_frames(waves, rate=rate, names=names)
        return [join_runs(found) for found in ids] if self.config.is_deduplicated else ids

    def encode_frames(
        self,
        waves: np.ndarray | Sequence[np.ndarray],
        *,
        rate: int = INPUT_RATE,
        names: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """The same before runs are joined: how long each unit lasts is still there."""
        waves = [waves] if isinstance(waves, np.ndarray) and waves.ndim == 1 else list(waves)
        names = (
            list(names)
            if names is not None
            else [f"wave {i} of {len(waves)}" for i in range(len(waves))]
        )
        if rate != INPUT_RATE:
            raise ValueError(
                f"{names[0] if names else 'waves'}: samples at {rate} Hz, and units are made at "
                f"{INPUT_RATE} Hz; resample them (sift_jax.audio.files.resample)"
            )
        checked = [_check_wave(wave, name) for wave, name in zip(waves, names, strict=True)]
        return [np.asarray(found, np.int32) for found in self._encode(checked)] if checked else []

    def decode(
        self,
        ids: np.ndarray | Sequence[int],
        *,
        fingerprint: str | None = None,
        reference: np.ndarray | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """float32 samples at `config.sample_rate`; the same ids, reference and seed give the same
        bytes."""
        return self.decode_batch([ids], fingerprint=fingerprint, reference=reference, seed=seed)[0]

    def decode_batch(
        self,
        batch: Sequence[np.ndarray | Sequence[int]],
        *,
        fingerprint: str | None = None,
        reference: np.ndarray | None = None,
        seed: int = 0,
    ) -> list[np.ndarray]:
        """The samples of each row of units; `fingerprint` names the codec that the units came from,
        where known."""
        if fingerprint is not None:
            self.check_fingerprint(fingerprint)
        if reference is not None and not self.has_reference:
            raise ValueError(
                f"a {self.config.kind} codec has the voice in its units; give no reference "
                "recording"
            )
        if reference is not None:
            reference = _check_wave(reference, "the reference recording")
        checked = [self._check_ids(ids, f"row {i} of {len(batch)}") for i, ids in enumerate(batch)]
        return [np.asarray(wave, np.float32) for wave in self._decode(checked, reference, seed)]

    def can_speak(self, ids: np.ndarray) -> bool:
        """Whether anything of a row of units can be heard."""
        return len(ids) > 0

    def count_units(self, samples: int) -> int:
        """Units of a wave of so many samples at the codec's rate, before runs are joined."""
        return max(math.ceil(samples * self.config.frame_rate / INPUT_RATE), 1)

    def check_fingerprint(self, fingerprint: str) -> None:
        """Raises where units or a checkpoint belong to another codec."""
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"these units were made by the codec {fingerprint[:12]}…, and {self.path} is "
                f"{self.fingerprint[:12]}…; use the codec that they were made by"
            )

    def _check_ids(self, ids: np.ndarray | Sequence[int], name: str) -> np.ndarray:
        ids = np.asarray(ids)
        if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
            raise ValueError(
                f"{name}: units must be a row of integers, not {ids.dtype}{list(ids.shape)}"
            )
        if not ids.size:
            raise ValueError(f"{name}: there are no units to speak; give at least one")
        wrong = np.flatnonzero((ids < 0) | (ids >= self.config.codes))
        if len(wrong):
            raise ValueError(
                f"{name}: unit {ids[wrong[0]]} at place {wrong[0]} is none of the codec's "
                f"{self.config.codes} (0 … {self.config.codes - 1}); use the codec that they were "
                "made by"
            )
        return ids.astype(np.int32)

    @abc.abstractmethod
    def _encode(self, waves: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Ids of each wave, runs and all."""

    @abc.abstractmethod
    def _decode(
        self, batch: Sequence[np.ndarray], reference: np.ndarray | None, seed: int
    ) -> Sequence[np.ndarray]:
        """Samples of each row of ids."""


def join_runs(ids: np.ndarray) -> np.ndarray:
    """Each run of the same unit as one."""
    return ids[np.flatnonzero(np.diff(ids, prepend=-1))]


def _check_wave(wave: np.ndarray, name: str) -> np.ndarray:
    wave = np.asarray(wave)
    if wave.ndim != 1 or (wave.size and not np.issubdtype(wave.dtype, np.floating)):
        raise ValueError(
            f"{name}: samples must be one channel of floats in −1 … 1, not "
            f"{wave.dtype}{list(wave.shape)}; read the file with sift_jax.audio.files.read_audio"
        )
    if not wave.size:
        raise ValueError(f"{name}: holds no samples; leave it out")
    if not np.isfinite(wave).all():
        raise ValueError(f"{name}: samples contain NaN or Inf; fix or leave out the recording")
    return wave.astype(np.float32)
