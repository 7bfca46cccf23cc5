"""Prefill and a cached, batched, jitted loop.

prompts, right-aligned:   pad pad <im_start> user ♪ ♪ How fast ? … assistant⏎ │ new tokens → → →
cache slots                0   1      2       3   4 5  …                  T-1 │ T  T+1 …  T+N-1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.audio.mel import fill_log_mel
from sift_jax.models.decoder import compute_logits, embed_tokens, make_cache
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params, SpeechLMConfig, make_decoder, splice


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """Temperature 0 is greedy; top_p and the penalty act on every step."""

    max_new_tokens: int
    temperature: float
    top_p: float
    repetition_penalty: float


GREEDY = DecodingConfig(max_new_tokens=48, temperature=0.0, top_p=1.0, repetition_penalty=1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt as the packer lays it: ids, (clip, frame) of audio positions or −1, and the clips' samples."""

    tokens: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    clips: Sequence[np.ndarray]


def lay_out_prompts(
    prompts: Sequence[Prompt], *, tokens: int, clips: int, mel_frames: int, mel_bins: int, slots_per_clip: int
) -> dict[str, np.ndarray]:
    """Right-aligned arrays of static shape; too long a prompt is an error."""
    rows = len(prompts)
    batch = {
        "token_bt": np.zeros((rows, tokens), np.int32),
        "slot_bt": np.full((rows, tokens), -1, np.int32),
        "position_bt": np.zeros((rows, tokens), np.int32),
        "is_real_bt": np.zeros((rows, tokens), bool),
        "mel_basf": np.zeros((rows, clips, mel_frames, mel_bins), np.float32),
        "frames_ba": np.zeros((rows, clips), np.int32),
    }
    for b, prompt in enumerate(prompts):
        n = len(prompt.tokens)
        if n > tokens or len(prompt.clips) > clips:
            raise ValueError(
                f"a prompt of {n} positions and {len(prompt.clips)} clips does not fit {tokens} and {clips}; shorten it"
            )
        batch["token_bt"][b, tokens - n :] = prompt.tokens
        batch["slot_bt"][b, tokens - n :] = np.where(prompt.clip >= 0, prompt.clip * slots_per_clip + prompt.frame, -1)
        batch["position_bt"][b, tokens - n :] = np.arange(n)
        batch["is_real_bt"][b, tokens - n :] = True
        for a, samples in enumerate(prompt.clips):
            batch["frames_ba"][b, a] = fill_log_mel(samples, batch["mel_basf"][b, a])
    return batch


def penalize_repeats(logits_bv: Array, seen_bv: Array, penalty: float) -> Array:
    """Divides positive logits of seen tokens by the penalty and multiplies negative ones."""
    return jnp.where(seen_bv, jnp.where(logits_bv > 0, logits_bv / penalty, logits_bv * penalty), logits_bv)


def keep_nucleus(logits_bv: Array, top_p: float) -> Array:
    """Only the most probable tokens whose mass reaches top_p; the first always stays."""
    ordered = jnp.sort(logits_bv, axis=-1)[:, ::-1]
    mass = jnp.cumsum(jax.nn.softmax(ordered, axis=-1), axis=-1)
    kept = jnp.sum(mass < top_p, axis=-1, keepdims=True)
    floor = jnp.take_along_axis(ordered, jnp.minimum(kept, logits_bv.shape[-1] - 1), axis=-1)
    return jnp.where(logits_bv < floor, -jnp.inf, logits_bv)


def choose_token(logits_bv: Array, seen_bv: Array, key: Array, config: DecodingConfig) -> Array:
    if config.repetition_penalty != 1.0:
        logits_bv = penalize_repeats(logits_bv, seen_bv, config.repetition_penalty)
    if config.temperature == 0.0:
        return jnp.argmax(logits_bv, axis=-1).astype(jnp.int32)
    logits_bv = logits_bv / config.temperature
    if config.top_p < 1.0:
        logits_bv = keep_nucleus(logits_bv, config.top_p)
    return jax.random.categorical(key, logits_bv, axis=-1).astype(jnp.int32)


@partial(jax.jit, static_argnames=("config", "decoding", "stop_id"))
def generate(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    key: Array,
    *,
    decoding: DecodingConfig,
    stop_id: int,
) -> Array:
    """New ids (b, max_new_tokens); after a row's stop token only stop tokens follow."""
    decoder = make_decoder(config)
    rows, t = batch["token_bt"].shape
    new = decoding.max_new_tokens
    real_bt = batch["is_real_bt"]
    # a padding position sees itself, so that its softmax is over something; nobody sees padding
    causal = jnp.tril(jnp.ones((t, t), bool)) & real_bt[:, None, :] | jnp.eye(t, dtype=bool)
    mask = jnp.pad(causal, ((0, 0), (0, 0), (0, new)))
    cache = make_cache(config.decoder, rows, t + new, jnp.dtype(config.dtype))
    apply = partial(decoder.apply, {"params": params["decoder"]})
    hidden, cache = apply(splice(config, params, batch), batch["position_bt"], mask, cache, 0)
    seen = (
        jnp.zeros((rows, config.decoder.vocab_size), bool).at[jnp.arange(rows)[:, None], batch["token_bt"]].max(real_bt)
    )
    length_b = jnp.sum(real_bt, axis=1)

    def choose(hidden_bd: Array, seen_bv: Array, is_done: Array, i: Array) -> tuple[Array, Array, Array]:
        logits = compute_logits(params["decoder"], hidden_bd)
        token = choose_token(logits, seen_bv, jax.random.fold_in(key, i), decoding)
        token = jnp.where(is_done, stop_id, token)
        return token, seen_bv.at[jnp.arange(rows), token].set(True), is_done | (token == stop_id)

    def is_going(carry: tuple) -> Array:
        return (carry[0] < new) & ~jnp.all(carry[3])

    def step(carry: tuple) -> tuple:
        i, token, seen_bv, is_done, out, cache = carry
        x = embed_tokens(params["decoder"], token[:, None], jnp.dtype(config.dtype))
        sees = jnp.pad(real_bt, ((0, 0), (0, new)))[:, None, :] | (
            (jnp.arange(t + new) >= t) & (jnp.arange(t + new) < t + i)
        )
        hidden, cache = apply(x, (length_b + i - 1)[:, None], sees, cache, t + i - 1)
        token, seen_bv, is_done = choose(hidden[:, 0], seen_bv, is_done, i)
        return i + 1, token, seen_bv, is_done, out.at[:, i].set(token), cache

    token, seen, is_done = choose(hidden[:, -1], seen, jnp.zeros(rows, bool), 0)
    out = jnp.full((rows, new), stop_id, jnp.int32).at[:, 0].set(token)
    return jax.lax.while_loop(is_going, step, (1, token, seen, is_done, out, cache))[4]
