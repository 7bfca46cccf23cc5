"""Cross-attention to speech as generation runs it: what the prompt wrote and the clips' keys and
values are kept.

    prompt (b, t, d) ─start_cross─► x (b, t, d) for the decoder, and of each layer what it keeps:
                                    {"k", "v": (b, slots, n, k), "speech_k", "speech_v": (b, s, n, k)}
    token  (b, d)    ─go_on_cross─► x (b, d), the cache with one slot more

A clip takes one slot, its marker's. What is generated hears what the prompt's last position heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.models.cross_attention import NORM_EPS, find_hearing, hear
from sift_jax.models.layers import Array, LayerNorm, apply_module, attend, exact_gelu, rotate
from sift_jax.models.speech_lm import SpeechLMConfig, rotate_for_cross

CrossCache = dict
# frames that a row has room for are a multiple of it: each number is compiled by itself
SPEECH_STEP = 128
NO_SLOT, NO_CLIP = -1, -2


def lay_out_speech(
    clips_of: Sequence[np.ndarray],
    config: SpeechLMConfig,
    frames: Sequence[Sequence[np.ndarray]],
    *,
    tokens: int,
) -> dict[str, np.ndarray]:
    """The frames of each prompt's clips, one after the other, whose they are, and where the clips'
    markers stand.

    `clips_of` has for each position of a prompt the clip that it marks, or −1."""
    rows = len(clips_of)
    longest = max((sum(map(len, heard)) for heard in frames), default=0)
    room = max(1, -(-longest // SPEECH_STEP)) * SPEECH_STEP
    laid = {
        "slot_bt": np.full((rows, tokens), NO_SLOT, np.int32),
        "clip_bs": np.full((rows, room), NO_CLIP, np.int32),
        "speech_bsd": np.zeros((rows, room, config.decoder.width), jnp.dtype(config.dtype)),
    }
    for b, clip in enumerate(clips_of):
        laid["slot_bt"][b, tokens - len(clip) :] = np.where(clip >= 0, clip, NO_SLOT)
        start = 0
        for a, heard in enumerate(frames[b] if len(frames) else ()):
            laid["clip_bs"][b, start : start + len(heard)] = a
            laid["speech_bsd"][b, start : start + len(heard)] = heard
            start += len(heard)
    return laid


def _project(part: dict, x: Array) -> Array:
    return x @ part["kernel"].astype(x.dtype) + part["bias"].astype(x.dtype)


def _norm(part: dict, x: Array) -> Array:
    return apply_module(LayerNorm(eps=NORM_EPS), part, x)


def _split(config: SpeechLMConfig, x: Array) -> Array:
    return x.reshape(*x.shape[:2], config.asked_cross.heads, -1)


def _list_layers(config: SpeechLMConfig, cross: dict) -> list[dict]:
    layers = range(config.asked_cross.layers)
    return [jax.tree.map(lambda x, i=i: x[i], cross["blocks"]) for i in layers]


def _run_block(
    config: SpeechLMConfig,
    part: dict,
    x: Array,
    rotation: tuple[Array, Array],
    mix: Callable,
    kept: dict,
    hears: Array,
) -> tuple[Array, dict]:
    """One block; mix(q, k, v) attends to the text and returns (heads side by side, its keys and
    values)."""
    y = _norm(part["self_norm"], x)
    q, k, v = (_split(config, _project(part[f"self_{name}"], y)) for name in "qkv")
    mixed, written = mix(rotate(q, rotation), rotate(k, rotation), v)
    x = x + _project(part["self_o"], mixed)
    q = _split(config, _project(part["cross_q"], _norm(part["cross_norm"], x)))
    x = x + _project(part["cross_o"], hear(q, kept["speech_k"], kept["speech_v"], hears))
    y = exact_gelu(_project(part["up"], _norm(part["mlp_norm"], x)))
    return x + _project(part["down"], y), {**kept, **written}


def start_cross(
    config: SpeechLMConfig,
    cross: dict,
    x_btd: Array,
    batch: dict[str, Array],
    mask_bts: Array,
    slots: int,
) -> tuple[Array, CrossCache]:
    """The prompts' embeddings with speech added, as lay_out_speech has it in the batch."""
    hears_bts = find_hearing(mask_bts, batch["slot_bt"], batch["clip_bs"])
    rotation, more = rotate_for_cross(config, batch["position_bt"]), slots - x_btd.shape[1]

    def mix(q: Array, k: Array, v: Array) -> tuple[Array, dict]:
        room = ((0, 0), (0, more), (0, 0), (0, 0))
        return attend(q, k, v, mask_bts), {"k": jnp.pad(k, room), "v": jnp.pad(v, room)}

    x, layers = x_btd, []
    for part in _list_layers(config, cross):
        kept = {
            f"speech_{name}": _split(config, _project(part[f"cross_{name}"], batch["speech_bsd"]))
            for name in "kv"
        }
        x, kept = _run_block(config, part, x, rotation, mix, kept, hears_bts)
        layers.append(kept)
    return x_btd + _norm(cross["norm"], x), {"layers": layers, "hears": hears_bts[:, -1:]}


def go_on_cross(
    config: SpeechLMConfig,
    cross: dict,
    x_bd: Array,
    cache: CrossCache,
    index: Array,
    first_b: Array,
) -> tuple[Array, CrossCache]:
    """One token a row, written at slot `index`; a row sees the slots from its `first` on."""
    rotation = rotate_for_cross(config, (index - first_b)[:, None])
    slot_s = jnp.arange(cache["layers"][0]["k"].shape[1])
    sees_b1s = ((slot_s >= first_b[:, None]) & (slot_s <= index))[:, None]
    x, layers = x_bd[:, None], []
    for part, kept in zip(_list_layers(config, cross), cache["layers"], strict=True):

        def mix(q: Array, k: Array, v: Array, kept: dict = kept) -> tuple[Array, dict]:
            written = {
                name: jax.lax.dynamic_update_slice_in_dim(kept[name], new, index, axis=1)
                for name, new in (("k", k), ("v", v))
            }
            return attend(q, written["k"], written["v"], sees_b1s), written

        x, kept = _run_block(config, part, x, rotation, mix, kept, cache["hears"])
        layers.append(kept)
    return x_bd + _norm(cross["norm"], x)[:, 0], {**cache, "layers": layers}
