"""Beam search: of each prompt several answers side by side, and at last the likeliest for its length.

    beams of 2                          running             finished (sum of log-probabilities / tokens)
    A man  −1.2   A dog  −1.5      ─►   A man is, A dog is
    A man is −1.9, A dog </s> −2.0 ─►   A man is, A man who   A dog </s>  −2.0 / 3

Each step looks at the likeliest continuations of all beams together, more than there are beams, so
that enough go on when some end. One that ends is finished if it is among the first of them. A prompt
is done when its best running answer, were it to end now, is worse than the worst of as many finished
ones as it has beams. These are the rules of transformers' `generate(num_beams=…)` with a length
penalty of 1 and without early stopping.

Beams are rows of the cache, those of a prompt side by side; a beam that goes on from another takes
over that one's keys and values.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.decoding.cached_decoder import Cache, Prepared, count_slots, grow_cache
from sift_jax.decoding.decoder_sharding import is_alone
from sift_jax.decoding.generate import ROOM, State, begin, read_last, weigh
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.speech_constraints import SpeechRules
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.parallel.distributed import fetch

# of what does not run, or has not ended
NEVER = -1e9


def check_beams(
    config: SpeechLMConfig, speech: SpeechRules | None, decoding: DecodingConfig
) -> None:
    """Beams are of text, and of decoders among whose tokens speech stands."""
    if speech is not None or config.cross:
        raise ValueError(
            f"beams of {decoding.beams} are of models that answer in text and have no "
            "cross-attention; set DecodingConfig.beams to 1"
        )


def search_beams(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    *,
    decoding: DecodingConfig,
    stop_ids: tuple[int, ...],
) -> np.ndarray:
    """New ids (b, max_new_tokens) of the best answer to each prompt; behind its end the first of the
    stop tokens."""
    t, new = batch["token_bt"].shape[1], decoding.max_new_tokens
    rules, room = (decoding, stop_ids, None), min(ROOM, new)
    state = _start(config, prepared, batch, key, rules, t + room, is_alone=is_alone(prepared))
    while True:
        state = _go_on(config, prepared, state, rules)
        if int(state["end"]) == t + new or not bool(jnp.any(state["can_gain"])):
            return fetch(state["done_text"])[:, 0]
        room = min(2 * room, new)
        state["cache"] = jax.jit(grow_cache, static_argnums=1)(state["cache"], t + room)


@partial(jax.jit, static_argnames=("config", "rules", "slots", "is_alone"))
def _start(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    rules: tuple,
    slots: int,
    *,
    is_alone: bool,
) -> State:
    decoding, stop_ids, _ = rules
    rows, beams, new = len(batch["token_bt"]), decoding.beams, decoding.max_new_tokens
    batch = {**batch, "draw_b": jnp.repeat(batch["draw_b"], beams, axis=0)}
    state, hidden_bd = begin(
        config, prepared, batch, key, rules, slots, is_alone=is_alone, copies=beams
    )
    state |= {
        # at first all beams are the same, and one of them is enough
        "score": jnp.full((rows, beams), NEVER).at[:, 0].set(0.0),
        "done_text": jnp.full((rows, beams, new), stop_ids[0], jnp.int32),
        "done_score": jnp.full((rows, beams), NEVER),
        "is_full": jnp.zeros((rows, beams), bool),
        "can_gain": jnp.ones(rows, bool),
    }
    return _branch(prepared, state, hidden_bd, rules)


@partial(jax.jit, static_argnames=("config", "rules"), donate_argnames=("state",))
def _go_on(config: SpeechLMConfig, prepared: Prepared, state: State, rules: tuple) -> State:
    """Tokens until the cache or the text is full, or no prompt can gain."""
    stop = min(count_slots(state["cache"]) + 1, state["text"].shape[1])

    def step(state: State) -> State:
        state, hidden_bd = read_last(config, prepared, state)
        return _branch(prepared, state, hidden_bd, rules)

    return jax.lax.while_loop(
        lambda state: (state["end"] < stop) & jnp.any(state["can_gain"]), step, state
    )


def _branch(prepared: Prepared, state: State, hidden_bd: Array, rules: tuple) -> State:
    """The likeliest continuations of each prompt's beams: which end, and which go on."""
    decoding, stop_ids, _ = rules
    beams, new = decoding.beams, decoding.max_new_tokens
    rows, prompt = len(state["score"]), state["text"].shape[1] - new
    count = state["end"] - prompt + 1
    logits_bv, _ = weigh(prepared, state, hidden_bd, rules)
    each_bv = jax.nn.log_softmax(logits_bv.astype(jnp.float32), axis=-1)
    total = each_bv.reshape(rows, beams, -1) + state["score"][:, :, None]
    # with two beams and one stop token the two likeliest may both end, and two more go on
    top_rk, place_rk = jax.lax.top_k(total.reshape(rows, -1), (1 + len(stop_ids)) * beams)
    parent_rk, token_rk = jnp.divmod(place_rk, total.shape[-1])
    texts = jnp.take_along_axis(_cut_new(state, prompt, rows), parent_rk[:, :, None], axis=1)
    texts = jnp.where(jnp.arange(new) == count - 1, token_rk[:, :, None], texts)
    is_end_rk = jnp.any(token_rk[:, :, None] == jnp.asarray(stop_ids), axis=-1) | (count == new)
    state = _finish(state, top_rk / count, texts, is_end_rk)
    kept_rk = jnp.where(is_end_rk, NEVER, top_rk)
    score_rb, next_rb = jax.lax.top_k(kept_rk, beams)
    state = _take_over(state, *(_pick(x, next_rb) for x in (parent_rk, token_rk, texts)))
    worst_r1 = jnp.min(state["done_score"], axis=1, keepdims=True)
    worst_rb = jnp.where(state["is_full"], worst_r1, NEVER)
    can_gain = jnp.any(score_rb[:, :1] / count > worst_rb, axis=1) & state["can_gain"]
    return {**state, "score": score_rb, "end": state["end"] + 1, "can_gain": can_gain}


