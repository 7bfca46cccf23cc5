"""An X-codec2 folder of the hub as config and the parameters of its way back.

config.json ─► Xcodec2Config     *.safetensors ─► params, layers stacked; encoder_checkpoint.py has the encoders'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.codecs.network_folder import nest
from sift_jax.codecs.xcodec2.xcodec2_decoder import Params, Xcodec2Config

# Their key and our path.
_TABLE = {
    r"quantizer\.project_out\.(weight|bias)": r"project_out/\1",
    r"acoustic_decoder\.(fc|embed|norm)\.(weight|bias)": r"\1/\2",
    r"acoustic_decoder\.head\.linear\.(weight|bias)": r"head/\1",
    r"acoustic_decoder\.(prior|post)_net\.([01])\.(norm[12]|conv[12])\.(weight|bias)": r"\1_\2/\3/\4",
    r"acoustic_decoder\.layers\.(\d+)\.self_attn\.([qkvo]_proj)\.(weight|bias)": r"layers/\1/\2/\3",
    r"acoustic_decoder\.layers\.(\d+)\.mlp\.(fc[12])\.weight": r"layers/\1/\2/weight",
    r"acoustic_decoder\.layers\.(\d+)\.input_layernorm\.weight": r"layers/\1/attention_norm/weight",
    r"acoustic_decoder\.layers\.(\d+)\.post_attention_layernorm\.weight": r"layers/\1/mlp_norm/weight",
}
# What only the way there needs, and what is computed again.
_IGNORED = (
    r"semantic_encoder\..*|semantic_adapter\..*|acoustic_encoder\..*|fc_encoder\..*|quantizer\.project_in\..*"
    r"|quantizer\.quantizer\.\w+|acoustic_decoder\.head\.window|acoustic_decoder\.rotary_emb\.\w+"
)
_DEFAULTS = {
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "head_dim": 64,
    "rms_norm_eps": 1e-6,
    "quantization_levels": (4,) * 8,
    "downsampling_ratios": (2, 2, 4, 4, 5),
    "sampling_rate": 16_000,
}


def make_config(raw: Mapping[str, Any], source: Path) -> Xcodec2Config:
    """Our config of theirs; what we do not compute is refused by name."""
    if raw.get("model_type") != "xcodec2":
        raise ValueError(
            f"{source}/config.json: model_type {raw.get('model_type')!r}, not xcodec2; give "
            "its folder"
        )
    fields = {name: raw.get(name, default) for name, default in _DEFAULTS.items()}
    rope = raw.get("rope_parameters") or {}
    fixed = {
        "hidden_act": raw.get("hidden_act", "silu") == "silu",
        "rope_parameters": rope.get("rope_type", "default") == "default",
        "num_key_value_heads": raw.get("num_key_value_heads", fields["num_attention_heads"])
        in (None, fields["num_attention_heads"]),
    }
    if strange := [name for name, is_known in fixed.items() if not is_known]:
        raise ValueError(
            f"{source}/config.json: {strange[0]} {raw[strange[0]]!r} is not computed here; take "
            "another checkpoint"
        )
    fields |= {name: tuple(fields[name]) for name in ("quantization_levels", "downsampling_ratios")}
    return Xcodec2Config(rope_theta=rope.get("rope_theta", 10_000.0), **fields)


def make_params(tensors: Mapping[str, np.ndarray], config: Xcodec2Config, source: Path) -> Params:
    """Nested parameters in float32, each weight of the layers stacked [layers, …]."""
    found, unknown = {}, []
    for key, tensor in tensors.items():
        paths = [
            re.sub(pattern, path, key)
            for pattern, path in _TABLE.items()
            if re.fullmatch(pattern, key)
        ]
        if paths:
            found[paths[0]] = np.asarray(tensor, np.float32)
        elif not re.fullmatch(_IGNORED, key):
            unknown.append(key)
    if unknown:
        raise ValueError(
            f"{source}: unknown tensors {', '.join(sorted(unknown)[:5])}; take a checkpoint of "
            "X-codec2 in the layout of transformers"
        )
    whole = ["project_out", "fc", "embed", "norm", "head"]
    whole += [
        f"{net}_{i}/{part}"
        for net in ("prior", "post")
        for i in range(2)
        for part in ("norm1", "norm2", "conv1", "conv2")
    ]
    wanted = {f"{name}/{half}" for name in whole for half in ("weight", "bias")}
    parts = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "attention_norm", "mlp_norm")
    wanted |= {
        f"layers/{i}/{part}/weight" for i in range(config.num_hidden_layers) for part in parts
    }
    if missing := sorted(wanted - set(found)):
        raise ValueError(
            f"{source}: no tensors for {', '.join(missing[:5])}; take a checkpoint that is whole"
        )
    for kind in sorted({path.split("/", 2)[2] for path in found if path.startswith("layers/")}):
        found[f"layers/{kind}"] = np.stack(
            [found.pop(f"layers/{i}/{kind}") for i in range(config.num_hidden_layers)]
        )
    return nest(found)
