"""Adapters into kernels: the same function without LoRA, a kernel at a time.

blocks/q/{kernel, lora_a, lora_b} ─► blocks/q/kernel + A·B · alpha / rank
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.models.layers import NO_LORA
from sift_jax.models.speech_lm import Params, SpeechLMConfig


class MergedParams(Mapping[str, np.ndarray]):
    """Flat parameters without adapters. A kernel is merged when it is asked for, and not kept."""

    def __init__(self, config: SpeechLMConfig, params: Params):
        self._flat = flatten_dict(params, sep="/")
        self._scale = config.lora.alpha / max(config.lora.rank, 1)

    def __getitem__(self, path: str) -> np.ndarray:
        value = np.asarray(self._flat[path])
        stem = path.removesuffix("/kernel")
        if f"{stem}/lora_a" not in self._flat or not path.endswith("/kernel"):
            return value
        low, high = (
            np.asarray(self._flat[f"{stem}/{name}"], np.float32) for name in ("lora_a", "lora_b")
        )
        return value.astype(np.float32) + np.matmul(low, high) * self._scale

    def __iter__(self) -> Iterator[str]:
        return (path for path in self._flat if "/lora_" not in path)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def merge_lora(config: SpeechLMConfig, params: Params) -> tuple[SpeechLMConfig, Params]:
    """The same model without adapters."""
    merged = dict(MergedParams(config, params).items())
    return dataclasses.replace(config, lora=NO_LORA), unflatten_dict(merged, sep="/")


def round_params(params: Params, dtype: str) -> Params:
    """Float32 parameters with the precision of `dtype`: what a file of that dtype gives back."""
    return jax.tree.map(lambda x: np.asarray(x, np.dtype(dtype)).astype(np.float32), params)
