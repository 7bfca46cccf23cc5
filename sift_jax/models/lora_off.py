"""A model without its adapters: the decoder as it was before LoRA, in the same arrays.

{"q": {"kernel", "bias", "lora_a", "lora_b"}, …} ─► {"q": {"kernel", "bias"}, …}      nothing is copied
"""

from __future__ import annotations

import dataclasses

from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.models.layers import NO_LORA
from sift_jax.models.speech_lm import Params, SpeechLMConfig


def switch_off_lora(config: SpeechLMConfig) -> SpeechLMConfig:
    """The config of the same model without adapters."""
    return dataclasses.replace(config, lora=NO_LORA)


def drop_lora(params: Params) -> Params:
    """The parameters without those of adapters."""
    flat = flatten_dict(params, sep="/")
    return unflatten_dict({path: x for path, x in flat.items() if "/lora_" not in path}, sep="/")


def list_moving(trainable: Params) -> list[str]:
    """Parameters of the decoder that train and are no adapter's: with them LoRA off is no longer
    the decoder that was loaded."""
    flat = flatten_dict(trainable, sep="/")
    return sorted(p for p in flat if p.startswith("decoder/") and "/lora_" not in p)
