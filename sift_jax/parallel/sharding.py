"""The sharding table: a pattern over parameter paths → the mesh axis of each dimension.

Every parameter is matched by exactly one row. Leaves of a scanned stack have a leading layer axis,
which stays whole. An axis that does not divide a dimension is dropped for that leaf (a bias of 6
over 4 devices stays whole).
"""

from __future__ import annotations

import re
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

Row = tuple[str, tuple[str | None, ...]]

TABLE: tuple[Row, ...] = (
    # Whisper, alone or beside BEATs
    (r"encoder/(whisper/)?conv[12]/kernel", (None, None, "fsdp")),
    (r"encoder/(whisper/)?conv[12]/bias", (None,)),
    (r"encoder/(whisper/|beats/)?norm/(scale|bias)", (None,)),
    (r"encoder/(whisper|beats|beats/patch)_norm/(scale|bias)", (None,)),
    (r"encoder/beats/(patch|projection)/kernel", ("fsdp", "tensor")),
    (r"encoder/beats/places/kernel", (None, None, "fsdp")),
    (r"encoder/beats/(projection|places)/bias", (None,)),
    (r"encoder/beats/biases", (None, None)),
    (r"encoder/beats/blocks/gate_scale", (None, None)),
    # FastConformer, and the conformer blocks of a projector
    (r"encoder/subsampling/(conv0|depth[12])/kernel", (None, None, None, None)),
    (r"encoder/subsampling/(point[12]|linear)/kernel", ("fsdp", "tensor")),
    (r"encoder/subsampling/\w+/bias", (None,)),
    (r"\w+/blocks/(first_up|second_up|distance)/kernel", (None, "fsdp", "tensor")),
    (r"\w+/blocks/(first_down|second_down|point)/kernel", (None, "tensor", "fsdp")),
    (r"\w+/blocks/(first|second)_up/bias", (None, "tensor")),
    (r"\w+/blocks/(first_down|second_down|point)/bias", (None, None)),
    (r"\w+/blocks/bias_[uv]", (None, None, None)),
    (r"\w+/blocks/depth_kernel", (None, None, None, None)),
    (r"\w+/blocks/depth_bias", (None, None)),
    (r"\w+/blocks/inner_norm/(mean|variance)", (None, None)),
    # cross-attention
    (r"cross/blocks/\w+_[qkv]/kernel", (None, "fsdp", "tensor")),
    (r"cross/blocks/\w+_o/kernel", (None, "tensor", "fsdp")),
    (r"cross/blocks/\w+_[qkv]/bias", (None, "tensor")),
    (r"cross/blocks/\w+_o/bias", (None, None)),
    (r"cross/norm/(scale|bias)", (None,)),
    (r"projector/linear/kernel", ("fsdp", "tensor")),
    (r"projector/(up|down|rest)/kernel", ("fsdp", "tensor")),
    (r"projector/(linear|up|down)/bias", (None,)),
    (r"projector/queries", (None, None)),
    (r"projector/(speech|query)_norm/(scale|bias)", (None,)),
    (r"projector/blocks/layer\d/(\w+_[qkv]|up)/kernel", (None, "fsdp", "tensor")),
    (r"projector/blocks/layer\d/(\w+_o|down)/kernel", (None, "tensor", "fsdp")),
    (r"projector/blocks/layer\d/\w+/(bias|scale)", (None, None)),
    (r"decoder/embedding", ("tensor", "fsdp")),
    (r"decoder/head", ("fsdp", "tensor")),
    (r"decoder/norm/scale", (None,)),
    (r"(\w+/)+blocks/\w*norm/(scale|bias)", (None, None)),
    (r"(\w+/)+blocks/(q|k|v|gate|up)/kernel(_int8)?", (None, "fsdp", "tensor")),
    (r"(\w+/)+blocks/(o|down)/kernel(_int8)?", (None, "tensor", "fsdp")),
    # a scale lies where its output channel does
    (r"decoder/blocks/(q|k|v|gate|up)/kernel_scale", (None, "tensor")),
    (r"decoder/blocks/(o|down)/kernel_scale", (None, "fsdp")),
    (r"(\w+/)+blocks/(q|k|v|gate|up)/bias", (None, "tensor")),
    (r"(\w+/)+blocks/(o|down)/bias", (None, None)),
    (r"decoder/blocks/\w+/lora_a", (None, "fsdp", None)),
    (r"decoder/blocks/(q|k|v|gate|up)/lora_b", (None, None, "tensor")),
    (r"decoder/blocks/(o|down)/lora_b", (None, None, "fsdp")),
)


def path_of(key_path: tuple) -> str:
    """('encoder', 'conv1', 'kernel') as encoder/conv1/kernel."""
    return "/".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in key_path)


def flatten_paths(tree: Any) -> dict[str, jax.Array]:
    return {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def match_row(path: str, table: tuple[Row, ...] = TABLE) -> Row:
    rows = [row for row in table if re.fullmatch(row[0], path)]
    if len(rows) != 1:
        what = "no row" if not rows else f"{len(rows)} rows ({', '.join(r[0] for r in rows)})"
        raise ValueError(
            f"parameter {path} is matched by {what} of the sharding table; it needs exactly one"
        )
    return rows[0]


def make_spec(
    path: str, shape: tuple[int, ...], mesh: Mesh, table: tuple[Row, ...] = TABLE
) -> PartitionSpec:
    _, axes = match_row(path, table)
    if len(axes) != len(shape):
        raise ValueError(
            f"parameter {path} has shape {shape}, but its row of the sharding table has "
            f"{len(axes)} axes"
        )
    return PartitionSpec(
        *(a if a and n % mesh.shape[a] == 0 else None for a, n in zip(axes, shape, strict=True))
    )
