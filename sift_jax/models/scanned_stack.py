"""A stack of equal blocks, scanned so that it compiles once and rematerialised so that it stores
one block's input.

x ─► block 0 ─► block 1 ─► … ─► block L-1 ─► x        params: every leaf of a block with a leading layer axis

What the backward pass needs of a block is kept, or made again from the block's input. Of a decoder
block of width d, hidden h, in a row of t positions:

    policy     kept                                                         made again
    full       its input                           t · d                    everything
    narrow     and q, k, v, attention, o           t · 6 d, about           gate and up
    offload    and gate and up, in the host's memory        the same        nothing but what is cheap
    dots       results of all products             t · (6 d + 2 h), about   nothing but what is cheap
    none       everything                                                   nothing
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from sift_jax.models.attention import ATTENTION_RESULT

# products as wide as the model, and as wide as a feed-forward layer: names for what may be kept
NARROW, WIDE = "narrow", "wide"
# cuDNN's attention as JAX traces it: a name around its result would not keep what its gradient reads
CUDNN_ATTENTION = "dot_product_attention_fwd_wrapper"
_policies = jax.checkpoint_policies


def _keep_cudnn(policy: Callable[..., Any]) -> Callable[..., Any]:
    """The same policy, which keeps the results of cuDNN's attention, too."""

    def decide(primitive: Any, *args: Any, **parameters: Any) -> Any:
        return primitive.name == CUDNN_ATTENTION or policy(primitive, *args, **parameters)

    return decide


REMAT_POLICIES: dict[str, Callable[..., Any] | None] = {
    "none": None,
    "full": _policies.nothing_saveable,
    # a kernel is no product, so its results are named
    "dots": _keep_cudnn(
        _policies.save_from_both_policies(
            _policies.dots_with_no_batch_dims_saveable,
            _policies.save_only_these_names(ATTENTION_RESULT),
        )
    ),
    "narrow": _keep_cudnn(_policies.save_only_these_names(NARROW, ATTENTION_RESULT)),
    "offload": _keep_cudnn(
        _policies.save_and_offload_only_these_names(
            names_which_can_be_saved=[NARROW, ATTENTION_RESULT],
            names_which_can_be_offloaded=[WIDE],
            offload_src="device",
            offload_dst="pinned_host",
        )
    ),
}


def run_stack(
    block: type[nn.Module],
    fields: dict[str, Any],
    x: jax.Array,
    shared: tuple[Any, ...],
    each: tuple[jax.Array, ...] = (),
    *,
    layers: int,
    remat: str,
) -> jax.Array:
    """Runs `layers` copies of block(x, *shared, *each) -> (x, None), `each` a layer's own part of
    arrays; call it inside a compact module."""
    if remat not in REMAT_POLICIES:
        raise ValueError(f"remat {remat!r} is unknown; choose one of {', '.join(REMAT_POLICIES)}")
    policy = REMAT_POLICIES[remat]
    body = block if policy is None else nn.remat(block, policy=policy, prevent_cse=False)
    scanned = nn.scan(
        body,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=(*(nn.broadcast for _ in shared), *(0 for _ in each)),
        length=layers,
    )
    return scanned(**fields, name="blocks")(x, *shared, *each)[0]
