"""A published HiFi-GAN's folder (`SpeechT5HifiGan`) as config and parameters.

config.json ─► HifiGanConfig     *.safetensors ─► params; weight-normed kernels are multiplied out
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.codecs.network_folder import find_files, nest, read_tensors
from sift_jax.codecs.vocoder.hifi_gan import HifiGanConfig

_FIELDS = {
    "channels": "upsample_initial_channel",
    "rates": "upsample_rates",
    "rate_kernels": "upsample_kernel_sizes",
    "block_kernels": "resblock_kernel_sizes",
    "block_dilations": "resblock_dilation_sizes",
    "slope": "leaky_relu_slope",
}
_NORMED = r"\.(parametrizations\.weight\.original[01]|weight_[gv])$"


def read_hifi_gan(
    folder: str | Path,
) -> tuple[HifiGanConfig, dict[str, Any], tuple[np.ndarray, np.ndarray] | None]:
    """Config, parameters, and the mean and scale to which it wants its input brought, if so."""
    folder = Path(folder)
    found = find_files(folder)
    if found.raw.get("model_type") != "speecht5_hifigan":
        raise ValueError(
            f"{folder}/config.json: model_type {found.raw.get('model_type')!r}, not "
            "speecht5_hifigan; give the folder of a HiFi-GAN"
        )
    if missing := [name for name in _FIELDS.values() if name not in found.raw]:
        raise ValueError(f"{folder}/config.json: no {missing[0]}; fetch the checkpoint again")
    fields = {ours: _freeze(found.raw[theirs]) for ours, theirs in _FIELDS.items()}
    try:
        config = HifiGanConfig(activation="leaky_relu", **fields)
    except ValueError as error:
        raise ValueError(f"{folder}/config.json: {error}") from None
    tensors = _multiply_out(read_tensors(found.files, folder))
    mean, scale = tensors.pop("mean", None), tensors.pop("scale", None)
    params = _name_tensors(tensors, config, folder)
    if mean is None or not found.raw.get("normalize_before", True):
        return config, params, None
    if scale is None:
        raise ValueError(f"{folder}: there is a mean of its input and no scale; fetch it again")
    return config, params, (mean, scale)


def _freeze(value: Any) -> Any:
    return tuple(_freeze(item) for item in value) if isinstance(value, list | tuple) else value


def _multiply_out(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Kernels that lie as size and direction, in either of torch's layouts, as themselves."""
    plain = {key: tensor for key, tensor in tensors.items() if not re.search(_NORMED, key)}
    for key in tensors:
        if (
            size := re.sub(r"(weight\.original0|weight_g)$", "", key)
            if key.endswith(("original0", "weight_g"))
            else ""
        ):
            other = f"{size}weight.original1" if key.endswith("original0") else f"{size}weight_v"
            direction = np.asarray(tensors[other], np.float32)
            length = np.sqrt((direction**2).sum(axis=(1, 2), keepdims=True))
            plain[f"{size.removesuffix('parametrizations.')}weight"] = (
                tensors[key] * direction / length
            )
    return plain


def _name_tensors(
    tensors: Mapping[str, np.ndarray], config: HifiGanConfig, source: Path
) -> dict[str, Any]:
    blocks, found = len(config.block_kernels), {}

    def place(match: re.Match) -> str:
        block, half, i = int(match[1]), "first" if match[2] == "1" else "second", match[3]
        return f"block_{block // blocks}_{block % blocks}/{half}_{i}/"

    for key, tensor in tensors.items():
        path = re.sub(r"^conv_pre\.", "before/", key)
        path = re.sub(r"^conv_post\.", "after/", path)
        path = re.sub(r"^upsampler\.(\d+)\.", r"up_\1/", path)
        path = re.sub(r"^resblocks\.(\d+)\.convs([12])\.(\d+)\.", place, path)
        if path == key:
            raise ValueError(
                f"{source}: unknown tensor {key}; take a checkpoint of SpeechT5HifiGan"
            )
        tensor = np.asarray(tensor, np.float32)
        # theirs are [out, in, width], of a transposed one [in, out, width]
        axes = (2, 0, 1) if path.startswith("up_") else (2, 1, 0)
        found[path.replace("weight", "kernel")] = (
            tensor.transpose(axes) if tensor.ndim == 3 else tensor
        )
    names = ["before", "after", *(f"up_{i}" for i in range(len(config.rates)))]
    names += [
        f"block_{level}_{i}/{half}_{n}"
        for level in range(len(config.rates))
        for i in range(blocks)
        for n in range(len(config.block_dilations[i]))
        for half in ("first", "second")
    ]
    if missing := sorted(
        {f"{name}/{part}" for name in names for part in ("kernel", "bias")} - set(found)
    ):
        raise ValueError(
            f"{source}: no tensors for {', '.join(missing[:5])}; take a checkpoint that is whole"
        )
    return nest(found)
