"""What `--dry_run` prints: every parameter and whether it trains, batch shapes, and the memory that
the step takes.

The memory is XLA's own figure: the step is compiled for the mesh, without a single array being
made. On virtual CPU devices (`--virtual_devices=64`) a laptop so compiles for a pod; the kernels of
the pod's own compiler may need a little more or less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import jax
from jax.sharding import Mesh
from jax.stages import Wrapped

from sift_jax.batch import BatchShape
from sift_jax.checkpoints.train_state import State, join_params
from sift_jax.compiled.compiled_step import StepMemory, read_memory
from sift_jax.parallel.hardware import HardwareConfig, find_memory
from sift_jax.parallel.mesh import shard_rows
from sift_jax.parallel.sharding import flatten_paths, make_spec

GB = 1e9


def describe_batch(shape: BatchShape, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    sharding = shard_rows(mesh)
    return {
        key: jax.ShapeDtypeStruct(dims, dtype, sharding=sharding)
        for key, (dims, dtype) in shape.spec().items()
    }


def measure_memory(train_step: Wrapped, state: State, shape: BatchShape, mesh: Mesh) -> StepMemory:
    """Compiles the step for states and batches of these shapes, and asks XLA."""
    return read_memory(train_step.lower(state, describe_batch(shape, mesh)).compile())


def count_bytes(tree: Any) -> float:
    """Bytes on each device of arrays, or of shapes with their shardings."""
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree)
    )


def _count(leaves: Iterable[jax.Array]) -> int:
    return sum(math.prod(x.shape) for x in leaves)


def _measure(tree: Any) -> int:
    """Bytes of it all, wherever they lie."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def format_parameters(state: State, mesh: Mesh) -> list[str]:
    """A line a parameter, and the sums."""
    params, trained = (
        flatten_paths(join_params(state["trainable"], state["frozen"])),
        flatten_paths(state["trainable"]),
    )
    lines = [f"{'parameter':44} {'shape':24} {'axes':28} trains"]
    for path, leaf in sorted(params.items()):
        axes = tuple(a or "·" for a in make_spec(path, leaf.shape, mesh))
        mark = "yes" if path in trained else ""
        lines.append(f"{path:44} {str(tuple(leaf.shape)):24} {' '.join(axes):28} {mark}")
    lines.append(f"parameters: {_count(params.values()):,}")
    lines.append(f"trainable:  {_count(trained.values()):,}")
    once, each = _measure([state["frozen"]]), _measure([state["trainable"], state["optimizer"]])
    lines.append(
        f"on disk:    {each / GB:.3f} GB a checkpoint, and {once / GB:.3f} GB once for what "
        "is frozen"
    )
    return lines


def format_memory(
    memory: StepMemory, state: State, shape: BatchShape, mesh: Mesh, hardware: HardwareConfig
) -> list[str]:
    """XLA's figures, the arguments by what they are, and whether a device holds it all."""
    lines = [
        (
            "memory per device, by XLA's analysis of the step over clips up to "
            f"{shape.mel_frames / 100:g} s:"
        )
    ]
    parts = {
        "frozen parameters": count_bytes(state["frozen"]),
        "trained parameters": count_bytes(state["trainable"]),
        "optimizer": count_bytes(state["optimizer"]),
        "batch": count_bytes(describe_batch(shape, mesh)),
    }
    rows = {
        "arguments": memory.arguments,
        **{f"  {name}": size for name, size in parts.items()},
        "outputs beside them": memory.outputs,
        "temporary": memory.temporary,
        "program": memory.program,
        "total": memory.total,
    }
    lines += [f"    {name:24} {size / GB:9.3f} GB" for name, size in rows.items()]
    has = find_memory(hardware)
    if has is None:
        lines.append(
            "    whether it fits: unknown; bind HardwareConfig.memory_gb, see configs/hardware/"
        )
    elif memory.total <= has:
        lines.append(
            f"    fits: {memory.total / GB:.2f} of the {has / GB:.2f} GB of a device "
            f"({hardware.name})"
        )
    else:
        lines.append(
            f"    does not fit: {memory.total / GB:.2f} of the {has / GB:.2f} GB of a device "
            f"({hardware.name}); raise MICROBATCHES, lower BATCH_ROWS, or spread parameters by "
            "MeshConfig.fsdp and tensor"
        )
    return lines


def format_dry_run(
    train_step: Wrapped,
    state: State,
    shapes: list[BatchShape],
    mesh: Mesh,
    hardware: HardwareConfig,
) -> str:
    """`state` is shapes with their shardings."""
    lines = format_parameters(state, mesh)
    lines.append(
        f"mesh: {dict(mesh.shape)} over {mesh.devices.size} {mesh.devices.flat[0].platform} devices"
    )
    for shape in shapes:
        lines.append(f"batch with clips up to {shape.mel_frames / 100:g} s:")
        for key, (dims, dtype) in shape.spec().items():
            lines.append(f"    {key:12} {str(dims):24} {dtype}")
    memory = measure_memory(train_step, state, shapes[-1], mesh)
    return "\n".join([*lines, *format_memory(memory, state, shapes[-1], mesh, hardware)])
