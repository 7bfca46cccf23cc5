"""At the start of a run on TPUs: whether our own attention kernel computes there what plain attention
does.

It was compiled for TPUs, and executed by an interpreter. So a tiny packed row for each of the mesh's
shards, of the model's own heads, goes through both, forward and backward, on the very devices:

    equal      the run takes the kernel
    unequal    the run takes what ATTENTION = 'auto' stands for, and a line says so
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sift_jax.models.attention import choose_kind, choose_packed_block, make_mask
from sift_jax.models.layers import Array, attend
from sift_jax.models.packed_sight import find_sight
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.parallel.distributed import is_first_process
from sift_jax.parallel.mesh import count_batch_shards, find_platform, replicate

# of two blocks, the second in part; a prefix with three questions, one without any, and filling
PARTS = ((1, 0, 150), (1, 1, 40), (1, 2, 30), (1, 3, 25), (2, 0, 60), (0, 0, 15))
# Largest difference, by the largest value. Rounding to bfloat16 makes less than a hundredth; a block or
# an interval that is left out, a third and more.
BOUND = 0.03
NAMES = ("values", "d query", "d key", "d value")


def settle_attention(
    config: SpeechLMConfig,
    mesh: Mesh,
    *,
    platform: str | None = None,
    attend_rows: Callable[..., Array] | None = None,
) -> SpeechLMConfig:
    """The config, or one without our own kernel where that is not what it should be."""
    if config.attention != "packed":
        return config
    kind = choose_kind(
        config.attention,
        tokens=_count_positions(),
        head_size=config.decoder.head_size,
        dtype=config.dtype,
        platform=platform or find_platform(mesh),
    )
    if kind != "packed":
        return config
    if attend_rows is None:
        from sift_jax.models.packed_attention import attend_packed

        attend_rows = attend_packed
    problem = find_problem(config, mesh, attend_rows)
    if problem is None:
        return config
    if is_first_process():
        print(f"attention: the packed kernel {problem}; this run takes ATTENTION = 'auto'")
    return dataclasses.replace(config, attention="auto")


def find_problem(
    config: SpeechLMConfig, mesh: Mesh, attend_rows: Callable[..., Array]
) -> str | None:
    """What is wrong with the kernel on these devices; None if nothing is."""
    try:
        differences = measure_differences(config, mesh, attend_rows)
    except Exception as error:
        # a kernel that does not compile there is no reason for a run to end
        said = str(error).partition("\n")[0] or type(error).__name__
        return f"does not run here ({said})"
    wrong = {name: x for name, x in differences.items() if x > BOUND}
    if not wrong:
        return None
    said = ", ".join(f"{name} by {x:.2g}" for name, x in wrong.items())
    return f"differs from plain attention ({said} of the largest value, {BOUND} at most)"


def measure_differences(
    config: SpeechLMConfig, mesh: Mesh, attend_rows: Callable[..., Array]
) -> dict[str, float]:
    """The largest difference of values and gradients over all rows, by the largest value: the same
    on all processes."""

    def compare() -> list[Array]:
        # kernels that XLA cannot spread by itself read the mesh from here
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return _compare(config, count_batch_shards(mesh), attend_rows)

    found = jax.jit(compare, out_shardings=replicate(mesh))()
    return dict(zip(NAMES, map(float, found), strict=True))


def _compare(config: SpeechLMConfig, rows: int, attend_rows: Callable[..., Array]) -> list[Array]:
    decoder = config.decoder
    lengths = [length for *_, length in PARTS]
    group, segment = (
        jnp.tile(np.repeat([part[i] for part in PARTS], lengths), (rows, 1)) for i in range(2)
    )
    heads = decoder.heads, decoder.kv_heads, decoder.kv_heads, decoder.heads
    q, k, v, weights = (
        jax.random.normal(key, (*group.shape, n, decoder.head_size), config.dtype)
        for key, n in zip(jax.random.split(jax.random.key(0), 4), heads, strict=True)
    )
    # nothing is asked of filling
    is_real = (group > 0)[:, :, None]
    weights = weights.reshape(*group.shape, -1) * is_real

    def differentiate(function: Callable[..., Array], *inputs: Array) -> tuple[Array, ...]:
        out, pull = jax.vjp(function, *inputs)
        return out * is_real, *pull(weights.astype(out.dtype))

    sight, mask = find_sight(group, segment), make_mask(group, segment)
    block = choose_packed_block(group.shape[1], config.attention_block)
    found = differentiate(lambda *x: attend_rows(*x, sight, block=block), q, k, v)
    exact = (x.astype(jnp.float32) for x in (q, k, v))
    # of float32 a TPU multiplies the first bits only, unless it is told
    with jax.default_matmul_precision("highest"):
        wanted = differentiate(lambda q, k, v: attend(q, k, v, mask), *exact)
    return [_measure(x, y) for x, y in zip(found, wanted, strict=True)]


def _measure(x: Array, y: Array) -> Array:
    difference = jnp.abs(x.astype(jnp.float32) - y) / jnp.max(jnp.abs(y))
    # the maximum of numbers and of what is none may be a number
    return jnp.max(jnp.where(jnp.isfinite(difference), difference, jnp.inf))


def _count_positions() -> int:
    return sum(n for *_, n in PARTS)
