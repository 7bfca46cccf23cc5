"""Rows of the vocabulary that an adapter brings along, as PEFT's trainable_token_indices: those
that the run has re-initialised (spare_rows.py) where its published base has all alike, and those behind
the base's vocabulary (resize.py).

adapter_config.json         "trainable_token_indices": {"embed_tokens": [151665, 151666, 151667], "lm_head": […]}
adapter_model.safetensors   …embed_tokens.token_adapter.trainable_tokens_delta (3, d): whole rows, not differences

A head that is tied has the embedding's rows, there as here. Where rows lie behind the base's
vocabulary, who loads the adapter first gives the base as many, as the model card says:
base.resize_token_embeddings(n).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from sift_jax.endpoints.hub import find_folder
from sift_jax.weights.hf_layouts import read_layout, sort_keys
from sift_jax.weights.tensor_files import TensorFolder

# a part of the largest entry: a base in half precision is rounded by less
ROUNDED = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """One of the vocabulary's two tables: its path below the decoder, its names in a base and in
    PEFT."""

    path: str
    base_key: str
    module: str
    adapter_key: str


EMBEDDING = Table(
    path="embedding",
    base_key="model.embed_tokens.weight",
    module="embed_tokens",
    adapter_key="base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta",
)
HEAD = Table(
    path="head",
    base_key="lm_head.weight",
    module="lm_head",
    adapter_key="base_model.model.lm_head.token_adapter.trainable_tokens_delta",
)
KEYS = (EMBEDDING.adapter_key, HEAD.adapter_key)
# id → row, by the table
TokenRows = dict[str, dict[int, np.ndarray]]


def find_changed_rows(
    decoder: Mapping[str, Any], base: str | Path, ids: Sequence[int]
) -> TokenRows:
    """By module of PEFT, the rows that the base has not: of these ids, and all behind its
    vocabulary."""
    folder = find_folder(base)
    files = TensorFolder(folder)
    names = sort_keys(read_layout(folder, "decoder"), files.keys())[0]["decoder"]
    found: TokenRows = {}
    for table in (EMBEDDING, HEAD):
        if table.path in decoder and table.base_key in names:
            ours = np.asarray(decoder[table.path], np.float32)
            ours = ours.T if table is HEAD else ours
            theirs = files.read(names[table.base_key])
            found[table.module] = {i: ours[i] for i in _list_changed(ours, theirs, ids)}
    return {module: rows for module, rows in found.items() if rows}


def _list_changed(ours: np.ndarray, theirs: np.ndarray, ids: Sequence[int]) -> list[int]:
    changed = set(range(len(theirs), len(ours)))
    for i in set(ids) - changed:
        row = theirs[i].astype(np.float32)
        if np.abs(ours[i] - row).max() > ROUNDED * np.abs(row).max():
            changed.add(i)
    return sorted(changed)


def list_tensors(rows: TokenRows) -> list[tuple[str, np.ndarray]]:
    keys = {table.module: table.adapter_key for table in (EMBEDDING, HEAD)}
    return [(keys[module], np.stack(list(found.values()))) for module, found in rows.items()]


def read_token_rows(folder: Path) -> TokenRows:
    """What an adapter brings along."""
    described = (
        json.loads((folder / "adapter_config.json").read_text()).get("trainable_token_indices")
        or {}
    )
    # PEFT's short form is of the embedding
    described = described if isinstance(described, dict) else {EMBEDDING.module: described}
    files = TensorFolder(folder)
    keys = {table.module: table.adapter_key for table in (EMBEDDING, HEAD)}
    return {
        module: dict(zip(ids, files.read(keys[module]), strict=True))
        for module, ids in described.items()
    }


def put_token_rows(decoder: dict[str, Any], rows: TokenRows) -> dict[str, Any]:
    """The decoder with these rows in its tables."""
    put = dict(decoder)
    for table in (EMBEDDING, HEAD):
        if found := rows.get(table.module):
            ids, new = (
                np.array(list(found)),
                jnp.asarray(np.stack(list(found.values())), put[table.path].dtype),
            )
            old = put[table.path]
            put[table.path] = old.at[:, ids].set(new.T) if table is HEAD else old.at[ids].set(new)
    return put
