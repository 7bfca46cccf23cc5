"""A frozen decoder's projections in int8, with a scale for each output channel.

    {"kernel": (in, out) bfloat16} ─quantize─► {"kernel_int8": (in, out) int8, "kernel_scale": (out,) float32}

    a column of the kernel     .12   -.50    .25        scale = .50 / 127
    of kernel_int8              30   -127     64
    dequantised               .118   -.50   .252        off by half a scale at most, .002

A Linear multiplies by whichever of the two its parameters hold. Nothing of int8 trains: adapters and
all else stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

Flat = dict[str, Any]
VALUES, SCALE = "kernel_int8", "kernel_scale"
# -128 has no positive twin
LARGEST = 127
# ModelConfig.quantized
KINDS = ("int8",)


def quantize_kernel(kernel: jax.Array) -> dict[str, jax.Array]:
    """Symmetric, by the largest absolute value of each output channel."""
    wide = kernel.astype(jnp.float32)
    # Rounded to 16 bits, which those of 16-bit files are already: so that a kernel that is written
    # dequantised to such a file, and read again, is quantised to the very same numbers.
    largest = jnp.max(jnp.abs(wide), axis=-2).astype(jnp.bfloat16).astype(jnp.float32)
    scale = jnp.where(largest > 0, largest, 1.0) / LARGEST
    values = jnp.clip(jnp.round(wide / scale[..., None, :]), -LARGEST, LARGEST)
    return {VALUES: values.astype(jnp.int8), SCALE: scale}


def dequantize(part: Mapping[str, Any], dtype: jnp.dtype) -> jax.Array:
    """The kernel of a projection that quantize_kernel made."""
    scale = jnp.asarray(part[SCALE], jnp.float32)
    return (jnp.asarray(part[VALUES]).astype(jnp.float32) * scale[..., None, :]).astype(dtype)


def is_quantized(part: Mapping[str, Any]) -> bool:
    return VALUES in part


def quantize_decoder(decoder: dict[str, Any]) -> dict[str, Any]:
    """A decoder's parameters with the projections of its blocks in int8."""
    blocks = {}
    for name, part in decoder["blocks"].items():
        rest = {key: x for key, x in part.items() if key != "kernel"}
        blocks[name] = rest | quantize_kernel(part["kernel"]) if "kernel" in part else part
    return {**decoder, "blocks": blocks}


def is_quantized_path(path: str) -> bool:
    """Whether it is a path of what quantization made, whose dtype is no choice of a run's."""
    return path.endswith((f"/{VALUES}", f"/{SCALE}"))


def widen(wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes by path, with a float32 kernel for each that is wanted in int8: what is read from
    elsewhere."""
    found = {}
    for path, leaf in wanted.items():
        if path.endswith(f"/{VALUES}"):
            found[path.removesuffix(VALUES) + "kernel"] = leaf.update(dtype=jnp.float32)
        elif not path.endswith(f"/{SCALE}"):
            found[path] = leaf
    return found


def narrow(path: str, x: jax.Array, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> Flat:
    """A parameter as it is wanted: a kernel becomes two arrays, laid out as they are described,
    where that is how it is wanted."""
    if path in wanted or not path.endswith("/kernel"):
        return {path: x}
    stem = path.removesuffix("kernel")
    shardings = {name: wanted[stem + name].sharding for name in (VALUES, SCALE)}
    given = None if None in shardings.values() else shardings
    made = jax.jit(quantize_kernel, out_shardings=given)(x)
    return {stem + name: leaf for name, leaf in made.items()}
