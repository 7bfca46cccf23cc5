"""What an encoder hears of a clip, by the name that its config gives: one front end a family of
encoders.

    whisper       Whisper's log-mel (whisper_mel.py): a clip and the silence behind it
    normalised    NeMo's (nemo_mel.py): each bin normalised over the clip, nothing behind it
    joined        Whisper's and Kaldi's (joined_mel.py), side by side

All are at 16 kHz and 100 frames a second, laid into windows (frames, mel_bins).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from sift_jax.audio.joined_mel import count_joined_frames, fill_joined_mel
from sift_jax.audio.nemo_mel import count_normalised_frames, fill_normalised_mel
from sift_jax.audio.whisper_mel import count_mel_frames, fill_log_mel


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontEnd:
    # samples to the frames that count as the clip, for ints and arrays
    count_frames: Callable
    # float samples into a window; gives the frames that count as the clip
    fill: Callable[[np.ndarray, np.ndarray], int]


FRONT_ENDS = {
    "whisper": FrontEnd(count_frames=count_mel_frames, fill=fill_log_mel),
    "normalised": FrontEnd(count_frames=count_normalised_frames, fill=fill_normalised_mel),
    "joined": FrontEnd(count_frames=count_joined_frames, fill=fill_joined_mel),
}
