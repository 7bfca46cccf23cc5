"""The JSON files beside the weights, as transformers, PEFT and vLLM read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.hf_config import JOINED_ENCODER, REMOTE_CODE
from sift_jax.models.joined_encoder import JoinedConfig
from sift_jax.models.layers import LinearScaling
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.models.whisper_encoder import EncoderConfig

ARCHITECTURES = {
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
}
PROCESSOR = "processing_sift.SiftProcessor"


def _make_scaling(config: DecoderConfig) -> dict[str, Any] | None:
    scaling = config.rope_scaling
    if scaling is None:
        return None
    if isinstance(scaling, LinearScaling):
        return {"rope_type": "linear", "factor": scaling.factor}
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_frequency,
        "high_freq_factor": scaling.high_frequency,
        "original_max_position_embeddings": scaling.positions,
    }


def _make_rope(config: DecoderConfig) -> dict[str, Any]:
    """transformers 5 reads rope_parameters, everything older the others."""
    scaling = _make_scaling(config)
    rope = {**(scaling or {"rope_type": "default"}), "rope_theta": config.rope_theta}
    old = {"rope_theta": config.rope_theta, "rope_scaling": scaling}
    if config.gemma is None or config.pattern is None:
        return {"rope_parameters": rope, **old}
    local = config.pattern.rope_theta
    return {
        "rope_parameters": {
            "full_attention": rope,
            "sliding_attention": {"rope_type": "default", "rope_theta": local},
        },
        "rope_local_base_freq": local,
        **old,
    }


def _make_pattern(config: DecoderConfig) -> dict[str, Any]:
    """What config.json says of layers that differ, and of Gemma's style."""
    pattern = config.pattern
    if pattern is None:
        return {}
    is_odd = [pattern.is_odd(i) for i in range(config.layers)]
    if config.gemma is not None:
        return {
            "hidden_activation": "gelu_pytorch_tanh",
            "query_pre_attn_scalar": config.gemma.query_size,
            "sliding_window": pattern.window,
            "sliding_window_pattern": pattern.every or config.layers + 1,
            "layer_types": ["full_attention" if x else "sliding_attention" for x in is_odd],
        }
    if not pattern.is_odd_rotated:
        # their own ids of these lie beyond a small vocabulary
        ids = {"bos_token_id": None, "pad_token_id": None}
        return {"no_rope_layers": [int(not x) for x in is_odd], "sliding_window": None, **ids}
    return {"sliding_window": pattern.window}


