"""Where the parameters of generation lie on a mesh: as in training, the decoder's fused ones by a
table of their own.

    model.params ─ place_params ─► on the mesh ─ prepare ─► fused ─ shard_prepared ─► on the mesh
                                                                  └ lay_together ───► where one CPU is all there is
"""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from sift_jax.models.speech_lm import Params
from sift_jax.parallel.sharding import Row, make_spec, path_of

# layers lie apart here; a "kernel_t" is a kernel turned over
PREPARED: tuple[Row, ...] = (
    (r"embedding", ("tensor", "fsdp")),
    (r"head/kernel", ("fsdp", "tensor")),
    (r"head/kernel_t", ("tensor", "fsdp")),
    (r"speech_head/kernel", ("fsdp", None)),
    (r"speech_head/kernel_t", (None, "fsdp")),
    (r"norm/scale", (None,)),
    (r"blocks/\d+/\w+_norm/scale", (None,)),
    (r"blocks/\d+/(qkv|gate_up)/kernel", ("fsdp", "tensor")),
    (r"blocks/\d+/(o|down)/kernel", ("tensor", "fsdp")),
    (r"blocks/\d+/(qkv|gate_up)/kernel_t", ("tensor", "fsdp")),
    (r"blocks/\d+/(o|down)/kernel_t", ("fsdp", "tensor")),
    (r"blocks/\d+/(qkv|gate_up)/bias", ("tensor",)),
    (r"blocks/\d+/(o|down)/bias", (None,)),
)

# Bytes; what lies at a multiple of it, jax takes from numpy without a copy.
LINE = 64


def place_params(params: Params, mesh: Mesh) -> Params:
    """Parameters of a model, or some of its parts, spread as the table of training says."""

    def put(path: tuple, leaf: jax.Array) -> jax.Array:
        return jax.device_put(leaf, NamedSharding(mesh, make_spec(path_of(path), leaf.shape, mesh)))

    return jax.tree_util.tree_map_with_path(put, params)


def shard_prepared(described: dict, mesh: Mesh) -> dict:
    """A sharding for each leaf of what `prepare` makes."""

    def choose(path: tuple, leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        return NamedSharding(mesh, make_spec(path_of(path), leaf.shape, mesh, PREPARED))

    return jax.tree_util.tree_map_with_path(choose, described)


def is_alone(prepared: dict) -> bool:
    """Whether one device has all of it."""
    return len(jax.tree.leaves(prepared)[0].sharding.device_set) == 1


def lay_together(prepared: dict) -> dict:
    """The same numbers, of one CPU, in one block of numpy's, which asks for large pages as jax does
    not.

    Every token reads every weight, and of small pages a CPU looks up an address every 4 KiB: some 5
    % of the time.
    """
    leaves, tree = jax.tree.flatten(prepared)
    starts = np.cumsum([0, *(-(-leaf.nbytes // LINE) * LINE for leaf in leaves)])
    block = np.empty(starts[-1] + LINE, np.uint8)
    block = block[-block.ctypes.data % LINE :]
    laid = []
    for leaf, start in zip(leaves, starts[:-1], strict=True):
        laid.append(block[start : start + leaf.nbytes].view(leaf.dtype).reshape(leaf.shape))
        laid[-1][...] = leaf
    return jax.tree.unflatten(
        tree, jax.device_put(laid, [leaf.sharding for leaf in leaves], may_alias=True)
    )
