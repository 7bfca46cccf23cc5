"""Checksums of arrays: one number a leaf, from its bits, the same on every mesh.

    leaf ─► its bits as 32-bit words ─► Σ mix(word + mix(place + 1)), mod 2³² ─► {path: sum}

`mix` sends every word to another one, with no bit where it was: a word that changes changes its
term, and terms of several words that change cancel as two random numbers would, once in 2³². A zero
counts, so that a tail of zeros does. Sums modulo 2³² may be added up in any order: shards do not
matter.

FORMAT 1, of checkpoints made before, is Σ word × odd weight of its place: blind to signs that
change in pairs, since 2³¹ times two odd numbers is a multiple of 2³². What it sealed is verified by
it, and sealed again at the next save.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp

FORMAT = 2
# of format 1; even, so that weights are odd; half of it is odd, so that 2³¹ places have 2³¹ weights
STRIDE = 2 * 0x4F1BBCDD


def name_leaf(path: tuple) -> str:
    """A path as Orbax tells it: fields of named tuples by name."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def list_leaves(tree: Any) -> dict[str, jax.Array]:
    return {name_leaf(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def mix(words: jax.Array) -> jax.Array:
    """Another word for each, and no two the same: the finaliser of MurmurHash3."""
    # Each line can be undone: x ^ (x >> n) by repeating it, a product with an odd number by that
    # number's inverse modulo 2³². So no two words become one, and a bit that flips turns about half
    # of the others.
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)


def read_words(leaf: jax.Array) -> jax.Array:
    """The bits of an array as 32-bit words, a word for each element, or two where it has 64
    bits."""
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    # float64 as pairs of words: bitcast_convert_type adds an axis of 2 where it goes to less bits.
    # bfloat16 as one word of 16 bits each, widened: two to a word would need an even length.
    bits = min(8 * leaf.dtype.itemsize, 32)
    return jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{bits}")).astype(jnp.uint32)


def number_places(shape: tuple[int, ...]) -> jax.Array:
    """0, 1, 2, … in the order of memory, without anything of one device that another would need."""
    # Of shape (2, 3): 0 1 2 / 3 4 5, as row · 3 + column. Each device makes the numbers of its own
    # part, where arange would have to be cut and sent.
    place, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        place += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    return place


def sum_words(leaf: jax.Array, rule: int = FORMAT) -> jax.Array:
    """The checksum of one array, by the rule of that format."""
    words = read_words(leaf)
    place = number_places(words.shape)
    if rule == 1:
        terms = words * (place * jnp.uint32(STRIDE % 2**32) + jnp.uint32(1))
    else:
        # + 1, since mix(0) is 0: the first place would not count. The place is mixed in before the
        # word's own mix, so that equal words at two places are two different terms.
        terms = mix(words + mix(place + jnp.uint32(1)))
    return jnp.sum(terms, dtype=jnp.uint32)


@functools.partial(jax.jit, static_argnums=1)
def _sum_all(leaves: list[jax.Array], rule: int) -> jax.Array:
    return jnp.stack([sum_words(leaf, rule) for leaf in leaves])


def checksum_leaves(tree: Any, rule: int = FORMAT) -> dict[str, int]:
    """{path: checksum}; every process of a run gets the same."""
    leaves = list_leaves(tree)
    if not leaves:
        return {}
    return dict(
        zip(leaves, map(int, jax.device_get(_sum_all(list(leaves.values()), rule))), strict=True)
    )


def digest_leaves(tree: Any) -> str:
    """All checksums as one short name: which weights these are."""
    sums = json.dumps(checksum_leaves(tree), sort_keys=True)
    return hashlib.sha256(sums.encode()).hexdigest()[:16]
