"""The decoder as generation runs it: LoRA merged, projections fused, keys and values in a cache
written in place.

    training params ─prepare_decoder─► {"embedding", "head", "norm",
                                        "blocks": [{attention_norm, qkv, o, mlp_norm, gate_up, down, …}, …]}
    prompt (b, t, d) ─prefill─► hidden (b, d) of the last position, and of each layer what it keeps:
                                [{"k": (b · kv heads, k, slots), "v": (b · kv heads, slots, k)}, …], or b, kv heads
    token  (b, d)    ─advance─► hidden (b, d), the cache with one slot more
    token  (b, d)    ─advance_each─► the same, each row at a place of its own
    piece  (1, t, d) ─extend─► hidden (1, d) of one of its positions, the cache with the piece in one of its rows

Here, and only here, layers lie apart and not stacked: a scan would copy every layer's weights and
keys, for every token, before it multiplies. A matrix times one vector reads memory and does little
else; a CPU reads a kernel twice as fast when each output's weights lie side by side. For one row
the kernels are therefore turned over, once, at the start ("kernel_t"); for several rows the head is
what must lie the other way, which costs a tied decoder a second copy of its embedding. Keys lie
with their slots side by side for the same reason. On one device rows and key heads are one axis of
the cache, as the products of attention want them: XLA writes into it in place only where nothing
reshapes it after. On several they stay two, since one axis cannot be spread by rows over some
devices and by heads over others.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.layers import (
    Array,
    LoraConfig,
    apply_module,
    attend,
    rotate,
)
from sift_jax.models.quantization import dequantize, is_quantized

Prepared = dict
Cache = list[dict[str, Array]]


def _merge(part: dict, lora: LoraConfig, dtype: jnp.dtype) -> dict:
    """{"kernel"[, "bias"]} of a projection of all layers, its adapter added in."""
    # the adapter's sum is no int8 any more
    kernel = dequantize(part, jnp.dtype("float32")) if is_quantized(part) else part["kernel"]
    if "lora_a" in part:
        kernel = kernel + jnp.matmul(part["lora_a"], part["lora_b"]) * (lora.alpha / lora.rank)
    merged = {"kernel": kernel.astype(dtype)}
    return merged | ({"bias": part["bias"].astype(dtype)} if "bias" in part else {})


def _fuse(parts: list[dict]) -> dict:
    """Projections of the same input as one."""
    return {key: jnp.concatenate([part[key] for part in parts], axis=-1) for key in parts[0]}


def _turn_over(part: dict) -> dict:
    return {
        "kernel_t" if key == "kernel" else key: x.mT if key == "kernel" else x
        for key, x in part.items()
    }


def prepare_decoder(
    config: DecoderConfig, lora: LoraConfig, dtype: jnp.dtype, params: dict, *, rows: int
) -> Prepared:
    """What prefill and advance read, out of the training parameters: a copy, in the dtype of the
    arithmetic."""
    blocks = params["blocks"]
    merged = {
        name: _merge(blocks[name], lora, dtype)
        for name in ("q", "k", "v", "o", "gate", "up", "down")
    }
    parts = {
        "qkv": _fuse([merged["q"], merged["k"], merged["v"]]),
        "o": merged["o"],
        "gate_up": _fuse([merged["gate"], merged["up"]]),
        "down": merged["down"],
    }
    head = {
        "head": {
            "kernel": (params["embedding"].T if config.is_tied else params["head"]).astype(dtype)
        }
    }
    if rows == 1:
        parts = {name: _turn_over(part) for name, part in parts.items()}
        head = {} if config.is_tied else {name: _turn_over(part) for name, part in head.items()}
    norms = {name: part for name, part in blocks.items() if name.endswith("_norm")}
    stacked = parts | norms
    layers = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(config.layers)]
    return {
        "embedding": params["embedding"].astype(dtype),
        "norm": params["norm"],
        "blocks": layers,
        **head,
    }


def _multiply(part: dict, x_rd: Array, dtype: jnp.dtype) -> Array:
    kernel, axis = (part["kernel_t"], 1) if "kernel_t" in part else (part["kernel"], 0)
    # not `x @ kernel_t.T`: XLA would write the turned kernel out before it multiplies
    return jax.lax.dot_general(
        x_rd, kernel, (((1,), (axis,)), ((), ())), preferred_element_type=dtype
    )


def _project(part: dict, x: Array) -> Array:
    # two axes: XLA knows its fast matrix-vector product by them
    y = _multiply(part, x.reshape(-1, x.shape[-1]), x.dtype).reshape(*x.shape[:-1], -1)
    return y + part["bias"] if "bias" in part else y


def compute_logits(prepared: Prepared, hidden_bd: Array) -> Array:
    """Float32 logits; a tied decoder reads its embedding backwards."""
    head = prepared.get("head", {"kernel_t": prepared["embedding"]})
    return _multiply(head, hidden_bd, jnp.float32)


def _run_block(
    config: DecoderConfig, part: dict, x_btd: Array, rotation: tuple[Array, Array], mix: Callable
) -> tuple[Array, dict[str, Array]]:
    """One block; mix(q, k, v) attends and returns (heads side by side, what becomes of keys and
    values)."""
    c = config
    b, t, _ = x_btd.shape

    def norm(name: str, x: Array) -> Array:
        return apply_module(c.make_norm(), part[name], x)

    qkv = _project(part["qkv"], norm("attention_norm", x_btd))
    qk, v = jnp.split(qkv.reshape(b, t, -1, c.head_size), [c.heads + c.kv_heads], axis=2)
    if c.has_qk_norm:
        q, k = jnp.split(qk, [c.heads], axis=2)
        qk = jnp.concatenate([norm("q_norm", q), norm("k_norm", k)], axis=2)
    q, k = jnp.split(rotate(qk, rotation), [c.heads], axis=2)
    if c.query_scale != 1.0:
        q = q * c.query_scale
    mixed, kept = mix(q, k, v)
    y = _project(part["o"], mixed)
    x_btd += norm("attention_out_norm", y) if c.gemma else y
    gate, up = jnp.split(_project(part["gate_up"], norm("mlp_norm", x_btd)), 2, axis=-1)
    y = _project(part["down"], c.activate(gate) * up)
    return x_btd + (norm("mlp_out_norm", y) if c.gemma else y), kept


def _list_layers(
    config: DecoderConfig, position_bt: Array
) -> list[tuple[tuple[Array, Array], int | None]]:
    """Of each layer what it turns by, and its window if it has one."""
    odd, other = config.make_rotations(position_bt)
    pattern = config.pattern
    if pattern is None:
        return [(odd, None)] * config.layers
    return [
        (odd, None) if pattern.is_odd(i) else (other, pattern.window) for i in range(config.layers)
    ]


def prefill(
    config: DecoderConfig,
    prepared: Prepared,
    x_btd: Array,
    position_bt: Array,
    mask_bts: Array,
    slots: int,
    *,
    is_alone: bool,
) -> tuple[Array, Cache]:
    """The last position's hidden state, and a cache of `slots` with the prompt in its first ones;
    `is_alone` on one device."""
    back_bts = position_bt[:, :, None] - position_bt[:, None, :]

    cache = []
    layers = _list_layers(config, position_bt)
    for part, (rotation, window) in zip(prepared["blocks"], layers, strict=True):

        def mix(
            q: Array, k: Array, v: Array, window: int | None = window
        ) -> tuple[Array, dict[str, Array]]:
            kept = {"k": jnp.moveaxis(k, 1, 3), "v": jnp.swapaxes(v, 1, 2)}
            if is_alone:
                kept = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), kept)
            sees_bts = mask_bts if window is None else mask_bts & (back_bts < window)
            return attend(q, k, v, sees_bts), kept

        x_btd, kept = _run_block(config, part, x_btd, rotation, mix)
        cache.append(kept)
    hidden = apply_module(config.make_norm(), prepared["norm"], x_btd[:, -1])
    return hidden, grow_cache(cache, slots)


def count_slots(cache: Cache) -> int:
    return cache[0]["v"].shape[-2]


def grow_cache(cache: Cache, slots: int) -> Cache:
    room = slots - count_slots(cache)
    more, none = (0, room), (0, 0)
    lead = [none] * (cache[0]["v"].ndim - 2)
    return [
        {"k": jnp.pad(kept["k"], (*lead, none, more)), "v": jnp.pad(kept["v"], (*lead, more, none))}
        for kept in cache
    ]


def _attend_cache(q_bnk: Array, kept: dict[str, Array], sees_xs: Array) -> Array:
    """One query a row: (b, heads · k)."""
    b, n, k = q_bnk.shape
    # Query heads that share a key head lie together: 14 heads over 2 are two matrices of 7 rows, each
    # of which meets its keys in one product.
    q_grk = q_bnk.reshape(*kept["k"].shape[:-2], -1, k) * (k**-0.5)
    scores = jnp.einsum("...rk,...ks->...rs", q_grk, kept["k"], preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(sees_xs, scores, -1e30), axis=-1).astype(kept["v"].dtype)
    return jnp.einsum("...rs,...sk->...rk", weights, kept["v"]).reshape(b, n * k)


def advance(
    config: DecoderConfig,
    prepared: Prepared,
    x_bd: Array,
    cache: Cache,
    index: Array,
    first_b: Array,
) -> tuple[Array, Cache]:
    """One token a row, written at slot `index`; a row sees the slots from its `first` on."""
    slot_s = jnp.arange(count_slots(cache))
    sees_bs = (slot_s >= first_b[:, None]) & (slot_s <= index)
    lead = cache[0]["v"].shape[:-2]
    sees_xs = (
        sees_bs[:, None, None]
        if len(lead) == 2
        else jnp.repeat(sees_bs, config.kv_heads, axis=0)[:, None]
    )

    x_b1d, grown = x_bd[:, None], []
    layers = _list_layers(config, (index - first_b)[:, None])
    for part, kept, (rotation, window) in zip(prepared["blocks"], cache, layers, strict=True):
        # a slot is a position, but for where a row's first stands
        near_xs = sees_xs if window is None else sees_xs & (slot_s > index - window)

        def mix(
            q: Array, k: Array, v: Array, kept: dict[str, Array] = kept, near_xs: Array = near_xs
        ) -> tuple[Array, dict[str, Array]]:
            none = (0,) * len(lead)
            k, v = k.reshape(*lead, config.head_size, 1), v.reshape(*lead, 1, config.head_size)
            kept = {
                "k": jax.lax.dynamic_update_slice(kept["k"], k, (*none, 0, index)),
                "v": jax.lax.dynamic_update_slice(kept["v"], v, (*none, index, 0)),
            }
            return _attend_cache(q[:, 0], kept, near_xs)[:, None], kept

        x_b1d, kept = _run_block(config, part, x_b1d, rotation, mix)
        grown.append(kept)
    hidden = apply_module(config.make_norm(), prepared["norm"], x_b1d[:, 0])
    return hidden, grown


def _number_slots(cache: Cache) -> Array:
    return jnp.arange(count_slots(cache))


def advance_each(
    config: DecoderConfig, prepared: Prepared, x_bd: Array, cache: Cache, place_b: Array
) -> tuple[Array, Cache]:
    """One token a row, written at the row's own `place`; a row sees its slots up to there. For one
    device."""
    place_x = jnp.repeat(place_b, config.kv_heads)
    row_x = jnp.arange(len(place_x))
    sees_xs = (_number_slots(cache) <= place_x[:, None])[:, None]
    x_b1d, grown = x_bd[:, None], []
    layers = _list_layers(config, place_b[:, None])
    for part, kept, (rotation, window) in zip(prepared["blocks"], cache, layers, strict=True):
        near_xs = sees_xs
        if window is not None:
            near_xs = sees_xs & (_number_slots(cache) > place_x[:, None] - window)[:, None]

        def mix(
            q: Array, k: Array, v: Array, kept: dict[str, Array] = kept, near_xs: Array = near_xs
        ) -> tuple[Array, dict[str, Array]]:
            k, v = k.reshape(-1, config.head_size), v.reshape(-1, config.head_size)
            kept = {
                "k": kept["k"].at[row_x, :, place_x].set(k),
                "v": kept["v"].at[row_x, place_x].set(v),
            }
            return _attend_cache(q[:, 0], kept, near_xs)[:, None], kept

        x_b1d, kept = _run_block(config, part, x_b1d, rotation, mix)
        grown.append(kept)
    hidden = apply_module(config.make_norm(), prepared["norm"], x_b1d[:, 0])
    return hidden, grown


def extend(
    config: DecoderConfig,
    prepared: Prepared,
    x_1td: Array,
    cache: Cache,
    *,
    row: Array,
    start: Array,
    last: Array,
) -> tuple[Array, Cache]:
    """A piece of the prompt of one row, written from slot `start` on; it sees what the row holds
    before it, and gives the hidden state of its position `last`. For one device."""
    heads, size, slots = config.kv_heads, config.head_size, count_slots(cache)
    place_t = start + jnp.arange(x_1td.shape[1])
    sees_1ts = (_number_slots(cache) <= place_t[:, None])[None]
    first = row * heads
    grown = []
    layers = _list_layers(config, place_t[None])
    for part, kept, (rotation, window) in zip(prepared["blocks"], cache, layers, strict=True):
        near_1ts = sees_1ts
        if window is not None:
            near_1ts = sees_1ts & (_number_slots(cache) > place_t[:, None] - window)[None]

        def mix(
            q: Array, k: Array, v: Array, kept: dict[str, Array] = kept, near_1ts: Array = near_1ts
        ) -> tuple[Array, dict[str, Array]]:
            k, v = jnp.moveaxis(k[0], 0, 2), jnp.swapaxes(v[0], 0, 1)
            kept = {
                "k": jax.lax.dynamic_update_slice(kept["k"], k, (first, 0, start)),
                "v": jax.lax.dynamic_update_slice(kept["v"], v, (first, start, 0)),
            }
            k = jax.lax.dynamic_slice(kept["k"], (first, 0, 0), (heads, size, slots))
            v = jax.lax.dynamic_slice(kept["v"], (first, 0, 0), (heads, slots, size))
            k_1snk, v_1snk = jnp.moveaxis(k, 2, 0)[None], jnp.swapaxes(v, 0, 1)[None]
            return attend(q, k_1snk, v_1snk, near_1ts), kept

        x_1td, kept = _run_block(config, part, x_1td, rotation, mix)
        grown.append(kept)
    x_1d = jax.lax.dynamic_index_in_dim(x_1td, last, axis=1, keepdims=False)
    return apply_module(config.make_norm(), prepared["norm"], x_1d), grown
