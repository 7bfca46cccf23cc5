"""Prefill and a cached, batched, jitted loop, over frames that speech was made into before (see
clip_encoder.py).

prompts, right-aligned:   pad pad <im_start> user ♪ ♪ How fast ? … assistant⏎ │ new tokens → → →
cache slots                0   1      2       3   4 5  …                  t-1 │ t  t+1 …

    params ─prepare─► prepared ─start─► state ─go_on─► state ─go_on─► …      one go_on for each size of the cache

Several answers to a prompt begin with one pass over it: what it left in the cache is copied, row by row.

The cache begins a little larger than the prompt and doubles its new part as the answer grows: an
early token does not read the empty slots of a late one, and there are few sizes to compile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sift_jax.decoding.cached_cross_attention import go_on_cross, lay_out_speech, start_cross
from sift_jax.decoding.cached_decoder import (
    Cache,
    Prepared,
    advance,
    compute_logits,
    count_slots,
    grow_cache,
    prefill,
    prepare_decoder,
)
from sift_jax.decoding.decoder_sharding import is_alone, lay_together, shard_prepared
from sift_jax.decoding.sampling import DecodingConfig, choose_token, forbid_ngrams, penalize_repeats
from sift_jax.decoding.speech_constraints import (
    SpeechRules,
    count_spoken,
    mask_all,
    mask_narrow,
    narrow_head,
)
from sift_jax.models.decoder import embed_tokens
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.parallel.distributed import fetch
from sift_jax.parallel.mesh import find_platform

# New tokens for which the first cache has room.
ROOM = 64
State = dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt as the packer lays it: ids, (clip, frame) of audio positions or −1, and the clips'
    samples."""

    tokens: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    clips: Sequence[np.ndarray]

    @classmethod
    def of_text(cls, tokens: np.ndarray) -> Prompt:
        none = np.full(len(tokens), -1)
        return cls(tokens=tokens, clip=none, frame=none, clips=())


def lay_out_prompts(
    prompts: Sequence[Prompt],
    config: SpeechLMConfig,
    frames: Sequence[Sequence[np.ndarray]] = (),
    *,
    tokens: int,
    draws: Sequence[int] = (),
    limits: Sequence[int] = (),
) -> dict[str, np.ndarray]:
    """Right-aligned arrays of static shape; `frames` has what was heard of each prompt's clips,
    `draws` a number for each row, by which it draws its tokens, `limits` how many units of speech
    it may have."""
    rows = len(prompts)
    batch = {
        "token_bt": np.zeros((rows, tokens), np.int32),
        "position_bt": np.zeros((rows, tokens), np.int32),
        "is_real_bt": np.zeros((rows, tokens), bool),
        "is_speech_bt": np.zeros((rows, tokens), bool),
        "speech_btd": np.zeros((rows, tokens, config.decoder.width), jnp.dtype(config.dtype)),
        "draw_b": np.asarray(draws or range(rows), np.uint32),
        "limit_b": np.asarray(limits or [np.iinfo(np.int32).max] * rows, np.int32),
    }
    for b, prompt in enumerate(prompts):
        n = len(prompt.tokens)
        if n > tokens:
            raise ValueError(f"a prompt of {n} positions does not fit {tokens}; shorten it")
        batch["token_bt"][b, tokens - n :] = prompt.tokens
        batch["position_bt"][b, tokens - n :] = np.arange(n)
        batch["is_real_bt"][b, tokens - n :] = True
        batch["is_speech_bt"][b, tokens - n :] = prompt.clip >= 0
        for a, heard in enumerate(frames[b] if prompt.clips else ()):
            places = np.flatnonzero(prompt.clip == a)
            batch["speech_btd"][b, tokens - n + places] = heard[prompt.frame[places]]
    return batch | (
        lay_out_speech([p.clip for p in prompts], config, frames, tokens=tokens)
        if config.cross
        else {}
    )


def prepare(
    config: SpeechLMConfig,
    params: Params,
    *,
    rows: int,
    mesh: Mesh | None = None,
    speech: SpeechRules | None = None,
) -> Prepared:
    """What generation for batches of `rows` rows reads; worth making once for many batches."""
    make = _make_preparer(config, rows, speech)
    shardings = (
        None if mesh is None else shard_prepared(jax.eval_shape(make, params["decoder"]), mesh)
    )
    prepared = jax.jit(make, out_shardings=shardings)(params["decoder"])
    if is_alone(prepared) and find_platform(mesh) == "cpu":
        prepared = lay_together(prepared)
    return prepared | ({"cross": params["cross"]} if config.cross else {})


@cache
def _make_preparer(
    config: SpeechLMConfig, rows: int, speech: SpeechRules | None
) -> Callable[[dict], Prepared]:
    """One function for a config, so that it is compiled once however often the parameters
    change."""

    def make(decoder: dict) -> Prepared:
        prepared = prepare_decoder(
            config.decoder, config.lora, jnp.dtype(config.dtype), decoder, rows=rows
        )
        return prepared | (narrow_head(prepared, speech) if speech else {})

    return make


