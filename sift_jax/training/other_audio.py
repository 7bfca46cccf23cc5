"""The same questions over other recordings: what a model hears is what it loses when it hears
another's audio.

    clips       a0 a1 | b0 |  –  |  c0 c1     of the items a, b, c; – is an empty place
    hear        b0 b0 | c0 |  –  |  a0 a1     those of the next item, again from its first where it has fewer

An item never hears a recording that is its own: neither the other clip of its comparison, nor
another item of the same recording in the batch, which is passed over. One that finds nothing else
in the batch keeps its own, and its targets have no weight. All shapes are those of the batch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sift_jax.checkpoints.checksums import mix, number_places, read_words
from sift_jax.models.layers import Array


def swap_audio(batch: dict[str, Array], slots_per_clip: int) -> dict[str, Array]:
    """The batch with other items' audio, and weight on the targets alone of which the item hears
    another's."""
    if not slots_per_clip:
        # a model that hears units has no clips, and nobody else's to hear
        return {**batch, "weight_bm": jnp.zeros_like(batch["weight_bm"])}
    # The group is found by where the clip's frames stand in the row.
    owner_ba = find_owners(batch, slots_per_clip)
    source_n, has_other_n = choose_sources(owner_ba, batch["mel_basf"])

    def take(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])[source_n].reshape(x.shape)

    group_bm = jnp.take_along_axis(batch["group_bt"], batch["predict_bm"], axis=1)
    is_own = (
        group_bm[:, :, None]
        == jnp.where(has_other_n.reshape(owner_ba.shape), owner_ba, -1)[:, None, :]
    )
    weight_bm = jnp.where(jnp.any(is_own, axis=2), batch["weight_bm"], 0.0)
    return {
        **batch,
        "mel_basf": take(batch["mel_basf"]),
        "frames_ba": take(batch["frames_ba"]),
        "weight_bm": weight_bm,
    }


def find_owners(batch: dict[str, Array], slots_per_clip: int) -> Array:
    """The group that each clip of a row belongs to (b, a); 0 where there is none."""
    clips = batch["frames_ba"].shape[1]
    clip_bt = jnp.where(batch["slot_bt"] >= 0, batch["slot_bt"] // slots_per_clip, -1)
    is_of_bta = clip_bt[:, :, None] == jnp.arange(clips)
    return jnp.max(jnp.where(is_of_bta, batch["group_bt"][:, :, None], 0), axis=1)


def choose_sources(owner_ba: Array, mel_basf: Array) -> tuple[Array, Array]:
    """(the clip that is heard instead of each, whether it is another item's), over all n = b · a
    places."""
    owner_n, row_n = (
        owner_ba.reshape(-1),
        jnp.repeat(jnp.arange(owner_ba.shape[0]), owner_ba.shape[1]),
    )
    n = owner_n.size
    places, is_real = jnp.arange(n), owner_n > 0
    # items are numbered in the order of their clips, which lie side by side
    is_same_row = jnp.concatenate([jnp.zeros(1, bool), row_n[1:] == row_n[:-1]])
    is_first = is_real & ~(is_same_row & (owner_n == jnp.roll(owner_n, 1)))
    # what lies nowhere goes to a number that no table has
    item_n = jnp.where(is_real, jnp.cumsum(is_first) - 1, n)
    # Where each item's clips begin among the n places, and how many it has. There may be up to n
    # items; a place outside the table ("drop") is how one writes nothing.
    start_k = jnp.zeros(n, jnp.int32).at[jnp.where(is_first, item_n, n)].set(places, mode="drop")
    size_k = jnp.zeros(n, jnp.int32).at[item_n].add(1, mode="drop")
    other_k, has_other_k = _choose_others(item_n, jnp.sum(is_first), _hash_clips(mel_basf))
    at = jnp.minimum(item_n, n - 1)
    other_n, has_other_n = other_k[at], has_other_k[at] & is_real
    place_in_item = places - start_k[at]
    # The item's second clip hears the other's second, or its only one.
    source_n = start_k[other_n] + place_in_item % jnp.maximum(size_k[other_n], 1)
    return jnp.where(has_other_n, source_n, places), has_other_n


def _choose_others(item_n: Array, items: Array, print_n: Array) -> tuple[Array, Array]:
    """Of each item the next, around the end, that has no recording of its own; and whether there is
    one."""
    n = item_n.size
    is_same = print_n[:, None] == print_n[None]
    # Items k and l share a recording if any clip of k equals any clip of l.
    is_shared = jnp.zeros((n, n), bool).at[item_n[:, None], item_n[None]].max(is_same, mode="drop")
    steps = jnp.arange(n - 1) + 1
    # Item k asks k + 1, k + 2, … around the end.
    next_ks = (jnp.arange(n)[:, None] + steps) % jnp.maximum(items, 1)
    is_open = (steps < items) & ~jnp.take_along_axis(is_shared, next_ks, axis=1)
    if n == 1:
        return jnp.zeros(1, jnp.int32), jnp.zeros(1, bool)
    first = jnp.argmax(is_open, axis=1)[:, None]
    return jnp.take_along_axis(next_ks, first, axis=1)[:, 0], jnp.any(is_open, axis=1)


def _hash_clips(mel_basf: Array) -> Array:
    """A number for each clip, by which one that lies in a batch twice is told."""
    words = jax.vmap(read_words)(mel_basf.reshape(-1, *mel_basf.shape[2:]))
    return jnp.sum(mix(words + mix(number_places(words.shape[1:]))), axis=(1, 2), dtype=jnp.uint32)
