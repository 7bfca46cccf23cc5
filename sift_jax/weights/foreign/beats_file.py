"""BEATs' published .pt files: {"cfg": its sizes, "model": {name: tensor}}.

    BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt ─► BeatsConfig, tensors by the keys of key_table.py

What classifies (`predictor`) is left out: the tokens before it are what a listener hears.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.models.beats_encoder import BeatsConfig
from sift_jax.weights.key_table import BEATS_BIASES

MEL_BINS = 128
# the only values that are computed here
FIXED = {
    "conv_bias": False,
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}
SIZES = {
    "patch": "input_patch_size",
    "embedding": "embed_dim",
    "width": "encoder_embed_dim",
    "layers": "encoder_layers",
    "heads": "encoder_attention_heads",
    "hidden": "encoder_ffn_embed_dim",
    "position_kernel": "conv_pos",
    "position_groups": "conv_pos_groups",
    "buckets": "num_buckets",
    "max_distance": "max_distance",
}
PLACES = "encoder.pos_conv.0.weight"
OWN_BIASES = ".self_attn.relative_attention_bias.weight"


def read_beats_config(held: Any, source: Path) -> BeatsConfig:
    """The sizes that a file says; one that would change the arithmetic is an error that names
    it."""
    cfg = held.get("cfg") if isinstance(held, dict) else None
    if not isinstance(cfg, dict) or not isinstance(held.get("model"), dict):
        raise ValueError(f"{source} is no .pt of BEATs: it has no cfg and model; give its encoder")
    for name, value in FIXED.items():
        if cfg.get(name) != value:
            raise ValueError(
                f"{source}: {name} is {cfg.get(name)!r}, and only {value!r} is computed here; take "
                "one of the published BEATs_iter files"
            )
    lacking = sorted(name for name in SIZES.values() if name not in cfg)
    if lacking:
        raise ValueError(f"{source}: cfg says nothing of {', '.join(lacking)}; download it again")
    return BeatsConfig(mel_bins=MEL_BINS, **{ours: int(cfg[name]) for ours, name in SIZES.items()})


def list_beats_tensors(
    model: Mapping[str, np.ndarray], source: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors by the keys of the table."""
    if f"{PLACES}_v" not in model or f"encoder.layers.0{OWN_BIASES}" not in model:
        raise ValueError(
            f"{source} has no {PLACES}_v, or no biases of distances; take a published BEATs_iter "
            "file"
        )
    shared = model[f"encoder.layers.0{OWN_BIASES}"]
    yield BEATS_BIASES, shared
    yield PLACES, _join_norm(model[f"{PLACES}_v"], model[f"{PLACES}_g"])
    for name, value in model.items():
        if name.endswith(OWN_BIASES):
            if not np.array_equal(value, shared):
                raise ValueError(
                    f"{source}: {name} is not that of the first block, and one is read for all"
                )
        elif name == "patch_embedding.weight":
            yield name, value.reshape(len(value), -1)
        elif name.endswith(".grep_a"):
            yield name, value.reshape(-1)
        elif not name.startswith(("predictor.", PLACES)):
            yield name, value


def _join_norm(direction: np.ndarray, length: np.ndarray) -> np.ndarray:
    """A weight-normed convolution's weight: of each of its taps the direction (out, in), made as
    long as it says."""
    wide = direction.astype(np.float32)
    norm = np.sqrt(np.square(wide).sum(axis=(0, 1), keepdims=True))
    return wide * (length.astype(np.float32) / norm)