def weigh(prepared: Prepared, state: State, hidden_bd: Array, rules: tuple) -> tuple[Array, int]:
    """The logits of what may come next, and the id of the first of them."""
    decoding, _, speech = rules
    if speech and speech.is_only:
        logits_bv = compute_logits({**prepared, "head": prepared["speech_head"]}, hidden_bd)
        return mask_narrow(logits_bv, state["spoken"], state["limit"], speech), speech.narrow.start
    logits_bv, text_bs, end = compute_logits(prepared, hidden_bd), state["text"], state["end"]
    if decoding.repetition_penalty != 1.0:
        logits_bv = penalize_repeats(logits_bv, state["seen"], decoding.repetition_penalty)
    if decoding.no_repeat_ngram:
        logits_bv = forbid_ngrams(logits_bv, text_bs, state["first"], end, decoding.no_repeat_ngram)
    if speech:
        last_b = jax.lax.dynamic_slice_in_dim(text_bs, end - 1, 1, axis=1)[:, 0]
        logits_bv = mask_all(logits_bv, last_b, state["spoken"], state["limit"], speech)
    return logits_bv, 0


def _speak(
    config: SpeechLMConfig, prepared: Prepared, state: State, hidden_bd: Array, rules: tuple
) -> State:
    """Chooses the next token from the last hidden state and writes it behind the text."""
    decoding, stop_ids, speech = rules
    text_bs, end, is_done_b = state["text"], state["end"], state["is_done"]
    rows = jnp.arange(text_bs.shape[0])
    logits_bv, first_id = weigh(prepared, state, hidden_bd, rules)
    keys_b = None
    if decoding.temperature:
        # by the number of tokens in the row: where the row begins is the batch's affair
        keys_b = jax.vmap(jax.random.fold_in)(state["keys"], end - state["first"])
    token_b = choose_token(logits_bv, keys_b, decoding) + first_id
    # a row that is done goes on with the others, and says nothing more
    token_b = jnp.where(is_done_b, stop_ids[0], token_b)
    is_stop_b = jnp.any(token_b[:, None] == jnp.asarray(stop_ids), axis=-1)
    state = {
        **state,
        "text": jax.lax.dynamic_update_slice_in_dim(text_bs, token_b[:, None], end, axis=1),
        "end": end + 1,
        "is_done": is_done_b | is_stop_b,
    }
    if "seen" in state:
        state["seen"] = state["seen"].at[rows, token_b].set(True)
    if speech:
        state["spoken"] = count_spoken(token_b, state["spoken"], speech)
    return state


def _copy_cache(cache: Cache, copies: int, rows: int) -> Cache:
    """Each row's keys and values so many times, side by side; a row may be several of the first
    axis."""

    def repeat(x: Array) -> Array:
        # (rows · kv heads, …): all heads of a row, then all of its copy. Two rows a and b of two heads,
        # two copies: a0 a1 b0 b1 ─► a0 a1 a0 a1 b0 b1 b0 b1
        by_row = x.reshape(rows, -1, *x.shape[1:])
        return jnp.repeat(by_row, copies, axis=0).reshape(-1, *x.shape[1:])

    return jax.tree.map(repeat, cache)


@partial(jax.jit, static_argnames=("config", "rules", "slots", "is_alone", "copies"))
def _start(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    rules: tuple,
    slots: int,
    *,
    is_alone: bool,
    copies: int,
) -> State:
    """The prompts through the decoder, and the first token of so many answers to each."""
    state, hidden_bd = begin(
        config, prepared, batch, key, rules, slots, is_alone=is_alone, copies=copies
    )
    return _speak(config, prepared, state, hidden_bd, rules)


def begin(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    rules: tuple,
    slots: int,
    *,
    is_alone: bool,
    copies: int,
) -> tuple[State, Array]:
    """The prompts through the decoder, and what each of so many answers begins from."""
    decoding, stop_ids, speech = rules
    token_bt, real_bt = batch["token_bt"], batch["is_real_bt"]
    rows, t = token_bt.shape
    # A padding position sees itself, so that its softmax is over something; nobody sees padding. Of a
    # prompt of two in a row of three:
    #     pad  x . .
    #     a    . x .
    #     b    . x x
    mask_btt = jnp.tril(jnp.ones((t, t), bool)) & real_bt[:, None, :] | jnp.eye(t, dtype=bool)
    x_btd = embed_tokens(config.decoder, prepared, token_bt, jnp.dtype(config.dtype))
    cross = {}
    if config.cross:
        most = t + decoding.max_new_tokens
        x_btd, cross["cross"] = start_cross(config, prepared["cross"], x_btd, batch, mask_btt, most)
    else:
        x_btd = jnp.where(batch["is_speech_bt"][:, :, None], batch["speech_btd"], x_btd)
    place = (batch["position_bt"], mask_btt, slots)
    hidden_bd, cache = prefill(config.decoder, prepared, x_btd, *place, is_alone=is_alone)
    limit_b = batch["limit_b"]
    if copies > 1:
        cache = _copy_cache(cache, copies, rows)
        hidden_bd, token_bt, real_bt, limit_b = (
            jnp.repeat(x, copies, axis=0) for x in (hidden_bd, token_bt, real_bt, limit_b)
        )
        rows = rows * copies
    state = {
        "cache": cache,
        "text": jnp.pad(
            token_bt, ((0, 0), (0, decoding.max_new_tokens)), constant_values=stop_ids[0]
        ),
        # where the row begins: prompts are right-aligned
        "first": t - jnp.sum(real_bt, axis=1),
        "end": jnp.int32(t),
        "is_done": jnp.zeros(rows, bool),
        "keys": jax.vmap(partial(jax.random.fold_in, key))(batch["draw_b"]),
        **cross,
    }
    if speech:
        state |= {"spoken": jnp.zeros(rows, jnp.int32), "limit": limit_b}
    if decoding.repetition_penalty != 1.0:
        seen_bv = jnp.zeros((rows, config.decoder.vocab_size), bool)
        state["seen"] = seen_bv.at[jnp.arange(rows)[:, None], token_bt].max(real_bt)
    return state, hidden_bd


