"""config.json of a Whisper out of the shapes of its tensors: files of others do not say all of
it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# every published Whisper has heads of this size
HEAD_SIZE = 64


def make_whisper_config(tensors: Mapping[str, np.ndarray], source: Path) -> dict[str, Any]:
    """As WhisperConfig writes it; heads are of 64."""
    width, mel_bins, _ = tensors["model.encoder.conv1.weight"].shape
    rows, _ = tensors["model.decoder.embed_tokens.weight"].shape
    if width % HEAD_SIZE:
        raise ValueError(f"{source}: a width of {width} is no Whisper's; take a published one")
    layers = {part: _count_layers(tensors, part) for part in ("encoder", "decoder")}
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": rows,
        "num_mel_bins": mel_bins,
        "d_model": width,
        "encoder_layers": layers["encoder"],
        "decoder_layers": layers["decoder"],
        "encoder_attention_heads": width // HEAD_SIZE,
        "decoder_attention_heads": width // HEAD_SIZE,
        "encoder_ffn_dim": tensors["model.encoder.layers.0.fc1.weight"].shape[0],
        "decoder_ffn_dim": tensors["model.decoder.layers.0.fc1.weight"].shape[0],
        "max_source_positions": tensors["model.encoder.embed_positions.weight"].shape[0],
        "max_target_positions": tensors["model.decoder.embed_positions.weight"].shape[0],
        "activation_function": "gelu",
        "scale_embedding": False,
    }


def _count_layers(tensors: Mapping[str, np.ndarray], part: str) -> int:
    prefix = f"model.{part}.layers."
    return 1 + max(
        int(name.removeprefix(prefix).split(".")[0]) for name in tensors if name.startswith(prefix)
    )
