"""Sizes out of a Hugging Face config.json: what is understood becomes a preset, what is not is an error that names it.

    weights/Qwen2.5-7B-Instruct/config.json ─► DecoderConfig        qwen2, llama, or the text half of qwen2_audio
    weights/whisper-medium/config.json      ─► EncoderConfig        whisper, or the audio half of qwen2_audio
    weights/parakeet-ctc-1.1b/config.json   ─► FastConformerConfig  parakeet_ctc and its kin

A field that would change the arithmetic must have the value that is written here; the other fields are left alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.layers import RopeScaling
from sift_jax.models.speech_encoders import EncoderConfig

# what a config.json means by leaving a field out
QWEN2_DEFAULTS = {
    "vocab_size": 151_936,
    "hidden_size": 4096,
    "intermediate_size": 22_016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": False,
}
LLAMA_DEFAULTS = {
    **QWEN2_DEFAULTS,
    "vocab_size": 32_000,
    "intermediate_size": 11_008,
    "num_key_value_heads": None,
    "max_position_embeddings": 2048,
}
WHISPER_DEFAULTS = {
    "num_mel_bins": 80,
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "max_source_positions": 1500,
}
QWEN2_AUDIO_DEFAULTS = {
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "max_source_positions": 1500,
}
PARAKEET_DEFAULTS = {
    "num_mel_bins": 80,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 8,
    "intermediate_size": 4096,
    "conv_kernel_size": 9,
    "subsampling_conv_channels": 256,
    "attention_bias": True,
    "convolution_bias": True,
    "scale_input": True,
}
PARAKEETS = ("parakeet_ctc", "parakeet_rnnt", "parakeet_tdt", "parakeet_encoder")
# seconds; the model takes any length
PARAKEET_WINDOW = 40.0
# the only values that the code here computes, for fields that may say otherwise
FIXED_DECODER = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "quantization_config": None,
}
FIXED_ENCODER = {"activation_function": "gelu", "scale_embedding": False, "quantization_config": None}
FIXED_PARAKEET = {
    "hidden_act": "silu",
    "subsampling_factor": 8,
    "subsampling_conv_kernel_size": 3,
    "subsampling_conv_stride": 2,
    "quantization_config": None,
}
LLAMA3_ROPE = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


def read_config(path: str | Path) -> tuple[dict[str, Any], Path]:
    """The config of a config.json, or of the folder that holds one."""
    path = Path(path)
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"{path} does not exist; download the whole model folder, config.json included")
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); download it again") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no object; download it again")
    return config, path


def _check_fixed(config: dict[str, Any], fixed: dict[str, Any], path: Path) -> None:
    for name, value in fixed.items():
        found = config.get(name, value)
        if found != value:
            raise ValueError(f"{path}: {name} is {found!r}, and only {value!r} is supported; choose a model without it")
    strange = sorted(set(config.get("layer_types") or ()) - {"full_attention"})
    if strange:
        raise ValueError(
            f"{path}: layer_types has {strange[0]!r}, and only 'full_attention' is supported; choose a model without it"
        )


def _read_rope(config: dict[str, Any], path: Path) -> tuple[float, RopeScaling | None]:
    """(theta, scaling): transformers 5 has both in rope_parameters, older files have rope_theta and rope_scaling."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = float(rope.get("rope_theta") or config["rope_theta"])
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind not in ("default", "llama3") or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(
            f"{path}: rotary positions of type {kind!r} are not supported, only 'default' and 'llama3' over whole "
            "heads; choose a model without that scaling"
        )
    if kind == "default":
        return theta, None
    missing = [name for name in LLAMA3_ROPE if name not in rope]
    if missing:
        raise ValueError(f"{path}: rotary positions of type 'llama3' lack {missing[0]}; download it again")
    return theta, RopeScaling(
        factor=float(rope["factor"]),
        low_frequency=float(rope["low_freq_factor"]),
        high_frequency=float(rope["high_freq_factor"]),
        positions=int(rope["original_max_position_embeddings"]),
    )


def read_decoder_preset(path: str | Path) -> DecoderConfig:
    """The decoder that a config.json (or its folder) describes."""
    config, path = read_config(path)
    kind = config.get("model_type")
    if kind == "qwen2_audio":
        inner = config.get("text_config") or {}
        if inner.get("model_type", "qwen2") != "qwen2":
            raise ValueError(
                f"{path}: the decoder is a {inner['model_type']!r}; only 'qwen2' is read out of qwen2_audio"
            )
        kind, config = "qwen2", inner
    if kind not in ("qwen2", "llama"):
        raise ValueError(
            f"{path} describes a {kind!r}, which is no supported decoder; use one of qwen2, llama, qwen2_audio"
        )
    config = {**(QWEN2_DEFAULTS if kind == "qwen2" else LLAMA_DEFAULTS), **config}
    _check_fixed(config, FIXED_DECODER, path)
    theta, scaling = _read_rope(config, path)
    heads = config["num_attention_heads"]
    return DecoderConfig(
        vocab_size=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config["num_key_value_heads"] or heads,
        head_size=config.get("head_dim") or config["hidden_size"] // heads,
        hidden=config["intermediate_size"],
        rope_theta=theta,
        rope_scaling=scaling,
        max_positions=config["max_position_embeddings"],
        norm_eps=config["rms_norm_eps"],
        has_qkv_bias=kind == "qwen2",
        is_tied=config["tie_word_embeddings"],
    )


def _read_parakeet(config: dict[str, Any], path: Path) -> FastConformerConfig:
    config = {**PARAKEET_DEFAULTS, **config}
    _check_fixed(config, {**FIXED_PARAKEET, "convolution_bias": config["attention_bias"]}, path)
    return FastConformerConfig(
        mel_bins=config["num_mel_bins"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden=config["intermediate_size"],
        kernel=config["conv_kernel_size"],
        channels=config["subsampling_conv_channels"],
        has_bias=config["attention_bias"],
        is_scaled=config["scale_input"],
        window_seconds=PARAKEET_WINDOW,
        frame_mask="all",
    )


def read_encoder_preset(path: str | Path) -> EncoderConfig | FastConformerConfig:
    """The speech encoder that a config.json (or its folder) describes."""
    config, path = read_config(path)
    kind = config.get("model_type")
    if kind in PARAKEETS:
        return _read_parakeet(config.get("encoder_config") or config, path)
    if kind == "qwen2_audio":
        kind, config = "qwen2_audio_encoder", config.get("audio_config") or {}
    if kind not in ("whisper", "qwen2_audio_encoder"):
        raise ValueError(
            f"{path} describes a {kind!r}, which is no supported speech encoder; use one of whisper, qwen2_audio, "
            f"{', '.join(PARAKEETS)}"
        )
    config = {**(WHISPER_DEFAULTS if kind == "whisper" else QWEN2_AUDIO_DEFAULTS), **config}
    _check_fixed(config, {**FIXED_ENCODER, "encoder_ffn_dim": 4 * config["d_model"]}, path)
    return EncoderConfig(
        mel_bins=config["num_mel_bins"],
        width=config["d_model"],
        layers=config["encoder_layers"],
        heads=config["encoder_attention_heads"],
        window_seconds=config["max_source_positions"] / 50,
        frame_mask="none" if kind == "whisper" else "attention",
    )
