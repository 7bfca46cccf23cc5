"""A wav2vec2-type checkpoint folder as config and parameters.

    config.json ─► HubertConfig     *.safetensors ─► params, layers stacked

Every tensor must be known and every known one be there; both kinds are listed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.codecs.hubert.network import HubertConfig, Params
from sift_jax.codecs.network_folder import nest

# Their key, less the model's own prefix, and our path; {i} counts convolutions or layers.
_TABLE = {
    r"feature_extractor\.conv_layers\.(\d+)\.conv\.(weight|bias)": r"conv_\1/\2",
    r"feature_extractor\.conv_layers\.(\d+)\.layer_norm\.(weight|bias)": r"conv_\1/norm/\2",
    r"feature_projection\.layer_norm\.(weight|bias)": r"projection_norm/\1",
    r"feature_projection\.projection\.(weight|bias)": r"projection/\1",
    r"encoder\.pos_conv_embed\.conv\.bias": "positions/bias",
    r"encoder\.pos_conv_embed\.conv\.(?:weight_g|parametrizations\.weight\.original0)": "positions/size",
    r"encoder\.pos_conv_embed\.conv\.(?:weight_v|parametrizations\.weight\.original1)": "positions/direction",
    r"encoder\.layer_norm\.(weight|bias)": r"norm/\1",
    r"encoder\.layers\.(\d+)\.attention\.([qkv]|out)_proj\.(weight|bias)": r"layers/\1/attention/\2_proj/\3",
    r"encoder\.layers\.(\d+)\.layer_norm\.(weight|bias)": r"layers/\1/norm/\2",
    r"encoder\.layers\.(\d+)\.final_layer_norm\.(weight|bias)": r"layers/\1/final_norm/\2",
    r"encoder\.layers\.(\d+)\.feed_forward\.intermediate_dense\.(weight|bias)": r"layers/\1/feed/inner/\2",
    r"encoder\.layers\.(\d+)\.feed_forward\.output_dense\.(weight|bias)": r"layers/\1/feed/outer/\2",
    r"lm_head\.(weight|bias)": r"head/\1",
}
# Used in training only.
_IGNORED = {"masked_spec_embed"}
_MODEL_TYPES = ("wav2vec2", "hubert")
_UNCOMPUTED = ("add_adapter", "adapter_attn_dim", "conv_pos_batch_norm")


def make_config(raw: Mapping[str, Any], source: Path) -> HubertConfig:
    """Our config of theirs; what we do not compute is refused by name."""
    if raw.get("model_type") not in _MODEL_TYPES:
        raise ValueError(
            f"{source}/config.json: model_type {raw.get('model_type')!r}; what is read is "
            f"{' and '.join(_MODEL_TYPES)}"
        )
    for name in _UNCOMPUTED:
        if raw.get(name):
            raise ValueError(
                f"{source}/config.json: {name} is not computed here; take a checkpoint without it"
            )
    defaults = {
        "feat_proj_layer_norm": True,
        "layer_norm_eps": 1e-5,
        "hidden_act": "gelu",
        "feat_extract_activation": "gelu",
        "do_stable_layer_norm": False,
    }
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(HubertConfig):
        value = raw.get(field.name, defaults.get(field.name))
        if value is None:
            raise ValueError(f"{source}/config.json: no {field.name}; fetch the checkpoint again")
        fields[field.name] = tuple(value) if isinstance(value, list) else value
    try:
        return HubertConfig(**fields)
    except ValueError as error:
        raise ValueError(f"{source}/config.json: {error}") from None


def make_params(
    tensors: Mapping[str, np.ndarray],
    config: HubertConfig,
    source: Path,
    *,
    has_head: bool,
    layers: int | None = None,
) -> Params:
    """Nested parameters in float32, each weight of the layers stacked [layers, …]; the first
    `layers` of them.

    With `has_head` a CTC head must be there; without, one that is there is left out.
    """
    found = _name_tensors(tensors, source)
    if not has_head:
        found = {path: tensor for path, tensor in found.items() if not path.startswith("head/")}
    if missing := sorted(_list_wanted(found, config, has_head) - set(found)):
        raise ValueError(
            f"{source}: no tensors for {', '.join(missing[:5])}; take a checkpoint "
            f"{'with a CTC head, whole' if has_head else 'that is whole'}"
        )
    for kind in sorted({path.split("/", 2)[2] for path in found if path.startswith("layers/")}):
        every = [found.pop(f"layers/{i}/{kind}") for i in range(config.num_hidden_layers)]
        found[f"layers/{kind}"] = np.stack(every)[:layers]
    direction = found.pop("positions/direction")
    length = np.sqrt((direction**2).sum(axis=(0, 1), keepdims=True))
    found["positions/weight"] = found.pop("positions/size") * direction / length
    return nest(found)


def _name_tensors(tensors: Mapping[str, np.ndarray], source: Path) -> dict[str, np.ndarray]:
    found, unknown = {}, []
    for key, tensor in tensors.items():
        name = re.sub(r"^(wav2vec2|hubert)\.", "", key)
        paths = [
            re.sub(pattern, path, name)
            for pattern, path in _TABLE.items()
            if re.fullmatch(pattern, name)
        ]
        if paths:
            found[paths[0]] = np.asarray(tensor, np.float32)
        elif name not in _IGNORED:
            unknown.append(key)
    if unknown:
        raise ValueError(
            f"{source}: unknown tensors {', '.join(sorted(unknown)[:5])}; "
            "take a checkpoint of wav2vec2 or HuBERT, bare or with a CTC head"
        )
    return found


def _list_wanted(found: Mapping[str, np.ndarray], config: HubertConfig, has_head: bool) -> set[str]:
    kinds = {path.split("/", 2)[2] for path in found if path.startswith("layers/")}
    wanted = {f"layers/{i}/{kind}" for kind in kinds for i in range(config.num_hidden_layers)}
    convolutions = [f"conv_{i}" for i in range(len(config.conv_kernel))]
    normed = [
        "norm",
        *(
            f"{name}/norm"
            for name in convolutions[: None if config.feat_extract_norm == "layer" else 1]
        ),
    ]
    normed += ["projection_norm"] if config.feat_proj_layer_norm else []
    normed += ["projection", "head"] if has_head else ["projection"]
    wanted |= {f"{name}/{half}" for name in normed for half in ("weight", "bias")}
    wanted |= {f"{name}/weight" for name in convolutions}
    return wanted | {
        "positions/size",
        "positions/direction",
        "positions/bias",
        "layers/0/attention/q_proj/weight",
    }
