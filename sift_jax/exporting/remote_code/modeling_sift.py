# SPDX-License-Identifier: Apache-2.0
# Part of sift_jax, and of every folder that it exports for transformers.
"""A speech language model in PyTorch: recordings become embeddings of the decoder and stand where
the prompt has audio tokens.

    input_features (b, a, bins, s) ─► encoder ─► projector ─► positions ──┐ input_ids == audio_token_id
    input_ids (b, t) ─► embedding ─────────────────────────────────────────┴─► decoder ─► logits

Row b of a batch has up to a recordings (windows of long ones); feature_frames (b, a) are the mel
frames that count of each, 0 where there is none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .configuration_sift import STRIDE, SiftConfig, count_positions


class SiftProjector(nn.Module):
    """Encoder frames to embeddings: one Linear, or frames side by side and an MLP."""

    def __init__(self, config: SiftConfig):
        super().__init__()
        width, features = config.audio_config.d_model, config.text_config.hidden_size
        self.is_stacked = config.projector_kind == "stacked"
        self.frames = config.projector_frames
        if self.is_stacked:
            self.up = nn.Linear(self.frames * width, config.projector_width)
            self.down = nn.Linear(config.projector_width, features)
        else:
            self.linear = nn.Linear(width, features)
        if config.soft_tokens:
            self.rest = nn.Linear(features, features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.is_stacked:
            return self.linear(x)
        clips, frames, width = x.shape
        x = nn.functional.pad(x, (0, 0, 0, -frames % self.frames))
        x = x.reshape(clips, -1, self.frames * width)
        return self.down(nn.functional.gelu(self.up(x)))


class SiftForCausalLM(PreTrainedModel, GenerationMixin):
    """Encoder, projector and decoder; what is said, and in which words, is the decoder's."""

    config_class = SiftConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _skip_keys_device_placement = ["past_key_values"]

    def __init__(self, config: SiftConfig):
        super().__init__(config)
        self.encoder = WhisperEncoder(config.audio_config)
        self.projector = SiftProjector(config)
        self.decoder = AutoModelForCausalLM.from_config(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.decoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.decoder.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.decoder.get_output_embeddings()

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.decoder.set_output_embeddings(value)

    def _encode(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """The encoder's frames of mel features (clips, bins, s). Whisper's own forward takes nothing
        but windows of 30 s and masks nothing."""
        encoder, config = self.encoder, self.config
        place = torch.arange(features.shape[-1], device=features.device)
        if config.frame_mask == "all":
            # the convolutions reach over a clip's end, where attention's mask does not help
            is_heard = place[None] < frames[:, None]
            features = features.masked_fill(~is_heard[:, None], 0.0)
        x = nn.functional.gelu(encoder.conv1(features))
        x = nn.functional.gelu(encoder.conv2(x)).transpose(1, 2)
        x = x + encoder.embed_positions.weight[: x.shape[1]]
        mask = None
        if config.frame_mask != "none":
            seen = place[None, : x.shape[1]] < -(-frames[:, None] // STRIDE)
            mask = create_bidirectional_mask(encoder.config, x, seen)
        for layer in encoder.layers:
            x = layer(x, mask)
        if config.projector_kind == "pooled":
            x = nn.functional.avg_pool1d(x.transpose(1, 2), config.projector_frames).transpose(1, 2)
        return encoder.layer_norm(x)

    def hear(self, input_features: torch.Tensor, feature_frames: torch.Tensor) -> torch.Tensor:
        """The embeddings of all recordings of a batch, one behind the other, (positions, d)."""
        is_there = feature_frames > 0
        features, frames = input_features[is_there], feature_frames[is_there]
        encoded = self._encode(features.to(self.encoder.conv1.weight.dtype), frames)
        projected = self.projector(encoded)
        if self.config.soft_tokens:
            projected = self._soften(projected)
        place = torch.arange(projected.shape[1], device=projected.device)
        return projected[place[None] < self._count(frames)[:, None]]

    def _soften(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames that score the decoder's tokens to the mean of their embeddings, and the rest."""
        embed = self.get_input_embeddings()
        # Gemma scales what it embeds
        table = embed.weight * getattr(embed, "embed_scale", 1.0)
        share = (frames @ table.T).float().softmax(-1).to(table.dtype)
        return share @ table + self.projector.rest(frames)

    def _count(self, frames: torch.Tensor) -> torch.Tensor:
        return count_positions(frames, self.config.projector_kind, self.config.projector_frames)

    def _splice(
        self,
        x: torch.Tensor,
        input_ids: torch.Tensor,
        input_features: torch.Tensor,
        feature_frames: torch.Tensor,
    ) -> torch.Tensor:
        """Embeddings of tokens with those of the recordings in the places of audio tokens."""
        is_audio = input_ids == self.config.audio_token_id
        feature_frames = feature_frames.to(input_ids.device)
        wanted = torch.where(feature_frames > 0, self._count(feature_frames), 0).sum(1)
        found = is_audio.sum(1)
        for row in (found != wanted).nonzero()[:, 0].tolist():
            raise ValueError(
                f"row {row} has {found[row]} audio tokens, and its recordings take {wanted[row]} "
                "positions; make both by one call of the processor"
            )
        speech = self.hear(input_features.to(input_ids.device), feature_frames)
        return x.masked_scatter(is_audio[:, :, None], speech.to(x.dtype))

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        feature_frames: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """What the decoder gives: logits, a cache, and with `labels` a loss."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if input_features is not None:
            if input_ids is None or feature_frames is None:
                raise ValueError(
                    "recordings come with input_ids, which say where they stand, and with "
                    "feature_frames; give all that the processor returns"
                )
            inputs_embeds = self._splice(inputs_embeds, input_ids, input_features, feature_frames)
        return self.decoder(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **kwargs)

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        next_sequence_length: int | None = None,
        past_key_values: Any = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Recordings are heard once: behind the first step they are in the cache, if there is
        one."""
        inputs = super().prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=next_sequence_length,
            past_key_values=past_key_values,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )
        is_heard = past_key_values is not None and past_key_values.get_seq_length() > 0
        if is_heard and not is_first_iteration:
            inputs.pop("input_features", None)
            inputs.pop("feature_frames", None)
        return inputs
