"""The JSON files beside the weights, as transformers, PEFT and vLLM read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.models.whisper_encoder import EncoderConfig

ARCHITECTURES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}


def _make_rope(config: DecoderConfig) -> dict[str, Any]:
    """transformers 5 reads rope_parameters, everything older the other two."""
    rope: dict[str, Any] = {"rope_type": "default"}
    if config.rope_scaling is not None:
        rope = {
            "rope_type": "llama3",
            "factor": config.rope_scaling.factor,
            "low_freq_factor": config.rope_scaling.low_frequency,
            "high_freq_factor": config.rope_scaling.high_frequency,
            "original_max_position_embeddings": config.rope_scaling.positions,
        }
    old = {
        "rope_theta": config.rope_theta,
        "rope_scaling": None if config.rope_scaling is None else rope,
    }
    return {"rope_parameters": {**rope, "rope_theta": config.rope_theta}, **old}


def make_decoder_config(
    config: SpeechLMConfig, stop_id: int, dtype: str = "float32"
) -> dict[str, Any]:
    """config.json of a Qwen2ForCausalLM or a LlamaForCausalLM."""
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
    """config.json of a ParakeetEncoder, or with the encoder half of a Whisper model."""
    if isinstance(config.encoder, FastConformerConfig):
        return make_fast_conformer_config(config.encoder)
    return {"model_type": "whisper", **_make_encoder_sizes(config.encoder)}


def make_qwen2_audio_config(
    config: SpeechLMConfig, stop_id: int, audio_id: int, dtype: str
) -> dict[str, Any]:
    """config.json of a Qwen2AudioForConditionalGeneration, which knows no tied head."""
    if isinstance(config.encoder, FastConformerConfig):
        raise ValueError("Qwen2-Audio hears by a Whisper encoder; use --format=sift")
    return {
        "architectures": ["Qwen2AudioForConditionalGeneration"],
        "model_type": "qwen2_audio",
        "audio_config": {
            "model_type": "qwen2_audio_encoder",
            **_make_encoder_sizes(config.encoder),
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


def make_preprocessor_config(config: SpeechLMConfig) -> dict[str, Any]:
    """preprocessor_config.json: the log-mel that the encoder hears, by Whisper's extractor."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "Qwen2AudioProcessor",
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


def make_generation_config(stop_id: int, pad_id: int) -> dict[str, Any]:
    return {"do_sample": False, "eos_token_id": stop_id, "pad_token_id": pad_id}
