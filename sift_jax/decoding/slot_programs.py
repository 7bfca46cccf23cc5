"""What a device does with slots: programs of static shape, by which prompts of any length join and
leave while others go on.

    slot 0   ♪ ♪ ♪ How fast ? │ Slow ly        place 7     a slot's row begins at 0 …
    slot 1   ♪ ♪ Loud ? │ No                   place 4     … and its last token has a place of its own
    slot 2   ♪ ♪ ♪ ♪ ·                                     half of a prompt is there
    slot 3   · · ·                                         free: nobody reads what it computes

    feed_piece   a piece of one prompt into its slot; behind the last one stands the first new token
    step_slots   one token more in every slot
    take_out, put_in   PART positions of a slot as the cache holds them, so that they are computed once
    wipe_slot    zeros for what must not be left in a slot

What a slot holds beyond its place is never seen: a row sees its slots up to its own place, and what
comes there is written first. NaN is the exception: a weight of zero times NaN is NaN, so that a
slot that has had any is wiped before another prompt takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.decoding.cached_decoder import (
    Cache,
    Prepared,
    advance_each,
    compute_logits,
    count_slots,
    extend,
)
from sift_jax.decoding.sampling import choose_for_each
from sift_jax.decoding.speech_constraints import SpeechRules, count_spoken, mask_all
from sift_jax.models.decoder import embed_tokens
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import SpeechLMConfig

State = dict
# Positions that are taken out and put in at once: every size would be a program of its own.
PART = 64
# Told in place of a token whose logits are not finite.
BROKEN = -1
# what a row is decoded by, and the last token of its text
_ROW = ("token", "place", "keys", "temperature", "top_p", "spoken", "limit")


def make_state(config: SpeechLMConfig, *, rows: int, positions: int) -> State:
    """Free slots with room for so many positions."""
    decoder, dtype = config.decoder, jnp.dtype(config.dtype)
    lines, size = rows * decoder.kv_heads, decoder.head_size
    return {
        "cache": [
            {
                "k": jnp.zeros((lines, size, positions), dtype),
                "v": jnp.zeros((lines, positions, size), dtype),
            }
            for _ in range(decoder.layers)
        ],
        "token": jnp.zeros(rows, jnp.int32),
        "place": jnp.zeros(rows, jnp.int32),
        "keys": jax.random.split(jax.random.key(0), rows),
        "temperature": jnp.zeros(rows, jnp.float32),
        "top_p": jnp.ones(rows, jnp.float32),
        "spoken": jnp.zeros(rows, jnp.int32),
        "limit": jnp.zeros(rows, jnp.int32),
    }


def _choose(
    prepared: Prepared, rows: State, hidden_bd: Array, speech: SpeechRules | None
) -> dict[str, Array]:
    """The token behind each row's last, where `place` tokens are in the cache; in "told" BROKEN
    where there is none."""
    logits_bv = compute_logits(prepared, hidden_bd)
    # the largest is NaN where any is
    is_sound_b = jnp.isfinite(jnp.max(logits_bv, axis=-1))
    if speech:
        logits_bv = mask_all(logits_bv, rows["token"], rows["spoken"], rows["limit"], speech)
    # by the number of tokens in the row, as generate.py does
    keys_b = jax.vmap(jax.random.fold_in)(rows["keys"], rows["place"])
    token_b = choose_for_each(logits_bv, keys_b, rows["temperature"], rows["top_p"])
    token_b = jnp.where(is_sound_b, token_b, 0)
    spoken_b = count_spoken(token_b, rows["spoken"], speech) if speech else rows["spoken"]
    return {
        "token": token_b,
        "spoken": spoken_b,
        "told": jnp.where(is_sound_b, token_b, BROKEN),
    }


def _step(
    config: SpeechLMConfig, prepared: Prepared, state: State, speech: SpeechRules | None
) -> tuple[State, Array]:
    x_bd = embed_tokens(config.decoder, prepared, state["token"], jnp.dtype(config.dtype))
    # a free slot has no place of its own to write at; its last one is as good as any
    place_b = jnp.minimum(state["place"], count_slots(state["cache"]) - 1)
    hidden_bd, cache = advance_each(config.decoder, prepared, x_bd, state["cache"], place_b)
    state = {**state, "cache": cache, "place": place_b + 1}
    chosen = _choose(prepared, state, hidden_bd, speech)
    told_b = chosen.pop("told")
    return {**state, **chosen}, told_b


def _feed(
    config: SpeechLMConfig,
    prepared: Prepared,
    state: State,
    piece: dict[str, Array],
    speech: SpeechRules | None,
) -> tuple[State, Array]:
    row, start, count = piece["row"], piece["start"], piece["count"]
    x_1td = embed_tokens(config.decoder, prepared, piece["token_t"][None], jnp.dtype(config.dtype))
    if "speech_td" in piece:
        x_1td = jnp.where(piece["is_speech_t"][None, :, None], piece["speech_td"][None], x_1td)
    hidden_1d, cache = extend(
        config.decoder,
        prepared,
        x_1td,
        state["cache"],
        row=row,
        start=start,
        last=count - 1,
    )
    # keys of one seed, the first prompt's: what `ask` draws with
    fields = {
        "token": piece["token_t"][count - 1],
        "place": start + count,
        "keys": jax.random.fold_in(jax.random.key(piece["seed"]), 0),
        "temperature": piece["temperature"],
        "top_p": piece["top_p"],
        "spoken": jnp.int32(0),
        "limit": piece["limit"],
    }
    one = {name: field[None] for name, field in fields.items()}
    one |= _choose(prepared, one, hidden_1d, speech)
    state = {**state, "cache": cache}
    state |= {name: state[name].at[row].set(one[name][0]) for name in _ROW}
    return state, one["told"][0]


def _put_in(cache: Cache, row: Array, start: Array, held: Cache) -> Cache:
    first = row * held[0]["k"].shape[0]
    return [
        {
            "k": jax.lax.dynamic_update_slice(whole["k"], part["k"], (first, 0, start)),
            "v": jax.lax.dynamic_update_slice(whole["v"], part["v"], (first, start, 0)),
        }
        for whole, part in zip(cache, held, strict=True)
    ]


@partial(jax.jit, static_argnames="heads")
def take_out(cache: Cache, row: Array, start: Array, *, heads: int) -> Cache:
    """A copy of PART positions of a row."""
    first, size = row * heads, cache[0]["k"].shape[1]
    return [
        {
            "k": jax.lax.dynamic_slice(kept["k"], (first, 0, start), (heads, size, PART)),
            "v": jax.lax.dynamic_slice(kept["v"], (first, start, 0), (heads, PART, size)),
        }
        for kept in cache
    ]


@partial(jax.jit, static_argnames="heads", donate_argnames="state")
def wipe_slot(state: State, row: Array, *, heads: int) -> State:
    """Zeros in all positions of a row, which begins anew."""

    def wipe(whole: Array) -> Array:
        none = jnp.zeros((heads, *whole.shape[1:]), whole.dtype)
        return jax.lax.dynamic_update_slice(whole, none, (row * heads, 0, 0))

    fields = {name: state[name].at[row].set(0) for name in ("token", "place")}
    return {**state, **fields, "cache": jax.tree.map(wipe, state["cache"])}


@cache
def make_programs() -> tuple[Callable[..., tuple], Callable[..., tuple], Callable[..., Cache]]:
    """step_slots, feed_piece and put_in, compiled for the processor at hand (see
    generate.py)."""
    options = {"xla_cpu_prefer_vector_width": 512} if jax.default_backend() == "cpu" else None
    static = ("config", "speech")
    step_slots = jax.jit(
        _step, static_argnames=static, donate_argnames="state", compiler_options=options
    )
    feed_piece = jax.jit(
        _feed, static_argnames=static, donate_argnames="state", compiler_options=options
    )
    return step_slots, feed_piece, jax.jit(_put_in, donate_argnames="cache")


@partial(jax.jit, static_argnames="positions")
def cut_cache(cache: Cache, positions: int) -> Cache:
    """The first so many positions of every row."""
    return [{"k": kept["k"][:, :, :positions], "v": kept["v"][:, :positions]} for kept in cache]


def make_piece(
    tokens: np.ndarray,
    speech: tuple[np.ndarray, np.ndarray] | None,
    *,
    size: int,
    row: int,
    start: int,
    seed: int,
    temperature: float,
    top_p: float,
    limit: int,
) -> dict[str, Any]:
    """What feed_piece takes: tokens padded to `size`; `speech` has which of them are frames, and
    the frames, in as many places."""
    room = size - len(tokens)
    piece: dict[str, Any] = {
        "token_t": np.pad(tokens.astype(np.int32), (0, room)),
        "row": np.int32(row),
        "start": np.int32(start),
        "count": np.int32(len(tokens)),
        "seed": np.uint32(seed),
        "temperature": np.float32(temperature),
        "top_p": np.float32(top_p),
        "limit": np.int32(limit),
    }
    if speech is not None:
        is_speech_t, speech_td = speech
        piece["is_speech_t"] = np.pad(is_speech_t, (0, room))
        piece["speech_td"] = np.pad(speech_td, ((0, room), (0, 0)))
    return piece
