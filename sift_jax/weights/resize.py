"""Parameters of a smaller model in a larger one: more rows in the vocabulary, a higher rank in the
adapters.

embedding (v, d) ─► (v', d)      new rows are drawn with the mean and spread of the old ones
head      (d, v) ─► (d, v')      likewise
lora_a    (…, r) ─► (…, r')      new columns are drawn as fresh adapters are
lora_b (…, r, d) ─► (…, r', d)   new rows are zero: the adapter says what it said, if alpha / rank is what it was
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp

from sift_jax.models.layers import Array, draw_lora_a
from sift_jax.parallel.mesh import replicate

# of a parameter's path, the axis along which it may grow
AXES = (
    (r"decoder/embedding", 0),
    (r"decoder/head", 1),
    (r"decoder/.*/lora_a", -1),
    (r"decoder/.*/lora_b", -2),
)


def find_axis(path: str, small: tuple[int, ...], large: tuple[int, ...]) -> int | None:
    """Along which axis `small` grows into `large`; None where it may not."""
    for pattern, axis in AXES:
        if re.fullmatch(pattern, path) and len(small) == len(large):
            differing = [i for i, (s, n) in enumerate(zip(small, large, strict=True)) if s != n]
            return axis if differing == [axis % len(small)] and small[axis] < large[axis] else None
    return None


def shrink(wanted: jax.ShapeDtypeStruct, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """As wanted, before it grows: whole on every device, since what divides when grown may not
    divide before."""
    sharding = wanted.sharding
    if isinstance(sharding, jax.sharding.NamedSharding):
        sharding = replicate(sharding.mesh)
    return jax.ShapeDtypeStruct(shape, wanted.dtype, sharding=sharding)


def grow(path: str, small: Array, wanted: jax.ShapeDtypeStruct, *, seed: int = 0) -> Array:
    """`small` with more along its axis, in the dtype and sharding that are wanted."""
    axis = find_axis(path, small.shape, wanted.shape)
    if axis is None:
        raise ValueError(
            f"parameter {path} of shape {small.shape} cannot grow into {tuple(wanted.shape)}"
        )
    more = wanted.shape[axis] - small.shape[axis]
    shape = tuple(more if i == axis % small.ndim else n for i, n in enumerate(small.shape))
    key = jax.random.fold_in(jax.random.key(seed), hash_path(path))

    def extend(small: Array) -> Array:
        whole = small.astype(jnp.float32)
        if path.endswith("lora_b"):
            new = jnp.zeros(shape)
        elif path.endswith("lora_a"):
            new = draw_lora_a(key, shape)
        else:
            mean, spread = (f(whole, axis=axis, keepdims=True) for f in (jnp.mean, jnp.std))
            new = mean + spread * jax.random.normal(key, shape)
        return jnp.concatenate([whole, new], axis=axis).astype(wanted.dtype)

    return jax.jit(extend, out_shardings=wanted.sharding)(small)


def hash_path(path: str) -> int:
    """The same in every process and at every start, unlike hash()."""
    return sum((i + 1) * byte for i, byte in enumerate(path.encode()))
