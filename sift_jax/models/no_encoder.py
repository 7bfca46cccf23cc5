"""A model without ears: recordings come as units of a codec, among the tokens, as AudioPaLM has them.

    ModelConfig.encoder = None     <user> begin 17 203 … end How fast? ─► decoder     one vocabulary for text and units

What others ask of an encoder is answered here: it hears no mel frames, and has no parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from sift_jax.models.layers import Counts


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoEncoder:
    """Nothing of it is a choice."""

    # longer recordings than an hour are turned away, before a codec reads them
    window_seconds: ClassVar[float] = 3600.0
    width: ClassVar[int] = 0
    layers: ClassVar[int] = 0
    stride: ClassVar[int] = 1
    mel_bins: ClassVar[int] = 0
    mel_frames: ClassVar[int] = 0
    front_end: ClassVar[str] = "whisper"
    frame_mask: ClassVar[str] = "all"
    kernel_uses: ClassVar[Mapping[str, float]] = MappingProxyType({})

    def count_frames(self, mel_frames: Counts) -> Counts:
        return 0 * mel_frames
