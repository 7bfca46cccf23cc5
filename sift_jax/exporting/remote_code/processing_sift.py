# SPDX-License-Identifier: Apache-2.0
# Part of sift_jax, and of every folder that it exports for transformers.
"""Texts with audio tokens and their recordings, as the model reads them.

    "… <|AUDIO|> … How fast?"  ─► the token as often as its recording takes positions ─► input_ids, attention_mask
    samples at 16 kHz          ─► windows ─► log-mel ─► input_features (b, a, bins, s), feature_frames (b, a)

Rows are padded on the left. A recording that is longer than the encoder's window is cut into
windows, which follow each other in the place of its one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin

from .configuration_sift import STRIDE, count_positions

RATE, HOP = 16_000, 160


class SiftProcessor(ProcessorMixin):
    """Whisper's feature extractor and the decoder's tokenizer; the other fields are those of the
    model's config, and how long a window and how many windows a recording may be."""

    def __init__(
        self,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        audio_token: str = "<|AUDIO|>",
        projector_kind: str = "linear",
        projector_frames: int = 1,
        frame_mask: str = "none",
        window_seconds: float = 30.0,
        windows: int = 1,
    ):
        self.audio_token = audio_token
        self.projector_kind = projector_kind
        self.projector_frames = projector_frames
        self.frame_mask = frame_mask
        self.window_seconds = window_seconds
        self.windows = windows
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "input_features", "feature_frames"]

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        audio: Any = None,
        *,
        sampling_rate: int | None = None,
        padding: bool | str = True,
        padding_side: str = "left",
        return_tensors: str | None = "pt",
        **options: Any,
    ) -> BatchFeature:
        """`audio` is one recording or a list of them, in the order of the texts' audio tokens; each
        is float samples of one channel, at `sampling_rate`."""
        texts = [text] if isinstance(text, str) else list(text or [])
        if not texts:
            raise ValueError("no text to answer; give text, with an audio token a recording")
        # a chat template has written all special tokens
        ignored = {"images", "videos", "add_special_tokens"}
        unknown = [k for k in ("images", "videos") if options.get(k) is not None]
        if unknown:
            raise ValueError(f"this model hears and reads; leave {unknown[0]} out")
        recordings = [audio] if hasattr(audio, "ndim") else list(audio or [])
        clips = [self._cut(clip, sampling_rate, i) for i, clip in enumerate(recordings, 1)]
        texts, rows = self._place(texts, clips)
        data = self.tokenizer(
            texts,
            padding=padding,
            padding_side=padding_side,
            add_special_tokens=False,
            return_token_type_ids=False,
            return_tensors=return_tensors,
            **{k: x for k, x in options.items() if k not in ignored},
        )
        features = self._extract(rows) if clips else {}
        return BatchFeature({**data, **features}, tensor_type=return_tensors)

    def _cut(self, recording: Any, rate: int | None, number: int) -> list[np.ndarray]:
        """The windows of a recording."""
        samples = np.asarray(recording)
        if rate != RATE:
            raise ValueError(
                f"recording {number} is at {rate or 'an unknown rate'}, the model hears {RATE} "
                f"samples a second; resample it and give sampling_rate={RATE}"
            )
        if samples.dtype.kind != "f" or samples.ndim != 1 or not samples.size:
            raise ValueError(
                f"recording {number} is {samples.dtype} of shape {samples.shape}; give floats in "
                "−1 … 1 of one channel, one at least"
            )
        window = round(self.window_seconds * RATE)
        if len(samples) > self.windows * window:
            raise ValueError(
                f"recording {number} has {len(samples) / RATE:.1f} s, the model hears "
                f"{self.windows * self.window_seconds:g} s at most; cut it"
            )
        samples = samples.astype(np.float32)
        return [samples[i : i + window] for i in range(0, len(samples), window)]

    def _place(
        self, texts: list[str], clips: list[list[np.ndarray]]
    ) -> tuple[list[str], list[list[np.ndarray]]]:
        """(texts with an audio token a position, the windows of each text)."""
        markers = [text.count(self.audio_token) for text in texts]
        if sum(markers) != len(clips):
            raise ValueError(
                f"the texts have {sum(markers)} times {self.audio_token}, and there are "
                f"{len(clips)} recordings; write one for each recording"
            )
        waiting = iter(clips)
        written, rows = [], []
        for text in texts:
            first, *others = text.split(self.audio_token)
            row: list[np.ndarray] = []
            for other in others:
                windows = next(waiting)
                first += self.audio_token * sum(map(self._count, windows)) + other
                row += windows
            written.append(first)
            rows.append(row)
        return written, rows

    def _count(self, clip: np.ndarray) -> int:
        return int(count_positions(_count_frames(clip), self.projector_kind, self.projector_frames))

    def _extract(self, rows: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
        clips = [clip for row in rows for clip in row]
        length = window = round(self.window_seconds * RATE / HOP)
        if self.frame_mask == "all":
            # a clip sounds the same in a shorter window: of whole groups, and with two frames to
            # spare, since at its very end the features mirror the clip
            group = STRIDE * self.projector_frames
            longest = max(map(_count_frames, clips)) + 2
            length = min(window, -(-longest // group) * group)
        mel = self.feature_extractor(
            clips,
            sampling_rate=RATE,
            padding="max_length",
            max_length=length * HOP,
            return_tensors="np",
        )["input_features"]
        most = max(map(len, rows))
        features = np.zeros((len(rows), most, *mel.shape[1:]), np.float32)
        frames = np.zeros((len(rows), most), np.int64)
        places = [(b, a) for b, row in enumerate(rows) for a in range(len(row))]
        for place, clip, found in zip(places, clips, mel, strict=True):
            features[place], frames[place] = found, _count_frames(clip)
        return {"input_features": features, "feature_frames": frames}


def _count_frames(clip: np.ndarray) -> int:
    """Mel frames whose centre lies on the clip."""
    return -(-len(clip) // HOP)