def read_last(config: SpeechLMConfig, prepared: Prepared, state: State) -> tuple[State, Array]:
    """The last token of every row through the decoder."""
    last_b = jax.lax.dynamic_slice_in_dim(state["text"], state["end"] - 1, 1, axis=1)[:, 0]
    x_bd = embed_tokens(config.decoder, prepared, last_b, jnp.dtype(config.dtype))
    place = (state["end"] - 1, state["first"])
    if config.cross:
        x_bd, cross = go_on_cross(config, prepared["cross"], x_bd, state["cross"], *place)
        state = {**state, "cross": cross}
    hidden_bd, cache = advance(config.decoder, prepared, x_bd, state["cache"], *place)
    return {**state, "cache": cache}, hidden_bd


def _go_on(
    config: SpeechLMConfig, prepared: Prepared, state: State, until: Array, rules: tuple
) -> State:
    """Tokens until the text is `until` long, the cache or the text is full or every row is done."""
    # the last token stands in the text and needs no slot
    stop = jnp.minimum(until, min(count_slots(state["cache"]) + 1, state["text"].shape[1]))

    def step(state: State) -> State:
        state, hidden_bd = read_last(config, prepared, state)
        return _speak(config, prepared, state, hidden_bd, rules)

    return jax.lax.while_loop(
        lambda state: (state["end"] < stop) & ~jnp.all(state["is_done"]), step, state
    )


@cache
def _make_loop() -> Callable[..., State]:
    """The jitted _go_on, for the processor at hand: XLA leaves half of a CPU's widest registers
    unused of itself."""
    options = {"xla_cpu_prefer_vector_width": 512} if jax.default_backend() == "cpu" else None
    return jax.jit(
        _go_on,
        static_argnames=("config", "rules"),
        donate_argnames=("state",),
        compiler_options=options,
    )


def speak(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    *,
    decoding: DecodingConfig,
    stop_ids: tuple[int, ...],
    speech: SpeechRules | None = None,
    copies: int = 1,
) -> np.ndarray:
    """New ids (b · copies, max_new_tokens); after a row's stop token only the first of the stop
    tokens follows. The answers to one prompt are side by side, and each has its own draw_b.

    With `speech` answers may be units, or are nothing else; `prepared` must have been made with it.
    """
    steps = speak_in_steps(
        config,
        prepared,
        batch,
        key,
        decoding=decoding,
        stop_ids=stop_ids,
        speech=speech,
        every=decoding.max_new_tokens,
        copies=copies,
    )
    return next(steps)


def speak_in_steps(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    *,
    decoding: DecodingConfig,
    stop_ids: tuple[int, ...],
    speech: SpeechRules | None = None,
    every: int,
    copies: int = 1,
) -> Iterator[np.ndarray]:
    """The same as it grows: the new ids so far (b, n) after every `every` tokens, and at last all
    max_new_tokens of them."""
    # A prompt of 100 and 300 new tokens: a cache of 164 slots, then of 228, 356 and 400, each with a
    # loop that is compiled once. The loop stops where its cache is full, or where a piece is due.
    t, new = batch["token_bt"].shape[1], decoding.max_new_tokens
    rules, room = (decoding, stop_ids, speech), min(ROOM, new)
    if config.cross and copies > 1:
        raise ValueError("a model with cross-attention answers a prompt once; ask it again")
    state = _start(
        config, prepared, batch, key, rules, t + room, is_alone=is_alone(prepared), copies=copies
    )
    until = t + every
    while True:
        state = _make_loop()(config, prepared, state, np.int32(until), rules)
        end = int(state["end"])
        if end == t + new or bool(jnp.all(state["is_done"])):
            yield fetch(state["text"])[:, t:]
            return
        if end >= until:
            # a copy: the next tokens are written into the same memory
            yield fetch(state["text"])[:, t:end].copy()
            until = end + every
        if end > count_slots(state["cache"]):
            room = min(2 * room, new)
            state["cache"] = jax.jit(grow_cache, static_argnums=1)(state["cache"], t + room)
