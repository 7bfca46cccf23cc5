"""Prefill and a cached, batched, jitted loop.

prompts, right-aligned:   pad pad <im_start> user ♪ ♪ How fast ? … assistant⏎ │ new tokens → → →
cache slots                0   1      2       3   4 5  …                  t-1 │ t  t+1 …

    params ─prepare─► prepared ─start─► state ─go_on─► state ─go_on─► …      one go_on for each size of the cache

The cache begins a little larger than the prompt and doubles its new part as the answer grows: an early token does not
read the empty slots of a late one, and there are few sizes to compile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.decoding.cached import (
    Prepared,
    advance,
    compute_logits,
    count_slots,
    grow_cache,
    prefill,
    prepare_decoder,
)
from sift_jax.decoding.cross_cached import go_on_cross, start_cross
from sift_jax.decoding.sampling import DecodingConfig, choose_token, forbid_ngrams, penalize_repeats
from sift_jax.models.decoder import embed_tokens
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params, SpeechLMConfig, hear_speech, splice

# New tokens for which the first cache has room.
ROOM = 64
State = dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt as the packer lays it: ids, (clip, frame) of audio positions or −1, and the clips' samples."""

    tokens: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    clips: Sequence[np.ndarray]

    @classmethod
    def of_text(cls, tokens: np.ndarray) -> Prompt:
        none = np.full(len(tokens), -1)
        return cls(tokens=tokens, clip=none, frame=none, clips=())


def lay_out_prompts(
    prompts: Sequence[Prompt], config: SpeechLMConfig, *, tokens: int, clips: int = 1
) -> dict[str, np.ndarray]:
    """Right-aligned arrays of static shape; too long a prompt is an error."""
    rows = len(prompts)
    mel_frames, mel_bins = config.encoder.mel_frames, config.encoder.mel_bins
    batch = {
        "token_bt": np.zeros((rows, tokens), np.int32),
        "slot_bt": np.full((rows, tokens), -1, np.int32),
        "position_bt": np.zeros((rows, tokens), np.int32),
        "is_real_bt": np.zeros((rows, tokens), bool),
        "mel_basf": np.zeros((rows, clips, mel_frames, mel_bins), np.float32),
        "frames_ba": np.zeros((rows, clips), np.int32),
    }
    front_end = FRONT_ENDS[config.encoder.front_end]
    for b, prompt in enumerate(prompts):
        n = len(prompt.tokens)
        if n > tokens or len(prompt.clips) > clips:
            raise ValueError(
                f"a prompt of {n} positions and {len(prompt.clips)} clips does not fit {tokens} and {clips}; shorten it"
            )
        batch["token_bt"][b, tokens - n :] = prompt.tokens
        slot = prompt.clip * config.slots_per_clip + prompt.frame
        batch["slot_bt"][b, tokens - n :] = np.where(prompt.clip >= 0, slot, -1)
        batch["position_bt"][b, tokens - n :] = np.arange(n)
        batch["is_real_bt"][b, tokens - n :] = True
        for a, samples in enumerate(prompt.clips):
            batch["frames_ba"][b, a] = front_end.fill(samples, batch["mel_basf"][b, a])
    return batch


@partial(jax.jit, static_argnames=("config", "rows"))
def prepare(config: SpeechLMConfig, params: Params, *, rows: int) -> Prepared:
    """What generation for batches of `rows` rows reads; worth making once for many batches."""
    dtype = jnp.dtype(config.dtype)
    decoder = prepare_decoder(config.decoder, config.lora, dtype, params["decoder"], rows=rows)
    return {**params, "decoder": decoder}


def _speak(config: SpeechLMConfig, prepared: Prepared, state: State, hidden_bd: Array, rules: tuple) -> State:
    """Chooses the next token from the last hidden state and writes it behind the text."""
    decoding, stop_ids = rules
    text_bs, end, is_done_b = state["text"], state["end"], state["is_done"]
    rows = jnp.arange(text_bs.shape[0])
    logits_bv = compute_logits(prepared["decoder"], hidden_bd)
    if decoding.repetition_penalty != 1.0:
        logits_bv = penalize_repeats(logits_bv, state["seen"], decoding.repetition_penalty)
    if decoding.no_repeat_ngram:
        logits_bv = forbid_ngrams(logits_bv, text_bs, state["first"], end, decoding.no_repeat_ngram)
    token_b = choose_token(logits_bv, jax.random.fold_in(state["key"], end), decoding)
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
    return state


