"""Rows of the input embedding that an adapter brings along, as PEFT's trainable_token_indices: those of turns and audio
that the run has drawn anew (spare_rows.py) and its published base has all alike.

adapter_config.json         "trainable_token_indices": {"embed_tokens": [151665, 151666, 151667]}
adapter_model.safetensors   …embed_tokens.token_adapter.trainable_tokens_delta (3, d): whole rows, not differences
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sift_jax.weights.hub import find_folder
from sift_jax.weights.layouts import read_layout, sort_keys
from sift_jax.weights.tensor_files import TensorFolder

KEY = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
# a part of the largest entry: a base in half precision is rounded by less
ROUNDED = 0.01


def find_changed_rows(embedding: np.ndarray, base: str | Path, ids: list[int]) -> list[int]:
    """Of these ids those whose rows the base has not."""
    folder = find_folder(base)
    files = TensorFolder(folder)
    parts, _ = sort_keys(read_layout(folder, "decoder"), files.keys())
    key = parts["decoder"]["model.embed_tokens.weight"]
    rows = files.shape(key)[0]
    if max(ids) >= rows:
        raise ValueError(
            f"{base} has {rows} rows in its vocabulary, and this model has tokens behind them (id {max(ids)}); "
            "leave --base out, and the decoder is written beside the adapter"
        )
    theirs = {i: files.read(key, (slice(i, i + 1), slice(None)))[0].astype(np.float32) for i in ids}
    ours = {i: np.asarray(embedding[i], np.float32) for i in ids}
    return [i for i in sorted(ids) if np.abs(ours[i] - theirs[i]).max() > ROUNDED * np.abs(theirs[i]).max()]


def read_token_rows(folder: Path) -> tuple[list[int], np.ndarray]:
    """(ids, rows) that an adapter brings along."""
    described = json.loads((folder / "adapter_config.json").read_text())["trainable_token_indices"]
    ids = described["embed_tokens"] if described else []
    return ids, TensorFolder(folder).read(KEY) if ids else np.zeros((0, 0), np.float32)
