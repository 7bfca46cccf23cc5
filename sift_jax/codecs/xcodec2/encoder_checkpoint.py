"""An X-codec2 folder of the hub as config and the parameters of its way there.

config.json ─► Xcodec2EncoderConfig   *.safetensors ─► params, layers stacked; the way back: decoder_checkpoint.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.codecs.network_folder import nest
from sift_jax.codecs.xcodec2.kaldi_mel import HOP
from sift_jax.codecs.xcodec2.xcodec2_encoder import DILATIONS, Params, Xcodec2EncoderConfig

_LAYER = r"semantic_encoder\.encoder\.layers\.(\d+)\."
# Their key and our path.
_TABLE = {
    r"semantic_encoder\.feature_projection\.layer_norm\.(weight|bias)": r"semantic/projection_norm/\1",
    r"semantic_encoder\.feature_projection\.projection\.(weight|bias)": r"semantic/projection/\1",
    _LAYER + r"(ffn[12])_layer_norm\.(weight|bias)": r"layers/\1/\2_norm/\3",
    _LAYER + r"(ffn[12])\.intermediate_dense\.(weight|bias)": r"layers/\1/\2/inner/\3",
    _LAYER + r"(ffn[12])\.output_dense\.(weight|bias)": r"layers/\1/\2/outer/\3",
    _LAYER + r"self_attn_layer_norm\.(weight|bias)": r"layers/\1/attention_norm/\2",
    _LAYER + r"self_attn\.(linear_(?:q|k|v|out))\.(weight|bias)": r"layers/\1/attention/\2/\3",
    _LAYER + r"self_attn\.distance_embedding\.weight": r"layers/\1/attention/distance/weight",
    _LAYER + r"conv_module\.layer_norm\.(weight|bias)": r"layers/\1/conv_norm/\2",
    _LAYER + r"conv_module\.pointwise_conv([12])\.weight": r"layers/\1/pointwise\2/weight",
    _LAYER + r"conv_module\.depthwise_conv\.weight": r"layers/\1/depthwise/weight",
    _LAYER + r"conv_module\.depthwise_layer_norm\.(weight|bias)": r"layers/\1/depthwise_norm/\2",
    _LAYER + r"final_layer_norm\.(weight|bias)": r"layers/\1/final_norm/\2",
    r"semantic_adapter\.(conv[1-4])\.(weight|bias)": r"adapter/\1/\2",
    r"acoustic_encoder\.conv1\.(weight|bias)": r"acoustic/first/\1",
    r"acoustic_encoder\.conv2\.(weight|bias)": r"acoustic/last/\1",
    r"acoustic_encoder\.snake1\.act\.(alpha|beta)": r"acoustic/snake/\1",
    r"acoustic_encoder\.block\.(\d+)\.conv1\.(weight|bias)": r"acoustic/block_\1/conv/\2",
    r"acoustic_encoder\.block\.(\d+)\.snake1\.act\.(alpha|beta)": r"acoustic/block_\1/snake/\2",
    r"acoustic_encoder\.block\.(\d+)\.res_unit([123])\.(conv[12])\.(weight|bias)": r"acoustic/block_\1/unit_\2/\3/\4",
    r"acoustic_encoder\.block\.(\d+)\.res_unit([123])\.(snake[12])\.act\.(alpha|beta)": (
        r"acoustic/block_\1/unit_\2/\3/\4"
    ),
    r"fc_encoder\.(weight|bias)": r"fc/\1",
    r"quantizer\.project_in\.(weight|bias)": r"project_in/\1",
}
# What a way there has, and of that what is used in training only, or computed again.
_OURS = r"semantic_encoder\..*|semantic_adapter\..*|acoustic_encoder\..*|fc_encoder\..*|quantizer\.project_in\..*"
_IGNORED = (
    r"semantic_encoder\.masked_spec_embed|semantic_encoder\.encoder\.embed_positions\..*"
    r"|acoustic_encoder.*\.filter"
)
_DEFAULTS = {
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "layer_norm_eps": 1e-5,
    "left_max_position_embeddings": 64,
    "right_max_position_embeddings": 8,
}
# what the semantic encoder must be, where its config says
_FIXED = {
    "hidden_act": ("swish", "silu"),
    "position_embeddings_type": ("relative_key",),
    "add_adapter": (False,),
    "use_intermediate_ffn_before_adapter": (False,),
    "model_type": ("wav2vec2-bert",),
}


def has_encoder(keys: list[str] | Mapping[str, Any]) -> bool:
    """Whether a checkpoint knows the way there at all."""
    return any(key.startswith("semantic_encoder.") for key in keys)


def make_encoder_config(raw: Mapping[str, Any], source: Path) -> Xcodec2EncoderConfig:
    """Our config of theirs; what we do not compute is refused by name."""
    semantic = raw.get("semantic_model_config")
    if not isinstance(semantic, dict):
        raise ValueError(
            f"{source}/config.json: no semantic_model_config; take the checkpoint's whole folder"
        )
    for name, known in _FIXED.items():
        if semantic.get(name, known[0]) not in known:
            raise ValueError(
                f"{source}/config.json: semantic_model_config.{name} {semantic[name]!r} is not "
                "computed here; take another checkpoint"
            )
    config = Xcodec2EncoderConfig(
        **{name: semantic.get(name, default) for name, default in _DEFAULTS.items()},
        downsampling_ratios=tuple(raw.get("downsampling_ratios", (2, 2, 4, 4, 5))),
        quantization_levels=tuple(raw.get("quantization_levels", (4,) * 8)),
    )
    if config.hop != 2 * HOP:
        raise ValueError(
            f"{source}/config.json: downsampling_ratios make codes of {config.hop} samples, and "
            f"two frames of its log-mel are {2 * HOP}; take another checkpoint"
        )
    return config


def make_encoder_params(
    tensors: Mapping[str, np.ndarray], config: Xcodec2EncoderConfig, source: Path
) -> Params:
    """Nested parameters in float32, each weight of the layers stacked [layers, …]."""
    found, unknown = {}, []
    for key, tensor in tensors.items():
        if not re.fullmatch(_OURS, key) or re.fullmatch(_IGNORED, key):
            continue
        # theirs count the residual units from 1
        paths = [
            re.sub(pattern, path, key)
            for pattern, path in _TABLE.items()
            if re.fullmatch(pattern, key)
        ]
        if paths:
            found[re.sub(r"unit_(\d)", lambda m: f"unit_{int(m[1]) - 1}", paths[0])] = np.asarray(
                tensor, np.float32
            )
        else:
            unknown.append(key)
    if unknown:
        raise ValueError(
            f"{source}: unknown tensors {', '.join(sorted(unknown)[:5])}; take a checkpoint of "
            "X-codec2 in the layout of transformers"
        )
    if missing := sorted(_list_wanted(config) - set(found)):
        raise ValueError(
            f"{source}: no tensors for {', '.join(missing[:5])}; take a checkpoint that is whole"
        )
    for kind in sorted({path.split("/", 2)[2] for path in found if path.startswith("layers/")}):
        every = [found.pop(f"layers/{i}/{kind}") for i in range(config.num_hidden_layers)]
        found[f"semantic/layers/{kind}"] = np.stack(every)
    return nest({path: tensor for path, tensor in found.items() if not path.startswith("layers/")})


def _list_wanted(config: Xcodec2EncoderConfig) -> set[str]:
    with_bias = [
        "semantic/projection_norm",
        "semantic/projection",
        "adapter/conv2",
        "adapter/conv3",
        "acoustic/first",
        "acoustic/last",
        "fc",
        "project_in",
    ]
    snakes, bare = ["acoustic/snake"], ["adapter/conv1", "adapter/conv4"]
    for level in range(len(config.downsampling_ratios)):
        block = f"acoustic/block_{level}"
        units = [f"{block}/unit_{i}" for i in range(len(DILATIONS))]
        with_bias += [f"{block}/conv", *(f"{unit}/conv{n}" for unit in units for n in (1, 2))]
        snakes += [f"{block}/snake", *(f"{unit}/snake{n}" for unit in units for n in (1, 2))]
    for i in range(config.num_hidden_layers):
        layer = f"layers/{i}"
        with_bias += [
            f"{layer}/{name}_norm"
            for name in ("ffn1", "ffn2", "attention", "conv", "depthwise", "final")
        ]
        with_bias += [
            f"{layer}/{ffn}/{half}" for ffn in ("ffn1", "ffn2") for half in ("inner", "outer")
        ]
        with_bias += [f"{layer}/attention/linear_{name}" for name in ("q", "k", "v", "out")]
        bare += [
            f"{layer}/{name}"
            for name in ("attention/distance", "pointwise1", "depthwise", "pointwise2")
        ]
    return (
        {f"{name}/{half}" for name in with_bias for half in ("weight", "bias")}
        | {f"{name}/{half}" for name in snakes for half in ("alpha", "beta")}
        | {f"{name}/weight" for name in bare}
    )
