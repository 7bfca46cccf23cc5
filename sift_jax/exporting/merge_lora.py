"""Adapters into kernels: the same function without LoRA, a kernel at a time.

blocks/q/{kernel, lora_a, lora_b}      ─► blocks/q/kernel + A·B · alpha / rank
blocks/q/{kernel_int8, kernel_scale, …} ─► likewise, its kernel dequantised
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.models.layers import NO_LORA
from sift_jax.models.quantization import SCALE, VALUES, is_quantized_path
from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.parallel.sharding import path_of


class BareParams(Mapping[str, np.ndarray]):
    """Flat parameters with adapters left out, and kernels that are in int8 dequantised: each when it
    is asked for, and not kept."""

    def __init__(self, params: Params):
        self._flat = flatten_dict(params, sep="/")

    def __getitem__(self, path: str) -> np.ndarray:
        if path in self._flat:
            return np.asarray(self._flat[path])
        stem = path.removesuffix("kernel")
        scale = np.asarray(self._flat[stem + SCALE], np.float32)
        return np.asarray(self._flat[stem + VALUES], np.float32) * scale[..., None, :]

    def __iter__(self) -> Iterator[str]:
        for path in self._flat:
            if path.endswith(f"/{VALUES}"):
                yield path.removesuffix(VALUES) + "kernel"
            elif "/lora_" not in path and not is_quantized_path(path):
                yield path

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MergedParams(BareParams):
    """The same with adapters added to their kernels."""

    def __init__(self, config: SpeechLMConfig, params: Params):
        super().__init__(params)
        self._scale = config.lora.alpha / max(config.lora.rank, 1)

    def __getitem__(self, path: str) -> np.ndarray:
        value = super().__getitem__(path)
        stem = path.removesuffix("/kernel")
        if f"{stem}/lora_a" not in self._flat or not path.endswith("/kernel"):
            return value
        low, high = (
            np.asarray(self._flat[f"{stem}/{name}"], np.float32) for name in ("lora_a", "lora_b")
        )
        return value.astype(np.float32) + np.matmul(low, high) * self._scale


def make_plain_config(config: SpeechLMConfig) -> SpeechLMConfig:
    """The config of what is merged: no adapters, and nothing in int8."""
    return dataclasses.replace(config, lora=NO_LORA, quantized=None)


def merge_lora(config: SpeechLMConfig, params: Params) -> tuple[SpeechLMConfig, Params]:
    """The same model without adapters, its kernels as others have them."""
    merged = dict(MergedParams(config, params).items())
    return make_plain_config(config), unflatten_dict(merged, sep="/")


def round_params(params: Params, dtype: str) -> Params:
    """Float32 parameters with the precision of `dtype`: what a file of that dtype gives back. What is
    in int8 is written dequantised, and quantised to the same numbers when it is read."""

    def round_leaf(path: tuple, x: np.ndarray) -> np.ndarray:
        if is_quantized_path(path_of(path)):
            return np.asarray(x)
        return np.asarray(x, np.dtype(dtype)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(round_leaf, params)
