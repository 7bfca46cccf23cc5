"""Sizes out of a Hugging Face config.json: what is understood becomes a preset, what is not is an
error that names it.

    weights/Qwen2.5-7B-Instruct/config.json ─► DecoderConfig        one of DECODERS, or a text half
    weights/whisper-medium/config.json      ─► EncoderConfig        whisper, or the audio half of qwen2_audio
    weights/parakeet-ctc-1.1b/config.json   ─► FastConformerConfig  parakeet_ctc and its kin
    weights/whisper-base/config.json        ─► WhisperDecoderConfig its text half, which finds the times of words
    exports/stage2/config.json              ─► either half          of an export for transformers
    weights/salmonn-encoder/config.json     ─► JoinedConfig         Whisper and BEATs, in a folder of ours

What a config.json leaves out is filled in by transformers' AutoConfig. A field that would change
the arithmetic must have the value that is written here; the other fields are left alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sift_jax.models.beats_encoder import BeatsConfig
from sift_jax.models.decoder import DecoderConfig, GemmaStyle, LayerPattern
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.joined_encoder import JoinedConfig
from sift_jax.models.layers import LinearScaling, RopeScaling
from sift_jax.models.whisper_decoder import WhisperDecoderConfig
from sift_jax.models.whisper_encoder import EncoderConfig

PARAKEETS = ("parakeet_ctc", "parakeet_rnnt", "parakeet_tdt", "parakeet_encoder")
# seconds; the model takes any length
PARAKEET_WINDOW = 40.0
DECODERS = ("qwen2", "qwen3", "llama", "mistral", "smollm3", "gemma3_text")
# model_type of our exports for transformers, whose halves are configs of their own
REMOTE_CODE = "sift_speech_lm"
# of an encoder that is two, in a folder of ours
JOINED_ENCODER = "sift_joined_encoder"
# whole models whose text half is one of these
TEXT_HALVES = {"qwen2_audio": "qwen2", "gemma3": "gemma3_text"}
# the only values that the code here computes, for fields that may say otherwise
FIXED_DECODER = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "quantization_config": None,
}
FIXED_GEMMA3 = {
    "hidden_activation": "gelu_pytorch_tanh",
    "attention_bias": False,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "use_bidirectional_attention": False,
    "quantization_config": None,
}
FIXED_ENCODER = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "quantization_config": None,
}
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
        raise ValueError(
            f"{path} does not exist; download the whole model folder, config.json included"
        )
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); download it again") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no object; download it again")
    return config, path


def _open_half(config: dict[str, Any], half: str) -> tuple[dict[str, Any], bool]:
    """(the config to read, whether it is half of an export for transformers)."""
    is_half = config.get("model_type") == REMOTE_CODE
    return (config[half] if is_half else config), is_half


def _fill_in(config: dict[str, Any], path: Path, *, is_half: bool = False) -> dict[str, Any]:
    """The config with what its file leaves out, as transformers reads it; nothing is asked of the
    network."""
    # it is used without PyTorch here, and would say so in the midst of an answer
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # late: it takes more than a second, and a preset by name needs none of it
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        if is_half:
            return AutoConfig.for_model(**config).to_dict()
        return AutoConfig.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False
        ).to_dict()
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        StrictDataclassError,
    ) as error:
        kind = config["model_type"]
        raise ValueError(
            f"{path} is no {kind} that transformers reads ({error}); download it again"
        ) from None


def _check_fixed(config: dict[str, Any], fixed: dict[str, Any], path: Path) -> None:
    for name, value in fixed.items():
        found = config.get(name, value)
        if found != value:
            raise ValueError(
                f"{path}: {name} is {found!r}, and only {value!r} is supported; choose a "
                "model without it"
            )


def _check_rope(config: dict[str, Any], path: Path) -> None:
    """Of what is written there: to what is missing transformers gives values of its own."""
    written = config.get("rope_parameters") or config.get("rope_scaling") or {}
    # Gemma 3 has one for each kind of layer
    ropes = [x for x in written.values() if isinstance(x, dict)] or [written]
    for rope in ropes:
        kind = rope.get("rope_type") or rope.get("type") or "default"
        if (
            kind not in ("default", "linear", "llama3")
            or rope.get("partial_rotary_factor", 1.0) != 1.0
        ):
            raise ValueError(
                f"{path}: rotary positions of type {kind!r} are not supported, only 'default', "
                "'linear' and 'llama3' over whole heads; choose a model without that scaling"
            )
        needed = {"llama3": LLAMA3_ROPE, "linear": ("factor",), "default": ()}[kind]
        missing = [name for name in needed if name not in rope]
        if missing:
            raise ValueError(
                f"{path}: rotary positions of type {kind!r} lack {missing[0]}; download it again"
            )


def _read_rope(rope: dict[str, Any]) -> tuple[float, RopeScaling | LinearScaling | None]:
    """(theta, scaling) of what transformers has made of rope_theta and rope_scaling."""
    theta = float(rope["rope_theta"])
    if rope["rope_type"] == "default":
        return theta, None
    if rope["rope_type"] == "linear":
        return theta, LinearScaling(factor=float(rope["factor"]))
    return theta, RopeScaling(
        factor=float(rope["factor"]),
        low_frequency=float(rope["low_freq_factor"]),
        high_frequency=float(rope["high_freq_factor"]),
        positions=int(rope["original_max_position_embeddings"]),
    )


def _find_every(is_odd: list[bool], name: str, path: Path) -> int | None:
    """Of how many layers the last is the odd one; None where none is."""
    every = is_odd.index(True) + 1 if True in is_odd else None
    wanted = [every is not None and (i + 1) % every == 0 for i in range(len(is_odd))]
    if is_odd != wanted:
        raise ValueError(
            f"{path}: {name} follows no pattern of which the last of every few layers is the odd "
            "one; choose a model of which it is"
        )
    return every


def _read_pattern(kind: str, config: dict[str, Any], path: Path) -> LayerPattern | None:
    """How layers differ, and an error where they differ otherwise."""
    types = config.get("layer_types") or ["full_attention"] * config["num_hidden_layers"]
    known = {"full_attention"} | ({"sliding_attention"} if kind == "gemma3_text" else set())
    strange = sorted(set(types) - known)
    if strange:
        raise ValueError(
            f"{path}: layer_types has {strange[0]!r}, and only {sorted(known)} are supported; "
            "choose a model without it"
        )
    if kind == "gemma3_text":
        local = config["rope_parameters"]["sliding_attention"]
        if local["rope_type"] != "default":
            raise ValueError(
                f"{path}: rotary positions of sliding layers are of type {local['rope_type']!r}, "
                "and only 'default' is supported; choose a model without that scaling"
            )
        return LayerPattern(
            every=_find_every([x == "full_attention" for x in types], "layer_types", path),
            window=config["sliding_window"],
            rope_theta=float(local["rope_theta"]),
            is_odd_rotated=True,
        )
    if kind == "smollm3":
        every = _find_every([not x for x in config["no_rope_layers"]], "no_rope_layers", path)
        if every is not None:
            return LayerPattern(every=every, window=None, rope_theta=None, is_odd_rotated=False)
    if kind == "mistral" and config["sliding_window"] is not None:
        window = config["sliding_window"]
        return LayerPattern(every=None, window=window, rope_theta=None, is_odd_rotated=True)
    return None


def read_decoder_preset(path: str | Path) -> DecoderConfig:
    """The decoder that a config.json (or its folder) describes."""
    config, path = read_config(path)
    config, is_half = _open_half(config, "text_config")
    kind = str(config.get("model_type"))
    half = TEXT_HALVES.get(kind)
    if half is None and kind not in DECODERS:
        raise ValueError(
            f"{path} describes a {kind!r}, which is not a supported decoder; use one of "
            f"{', '.join((*DECODERS, *TEXT_HALVES))}"
        )
    if half is not None:
        inner = (config.get("text_config") or {}).get("model_type", half)
        if inner != half:
            raise ValueError(
                f"{path}: the decoder is a {inner!r}; only {half!r} is read out of {kind}"
            )
    _check_rope(config.get("text_config") or config, path)
    config = _fill_in(config, path, is_half=is_half)
    kind, config = (kind, config) if half is None else (half, config["text_config"])
    is_gemma = kind == "gemma3_text"
    _check_fixed(config, FIXED_GEMMA3 if is_gemma else FIXED_DECODER, path)
    rope = config["rope_parameters"]
    theta, scaling = _read_rope(rope["full_attention"] if is_gemma else rope)
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
        has_qk_norm=kind in ("qwen3", "gemma3_text"),
        pattern=_read_pattern(kind, config, path),
        gemma=GemmaStyle(query_size=config["query_pre_attn_scalar"]) if is_gemma else None,
        is_tied=config["tie_word_embeddings"],
    )


def _read_parakeet(config: dict[str, Any], path: Path) -> FastConformerConfig:
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


def _read_joined(config: dict[str, Any], path: Path) -> JoinedConfig:
    try:
        return JoinedConfig(
            whisper=EncoderConfig(**config["whisper"]),
            beats=BeatsConfig(**config["beats"]),
            frame_mask="none",
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not of this version ({error}); make the folder again with python -m "
            "sift_jax.import_weights"
        ) from None


def read_encoder_preset(path: str | Path) -> EncoderConfig | FastConformerConfig | JoinedConfig:
    """The speech encoder that a config.json (or its folder) describes."""
    config, path = read_config(path)
    config, is_half = _open_half(config, "audio_config")
    kind = config.get("model_type")
    if kind in PARAKEETS:
        config = _fill_in(config, path)
        return _read_parakeet(config.get("encoder_config") or config, path)
    if kind == JOINED_ENCODER:
        return _read_joined(config, path)
    if kind not in ("whisper", "qwen2_audio", "qwen2_audio_encoder"):
        raise ValueError(
            f"{path} describes a {kind!r}, which is not a supported speech encoder; use one of "
            f"whisper, qwen2_audio, {', '.join(PARAKEETS)}"
        )
    config = _fill_in(config, path, is_half=is_half)
    config = config["audio_config"] if kind == "qwen2_audio" else config
    _check_fixed(config, {**FIXED_ENCODER, "encoder_ffn_dim": 4 * config["d_model"]}, path)
    return EncoderConfig(
        mel_bins=config["num_mel_bins"],
        width=config["d_model"],
        layers=config["encoder_layers"],
        heads=config["encoder_attention_heads"],
        window_seconds=config["max_source_positions"] / 50,
        frame_mask="none" if kind == "whisper" else "attention",
    )


def read_whisper_decoder(path: str | Path) -> WhisperDecoderConfig:
    """The text half of a Whisper's config.json (or its folder)."""
    config, path = read_config(path)
    if config.get("model_type") != "whisper":
        raise ValueError(
            f"{path} describes a {config.get('model_type')!r}, and a 'whisper' is needed; give "
            "its folder"
        )
    config = _fill_in(config, path)
    _check_fixed(config, {**FIXED_ENCODER, "tie_word_embeddings": True}, path)
    return WhisperDecoderConfig(
        vocab_size=config["vocab_size"],
        layers=config["decoder_layers"],
        heads=config["decoder_attention_heads"],
        positions=config["max_target_positions"],
    )
