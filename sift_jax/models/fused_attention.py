"""Attention by cuDNN, as jax.nn calls it: on every device over its own rows and heads."""

from __future__ import annotations

from functools import partial
from typing import Literal

import jax
from jax.sharding import PartitionSpec

from sift_jax.models.layers import Array
from sift_jax.parallel.mesh import BATCH_AXES, count_batch_shards


def attend_by_cudnn(q_btnk: Array, k_bsnk: Array, v_bsnk: Array, mask_bts: Array | None) -> Array:
    """(b, t, n · k). Left to itself JAX spreads queries and keys as their products are, which differ
    where the tensor axis does not divide the key heads, and refuses that."""
    run = partial(attend_fused, implementation="cudnn")
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return run(q_btnk, k_bsnk, v_bsnk, mask_bts)
    # rows that the devices cannot share are computed on each, and so are heads
    rows = BATCH_AXES if q_btnk.shape[0] % count_batch_shards(mesh) == 0 else None
    heads = "tensor" if k_bsnk.shape[2] % mesh.shape["tensor"] == 0 else None
    spread = PartitionSpec(rows, None, heads, None)
    spread_run = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(spread, spread, spread, None if mask_bts is None else PartitionSpec(rows)),
        out_specs=PartitionSpec(rows, None, heads),
        check_vma=False,
    )
    return spread_run(q_btnk, k_bsnk, v_bsnk, mask_bts)


def attend_fused(
    q_btnk: Array,
    k_bsnk: Array,
    v_bsnk: Array,
    mask_bts: Array | None,
    *,
    implementation: Literal["cudnn", "xla"],
) -> Array:
    """jax.nn's attention, by cuDNN or by XLA: it groups the queries itself."""
    mask = None if mask_bts is None else mask_bts[:, None]
    out = jax.nn.dot_product_attention(
        q_btnk, k_bsnk, v_bsnk, mask=mask, implementation=implementation
    )
    return out.reshape(*out.shape[:2], -1)