def make_decoder_config(
    config: SpeechLMConfig, stop_id: int, dtype: str = "float32"
) -> dict[str, Any]:
    """config.json of one of ARCHITECTURES."""
    c = config.decoder
    return {
        "architectures": [ARCHITECTURES[c.architecture]],
        "model_type": c.architecture,
        "vocab_size": c.vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.hidden,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_size,
        "rms_norm_eps": c.norm_eps,
        **_make_rope(c),
        "max_position_embeddings": c.max_positions,
        "tie_word_embeddings": c.is_tied,
        "hidden_act": "silu",
        **_make_pattern(c),
        "eos_token_id": stop_id,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def _make_encoder_sizes(config: EncoderConfig) -> dict[str, Any]:
    return {
        "num_mel_bins": config.mel_bins,
        "d_model": config.width,
        "encoder_layers": config.layers,
        "encoder_attention_heads": config.heads,
        "encoder_ffn_dim": 4 * config.width,
        "max_source_positions": config.mel_frames // 2,
        "activation_function": "gelu",
        "scale_embedding": False,
    }


def make_fast_conformer_config(config: FastConformerConfig) -> dict[str, Any]:
    """config.json of a ParakeetEncoder."""
    return {
        "architectures": ["ParakeetEncoder"],
        "model_type": "parakeet_encoder",
        "num_mel_bins": config.mel_bins,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden,
        "conv_kernel_size": config.kernel,
        "subsampling_conv_channels": config.channels,
        "attention_bias": config.has_bias,
        "convolution_bias": config.has_bias,
        "scale_input": config.is_scaled,
    }


def make_encoder_config(config: SpeechLMConfig) -> dict[str, Any]:
    """config.json of a ParakeetEncoder, of Whisper and BEATs, or with the encoder half of a Whisper
    model."""
    if isinstance(config.encoder, FastConformerConfig):
        return make_fast_conformer_config(config.encoder)
    if isinstance(config.encoder, JoinedConfig):
        return {
            "model_type": JOINED_ENCODER,
            "whisper": dataclasses.asdict(config.encoder.whisper),
            "beats": dataclasses.asdict(config.encoder.beats),
        }
    return {"model_type": "whisper", **_make_encoder_sizes(_find_whisper(config))}


def _find_whisper(config: SpeechLMConfig) -> EncoderConfig:
    if not isinstance(config.encoder, EncoderConfig):
        raise ValueError(
            "this model does not hear by a Whisper encoder, as that format's models do; use "
            "--format=sift"
        )
    return config.encoder


def make_qwen2_audio_config(
    config: SpeechLMConfig, stop_id: int, audio_id: int, dtype: str
) -> dict[str, Any]:
    """config.json of a Qwen2AudioForConditionalGeneration, which knows no tied head."""
    return {
        "architectures": ["Qwen2AudioForConditionalGeneration"],
        "model_type": "qwen2_audio",
        "audio_config": {
            "model_type": "qwen2_audio_encoder",
            **_make_encoder_sizes(_find_whisper(config)),
        },
        "text_config": {
            **make_decoder_config(config, stop_id, dtype),
            "tie_word_embeddings": False,
        },
        "audio_token_index": audio_id,
        "vocab_size": config.decoder.vocab_size,
        "tie_word_embeddings": False,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def make_remote_config(
    config: SpeechLMConfig, stop_id: int, audio_id: int, dtype: str
) -> dict[str, Any]:
    """config.json of the classes in remote_code/."""
    return {
        "architectures": ["SiftForCausalLM"],
        "model_type": REMOTE_CODE,
        "auto_map": {
            "AutoConfig": "configuration_sift.SiftConfig",
            "AutoModelForCausalLM": "modeling_sift.SiftForCausalLM",
            "AutoProcessor": PROCESSOR,
        },
        "audio_config": {"model_type": "whisper", **_make_encoder_sizes(_find_whisper(config))},
        "text_config": make_decoder_config(config, stop_id, dtype),
        "audio_token_id": audio_id,
        **_make_projector_fields(config),
        "projector_width": config.projector.width,
        "soft_tokens": config.projector.soft_tokens,
        "tie_word_embeddings": config.decoder.is_tied,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def _make_projector_fields(config: SpeechLMConfig) -> dict[str, Any]:
    """What decides the positions of a recording: the model and its processor know it."""
    return {
        "projector_kind": config.projector.kind,
        "projector_frames": config.projector.frames,
        "frame_mask": config.encoder.frame_mask,
    }


def make_remote_processor_config(config: SpeechLMConfig, audio_token: str) -> dict[str, Any]:
    """processor_config.json of the same."""
    return {
        "processor_class": PROCESSOR.split(".")[1],
        "auto_map": {"AutoProcessor": PROCESSOR},
        "audio_token": audio_token,
        **_make_projector_fields(config),
        "window_seconds": config.encoder.window_seconds,
        "windows": config.windows,
    }


def make_preprocessor_config(config: SpeechLMConfig, processor: str) -> dict[str, Any]:
    """preprocessor_config.json: the log-mel that the encoder hears, by Whisper's extractor."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": processor,
        "feature_size": config.encoder.mel_bins,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": round(config.encoder.window_seconds),
        "n_samples": round(config.encoder.window_seconds * 16_000),
        "nb_max_frames": config.encoder.mel_frames,
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": True,
    }


def make_adapter_config(
    config: SpeechLMConfig, targets: list[str], base: str, token_rows: Mapping[str, Iterable[int]]
) -> dict[str, Any]:
    """adapter_config.json of PEFT; `targets` are their names of projections, `token_rows` the ids,
    by module, of the rows that it brings along."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.lora.rank,
        "lora_alpha": config.lora.alpha,
        "lora_dropout": 0.0,
        "target_modules": targets,
        "trainable_token_indices": {module: list(ids) for module, ids in token_rows.items()}
        or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def make_generation_config(stop: int | list[int], pad_id: int) -> dict[str, Any]:
    return {"do_sample": False, "eos_token_id": stop, "pad_token_id": pad_id}
