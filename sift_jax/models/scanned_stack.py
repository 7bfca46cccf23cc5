"""A stack of equal blocks, scanned so that it compiles once and rematerialised so that it stores
one block's input.

x ─► block 0 ─► block 1 ─► … ─► block L-1 ─► x        params: every leaf of a block with a leading layer axis
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

REMAT_POLICIES = {
    "none": None,
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def run_stack(
    block: type[nn.Module],
    fields: dict[str, Any],
    x: jax.Array,
    shared: tuple[Any, ...],
    *,
    layers: int,
    remat: str,
) -> jax.Array:
    """Runs `layers` copies of block(x, *shared) -> (x, None); call it inside a compact module."""
    if remat not in REMAT_POLICIES:
        raise ValueError(f"remat {remat!r} is unknown; choose one of {', '.join(REMAT_POLICIES)}")
    policy = REMAT_POLICIES[remat]
    body = block if policy is None else nn.remat(block, policy=policy, prevent_cse=False)
    scanned = nn.scan(
        body,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=tuple(nn.broadcast for _ in shared),
        length=layers,
    )
    return scanned(**fields, name="blocks")(x, *shared)[0]
