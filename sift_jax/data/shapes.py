"""The static shapes of a run's batches, from what the data's config and the model say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sift_jax.audio.whisper_mel import HOP, RATE
from sift_jax.batch import BatchShape
from sift_jax.data.data_config import DataConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechGeometry:
    """What the data must know of the model: numbers, no more."""

    mel_bins: int
    window_seconds: float
    # whether a clip gives the same frames in a window of any length: only then may there be several
    is_silence_masked: bool
    # what makes mel frames of samples (audio/front_ends.py), and how many positions become of mel
    # frames
    front_end: str
    count_frames: Callable[[int], int]
    # whether recordings are units among the tokens, and no clips
    hears_units: bool


def make_shapes(
    config: DataConfig, geometry: SpeechGeometry, *, teacher_tokens: int = 0
) -> list[BatchShape]:
    """One static shape for each clip length, shortest first."""
    seconds = (0.0,) if geometry.hears_units else tuple(config.clip_seconds)
    if not geometry.hears_units and (
        list(seconds) != sorted(set(seconds))
        or not seconds
        or seconds[-1] != geometry.window_seconds
    ):
        raise ValueError(
            f"clip_seconds {seconds} must rise and end in the encoder's window of "
            f"{geometry.window_seconds} s; set DataConfig.clip_seconds = "
            f"({geometry.window_seconds},)"
        )
    if len(seconds) > 1 and not geometry.is_silence_masked:
        raise ValueError(
            f"clip_seconds {seconds} are several windows, and this encoder hears the silence that "
            "fills them: a clip would sound otherwise in each; set ModelConfig.frame_mask = "
            f"'all' or DataConfig.clip_seconds = ({geometry.window_seconds},)"
        )
    return [
        BatchShape(
            rows=config.rows,
            tokens=config.tokens,
            targets=config.targets,
            clips=config.clips,
            mel_frames=round(s * RATE / HOP),
            mel_bins=geometry.mel_bins,
            teacher_tokens=teacher_tokens,
        )
        for s in seconds
    ]