@partial(jax.jit, static_argnames=("config", "rules", "slots"))
def _start(
    config: SpeechLMConfig, prepared: Prepared, batch: dict[str, Array], key: Array, rules: tuple, slots: int
) -> State:
    """The prompts through the decoder, and the first token."""
    decoding, stop_ids = rules
    token_bt, real_bt = batch["token_bt"], batch["is_real_bt"]
    rows, t = token_bt.shape
    # a padding position sees itself, so that its softmax is over something; nobody sees padding
    mask_btt = jnp.tril(jnp.ones((t, t), bool)) & real_bt[:, None, :] | jnp.eye(t, dtype=bool)
    cross = {}
    if config.cross:
        x_btd = embed_tokens(prepared["decoder"], token_bt, jnp.dtype(config.dtype))
        speech, most = hear_speech(config, prepared, batch, mask_btt), t + decoding.max_new_tokens
        inputs = (x_btd, batch["position_bt"], mask_btt, speech, most)
        x_btd, cross["cross"] = start_cross(config, prepared["cross"], *inputs)
    else:
        x_btd = splice(config, prepared, batch)
    hidden_bd, cache = prefill(config.decoder, prepared["decoder"], x_btd, batch["position_bt"], mask_btt, slots)
    state = {
        "cache": cache,
        "text": jnp.pad(token_bt, ((0, 0), (0, decoding.max_new_tokens)), constant_values=stop_ids[0]),
        "first": t - jnp.sum(real_bt, axis=1),
        "end": jnp.int32(t),
        "is_done": jnp.zeros(rows, bool),
        "key": key,
        **cross,
    }
    if decoding.repetition_penalty != 1.0:
        seen_bv = jnp.zeros((rows, config.decoder.vocab_size), bool)
        state["seen"] = seen_bv.at[jnp.arange(rows)[:, None], token_bt].max(real_bt)
    return _speak(config, prepared, state, hidden_bd, rules)


@partial(jax.jit, static_argnames=("config", "rules"), donate_argnames=("state",))
def _go_on(config: SpeechLMConfig, prepared: Prepared, state: State, rules: tuple) -> State:
    """Tokens until the cache or the text is full or every row is done."""
    # the last token stands in the text and needs no slot
    stop = min(count_slots(state["cache"]) + 1, state["text"].shape[1])

    def step(state: State) -> State:
        last_b = jax.lax.dynamic_slice_in_dim(state["text"], state["end"] - 1, 1, axis=1)[:, 0]
        x_bd = embed_tokens(prepared["decoder"], last_b, jnp.dtype(config.dtype))
        place = (state["end"] - 1, state["first"])
        if config.cross:
            x_bd, state["cross"] = go_on_cross(config, prepared["cross"], x_bd, state["cross"], *place)
        hidden_bd, cache = advance(config.decoder, prepared["decoder"], x_bd, state["cache"], *place)
        return _speak(config, prepared, {**state, "cache": cache}, hidden_bd, rules)

    return jax.lax.while_loop(lambda state: (state["end"] < stop) & ~jnp.all(state["is_done"]), step, state)


def speak(
    config: SpeechLMConfig,
    prepared: Prepared,
    batch: dict[str, Array],
    key: Array,
    *,
    decoding: DecodingConfig,
    stop_ids: tuple[int, ...],
) -> np.ndarray:
    """New ids (b, max_new_tokens); after a row's stop token only the first of the stop tokens follows."""
    t, new = batch["token_bt"].shape[1], decoding.max_new_tokens
    rules, room = (decoding, stop_ids), min(ROOM, new)
    state = _start(config, prepared, batch, key, rules, t + room)
    while True:
        state = _go_on(config, prepared, state, rules)
        if int(state["end"]) == t + new or bool(jnp.all(state["is_done"])):
            return np.asarray(state["text"][:, t:])
        room = min(2 * room, new)
        state["cache"] = jax.jit(grow_cache, static_argnums=1)(state["cache"], t + room)


def generate(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    key: Array,
    *,
    decoding: DecodingConfig,
    stop_id: int,
) -> np.ndarray:
    """`speak` for one batch, out of the training parameters."""
    prepared = prepare(config, params, rows=len(batch["token_bt"]))
    return speak(config, prepared, batch, key, decoding=decoding, stop_ids=(stop_id,))
