# SPDX-License-Identifier: Apache-2.0
# Part of sift_jax, and of every folder that it exports for transformers.
"""The config of a speech language model: Whisper's encoder, a projector, any causal decoder.

recording ─► mel frames, 100 a second ─► encoder frames, 50 ─► positions of the decoder, 50 / projector_frames
"""

from __future__ import annotations

from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PretrainedConfig, WhisperConfig

# mel frames that become one of the encoder's
STRIDE = 2


def count_positions(mel_frames: Any, projector_kind: str, projector_frames: int) -> Any:
    """Positions that a recording of so many mel frames takes, one at least; the same for ints and
    tensors.

    Pooling leaves an incomplete group out, stacking fills it up: 11 encoder frames by fives are
    2 or 3 positions.
    """
    frames = -(-mel_frames // STRIDE)
    is_filled = projector_kind != "pooled"
    groups = -(-frames // projector_frames) if is_filled else frames // projector_frames
    return groups + (groups < 1)


class SiftConfig(PretrainedConfig):
    """`projector_kind` is linear, pooled or stacked, `projector_frames` the encoder frames that one
    position has, `projector_width` the hidden layer of a stacked one. With `soft_tokens` the
    projector's frames score the decoder's tokens, and the mean of their embeddings is heard.

    `frame_mask` says what is heard of the silence behind a recording's end:
        none         all of it
        attention    the convolutions hear it, attention does not
        all          nothing
    """

    model_type = "sift_speech_lm"
    sub_configs = {"audio_config": WhisperConfig, "text_config": AutoConfig}

    def __init__(
        self,
        audio_config: dict[str, Any] | PretrainedConfig | None = None,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        audio_token_id: int = 0,
        projector_kind: str = "linear",
        projector_frames: int = 1,
        projector_width: int = 0,
        soft_tokens: bool = False,
        frame_mask: str = "none",
        **kwargs: Any,
    ):
        self.audio_config: Any = _make_config(audio_config, "whisper")
        self.text_config: Any = _make_config(text_config, "llama")
        self.audio_token_id = audio_token_id
        self.projector_kind = projector_kind
        self.projector_frames = projector_frames
        self.projector_width = projector_width
        self.soft_tokens = soft_tokens
        self.frame_mask = frame_mask
        super().__init__(**kwargs)


def _make_config(found: dict[str, Any] | PretrainedConfig | None, kind: str) -> PretrainedConfig:
    if isinstance(found, PretrainedConfig):
        return found
    fields = dict(found or {})
    return CONFIG_MAPPING[fields.pop("model_type", kind)](**fields)
