"""Sizes by name. A module of your own may add to the two tables before the config is built.

    make_model_config(ModelConfig(encoder="whisper-medium", decoder="qwen2.5-7b", …)) -> SpeechLMConfig
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.layers import LoraConfig
from sift_jax.models.projectors import ProjectorConfig
from sift_jax.models.speech_encoders import EncoderConfig
from sift_jax.models.speech_lm import SpeechLMConfig


def _whisper(width: int, layers: int, heads: int, mel_bins: int = 80) -> EncoderConfig:
    return EncoderConfig(
        mel_bins=mel_bins, width=width, layers=layers, heads=heads, window_seconds=30.0, use_frame_mask=False
    )


def _qwen2(
    width: int, layers: int, heads: int, kv_heads: int, hidden: int, *, vocab_size: int, is_tied: bool
) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=vocab_size,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=width // heads,
        hidden=hidden,
        rope_theta=1e6,
        norm_eps=1e-6,
        has_qkv_bias=True,
        is_tied=is_tied,
    )


ENCODERS: dict[str, EncoderConfig] = {
    "whisper-tiny": _whisper(384, 4, 6),
    "whisper-base": _whisper(512, 6, 8),
    "whisper-small": _whisper(768, 12, 12),
    "whisper-medium": _whisper(1024, 24, 16),
    "whisper-large-v3": _whisper(1280, 32, 20, mel_bins=128),
    # trained from nothing by the quickstart: short windows, and silence is masked
    "quickstart": dataclasses.replace(_whisper(128, 2, 4), window_seconds=6.0, use_frame_mask=True),
    "test": dataclasses.replace(_whisper(32, 2, 2), window_seconds=2.0, use_frame_mask=True),
}

DECODERS: dict[str, DecoderConfig] = {
    "qwen2.5-0.5b": _qwen2(896, 24, 14, 2, 4864, vocab_size=151_936, is_tied=True),
    "qwen2.5-1.5b": _qwen2(1536, 28, 12, 2, 8960, vocab_size=151_936, is_tied=True),
    "qwen2.5-7b": _qwen2(3584, 28, 28, 4, 18_944, vocab_size=152_064, is_tied=False),
    "quickstart": dataclasses.replace(_qwen2(192, 2, 6, 3, 512, vocab_size=4096, is_tied=True), rope_theta=1e4),
    "test": dataclasses.replace(_qwen2(32, 2, 4, 2, 64, vocab_size=384, is_tied=True), rope_theta=1e4),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a gin file says of the model: presets by name and what joins them."""

    encoder: str
    decoder: str
    projector_pool: int
    lora_rank: int
    lora_alpha: float
    lora_targets: tuple[str, ...]
    dtype: str
    remat: str


def _pick(table: Mapping[str, object], kind: str, name: str):
    if name not in table:
        raise ValueError(f"unknown {kind} preset {name!r}; choose one of {', '.join(sorted(table))}")
    return table[name]


def make_model_config(config: ModelConfig) -> SpeechLMConfig:
    """Resolves the presets and checks what joins them."""
    if config.projector_pool < 1:
        raise ValueError(f"projector_pool is {config.projector_pool}; it is a number of frames, 1 or more")
    if config.lora_rank < 0:
        raise ValueError(f"lora_rank is {config.lora_rank}; use 0 for no LoRA")
    known = ("q", "k", "v", "o", "gate", "up", "down")
    for target in config.lora_targets:
        if target not in known:
            raise ValueError(f"lora target {target!r} matches no projection; choose among {', '.join(known)}")
    return SpeechLMConfig(
        encoder=_pick(ENCODERS, "encoder", config.encoder),
        projector=ProjectorConfig(pool=config.projector_pool),
        decoder=_pick(DECODERS, "decoder", config.decoder),
        lora=LoraConfig(rank=config.lora_rank, alpha=config.lora_alpha, targets=tuple(config.lora_targets)),
        dtype=config.dtype,
        remat=config.remat,
    )


def to_json(config: SpeechLMConfig) -> dict:
    """The config as plain data, kept beside every checkpoint."""
    return dataclasses.asdict(config)


def from_json(data: dict) -> SpeechLMConfig:
    lora = {**data["lora"], "targets": tuple(data["lora"]["targets"])}
    return SpeechLMConfig(
        encoder=EncoderConfig(**data["encoder"]),
        projector=ProjectorConfig(**data["projector"]),
        decoder=DecoderConfig(**data["decoder"]),
        lora=LoraConfig(**lora),
        dtype=data["dtype"],
        remat=data["remat"],
    )
