"""Seeded orders of a data set that are computed where they are asked for, and stored nowhere.

    place 0 1 2 3 …  ─► six rounds of a Feistel network over the next power of four ─► below `size`? done : once more

A Feistel network is a bijection whatever its rounds compute, and walking on until the value is
below `size` keeps it one. All is integer arithmetic on arrays, so that every host and every version
of numpy gives the same order.
"""

from __future__ import annotations

import hashlib

import numpy as np

ROUNDS = 6
# in fewer bits than these the halves are too small to be mixed well
LEAST_BITS = 6


def make_key(*parts: object) -> int:
    """64 bits that follow from the parts, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def mix(values: np.ndarray) -> np.ndarray:
    """Every bit of the result depends on every bit of the value (the finalizer of splitmix64)."""
    x = np.asarray(values).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def mix_keys(key: int, values: np.ndarray) -> np.ndarray:
    """One key for each value."""
    return mix(np.uint64(key) ^ mix(np.asarray(values).astype(np.uint64)))


def permute(places: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """Where each place of 0…size−1 goes; equal keys mean the same permutation."""
    # 300 places need 9 bits; two halves of 5 give numbers below 1,024, so that about two walks in
    # three end outside and are walked on.
    half = max(LEAST_BITS, (size - 1).bit_length()) + 1 >> 1
    shift, low = np.uint64(half), np.uint64((1 << half) - 1)
    keys = np.broadcast_to(np.asarray(keys, np.uint64), np.shape(places))
    rounds = [mix(keys ^ np.uint64(make_key("round", r))) for r in range(ROUNDS)]

    # One pass through the network. `x ^ f(y)` can be undone whatever f is, by doing it again, and
    # so can each round: no two places meet.
    def walk(x: np.ndarray, which: np.ndarray | slice) -> np.ndarray:
        left, right = x >> shift, x & low
        for key in rounds:
            left, right = right, left ^ (mix(right ^ key[which]) & low)
        return left << shift | right

    found = walk(np.asarray(places).astype(np.uint64), slice(None))
    # Cycle walking: a value that is no place is put in again. As the whole walk is a circle through
    # the place that one started from, it must come back below `size`.
    outside = np.flatnonzero(found >= size)
    while len(outside):
        found[outside] = walk(found[outside], outside)
        outside = outside[found[outside] >= size]
    return found.astype(np.int64)
