"""OpenAI's names of a Whisper, and Hugging Face's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# what stands in a name, in this order
NAMES = (
    (r"^(encoder|decoder)\.", r"model.\1."),
    (r"\.blocks\.", ".layers."),
    (r"\.positional_embedding$", ".embed_positions.weight"),
    (r"\.token_embedding\.", ".embed_tokens."),
    (r"\.(ln_post|ln)\.", ".layer_norm."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.attn\.", ".self_attn."),
    (r"\.query\.", ".q_proj."),
    (r"\.key\.", ".k_proj."),
    (r"\.value\.", ".v_proj."),
    (r"attn\.out\.", "attn.out_proj."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
)


def list_openai_tensors(held: Any, source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Of {"dims": …, "model_state_dict": {name: tensor}}."""
    if not isinstance(held, dict) or not isinstance(held.get("model_state_dict"), dict):
        raise ValueError(
            f"{source} has no model_state_dict; of .pt files OpenAI's Whispers alone are read"
        )
    for name, value in held["model_state_dict"].items():
        if not isinstance(value, np.ndarray) or not re.match(r"(encoder|decoder)\.", str(name)):
            raise ValueError(
                f"{source}: {name} is not a tensor of a Whisper; of .pt files OpenAI's Whispers "
                "alone are read"
            )
        # a mask that is computed
        if name != "decoder.mask":
            yield _name(name), value


def _name(name: str) -> str:
    for pattern, ours in NAMES:
        name = re.sub(pattern, ours, name)
    return name