def _cut_new(state: State, prompt: int, rows: int) -> Array:
    """What was said of each beam: (rows, beams, new)."""
    return state["text"][:, prompt:].reshape(rows, -1, state["text"].shape[1] - prompt)


def _pick(x: Array, place_rb: Array) -> Array:
    return jnp.take_along_axis(x, place_rb.reshape(*place_rb.shape, *(1,) * (x.ndim - 2)), axis=1)


def _finish(state: State, worth_rk: Array, texts: Array, is_end_rk: Array) -> State:
    """The best of the finished answers, and of those that end now and are among the likeliest."""
    beams = state["score"].shape[1]
    is_first_rk = is_end_rk & (jnp.arange(worth_rk.shape[1]) < beams)
    worth_rk = jnp.where(is_first_rk & state["can_gain"][:, None], worth_rk, NEVER)
    scores = jnp.concatenate([state["done_score"], worth_rk], axis=1)
    done_score, kept_rb = jax.lax.top_k(scores, beams)
    return {
        **state,
        "done_score": done_score,
        "done_text": _pick(jnp.concatenate([state["done_text"], texts], axis=1), kept_rb),
        "is_full": _pick(jnp.concatenate([state["is_full"], is_first_rk], axis=1), kept_rb),
    }


def _take_over(state: State, parent_rb: Array, token_rb: Array, texts: Array) -> State:
    """Rows of those that go on, each with what its parent has seen."""
    rows, beams = parent_rb.shape
    origin_b = (jnp.arange(rows)[:, None] * beams + parent_rb).reshape(-1)
    prompt = state["text"].shape[1] - texts.shape[-1]
    text = jnp.concatenate(
        [state["text"][:, :prompt], texts.reshape(rows * beams, -1).astype(jnp.int32)], axis=1
    )
    state = {**state, "text": text, "cache": _reorder(state["cache"], origin_b)}
    if "seen" in state:
        own = jnp.arange(rows * beams)
        state["seen"] = state["seen"][origin_b].at[own, token_rb.reshape(-1)].set(True)
    return state


def _reorder(cache: Cache, origin_b: Array) -> Cache:
    """A row may be several of the first axis, one for each head."""
    return jax.tree.map(
        lambda x: x.reshape(len(origin_b), -1, *x.shape[1:])[origin_b].reshape(x.shape), cache
    )
