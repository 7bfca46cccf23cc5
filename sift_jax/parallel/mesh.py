"""The device mesh: data × fsdp × tensor. Rows of a batch spread over data and fsdp, parameters over
fsdp and tensor."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from sift_jax.field_ranges import CheckedConfig, Range

AXES = ("data", "fsdp", "tensor")
BATCH_AXES = ("data", "fsdp")


Axis = Annotated[int, Range(least=1, also={-1: "for what remains"})]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig(CheckedConfig):
    """Sizes of the axes; one of them may be -1: whatever devices remain."""

    data: Axis
    fsdp: Axis
    tensor: Axis


def make_mesh(config: MeshConfig, devices: list | None = None) -> Mesh:
    devices = jax.devices() if devices is None else devices
    sizes = [config.data, config.fsdp, config.tensor]
    if sizes.count(-1) > 1:
        raise ValueError(
            f"mesh {dict(zip(AXES, sizes, strict=True))} has several -1; only one axis can "
            "take what remains"
        )
    known = 1
    for size in sizes:
        known *= 1 if size == -1 else size
    if known < 1 or len(devices) % known or (-1 not in sizes and known != len(devices)):
        raise ValueError(
            f"mesh {dict(zip(AXES, sizes, strict=True))} does not fit {len(devices)} devices; "
            "set MeshConfig.data = -1 or sizes whose product is the number of devices"
        )
    sizes = [len(devices) // known if size == -1 else size for size in sizes]
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if slices > 1:
        laid = _lay_slices(sizes, devices, slices)
        return Mesh(laid, AXES, axis_types=(AxisType.Auto,) * 3)
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def _lay_slices(sizes: list[int], devices: list, slices: int) -> np.ndarray:
    """TPU slices that only the data centre's network joins: the first axis that they divide goes
    over them, and the others stay inside one. data = 4 over two slices is 2 × 2."""
    from jax.experimental import mesh_utils

    for place in range(len(BATCH_AXES)):
        if sizes[place] % slices == 0:
            inside, across = list(sizes), [1] * len(sizes)
            inside[place], across[place] = sizes[place] // slices, slices
            return mesh_utils.create_hybrid_device_mesh(
                inside, across, devices=devices, allow_split_physical_axes=True
            )
    raise ValueError(
        f"mesh {dict(zip(AXES, sizes, strict=True))} spreads neither data nor fsdp over {slices} "
        f"slices; set MeshConfig.data = {slices}, or a multiple"
    )


def find_platform(mesh: Mesh | AbstractMesh | None = None) -> str:
    """cpu, gpu or tpu: of the mesh's devices; without one, of the mesh that is being traced for, and
    of this process where there is none.

    A laptop that compiles for a pod is a cpu whose mesh says tpu: kernels are chosen by the mesh.
    """
    mesh = jax.sharding.get_abstract_mesh() if mesh is None else mesh
    abstract = mesh.abstract_mesh if isinstance(mesh, Mesh) else mesh
    device = abstract.abstract_device
    return jax.default_backend() if device is None else device.platform


def is_pod(mesh: Mesh) -> bool:
    """Whether this is more than one machine's CPU: several processes, or devices of their own."""
    return jax.process_count() > 1 or find_platform(mesh) != "cpu"


def count_batch_shards(mesh: Mesh | AbstractMesh) -> int:
    return mesh.shape["data"] * mesh.shape["fsdp"]


def check_rows(rows: int, mesh: Mesh, microbatches: int = 1) -> None:
    """Rows are spread evenly, over devices and microbatches, or not at all."""
    if microbatches < 1:
        raise ValueError(f"microbatches is {microbatches}; set MICROBATCHES to 1 for none")
    shards = count_batch_shards(mesh) * microbatches
    if rows % shards:
        # 96 rows on 64 devices: the multiples around it, 64 and 128
        lower, upper = rows // shards * shards, -(-rows // shards) * shards
        choices = f"{upper}" if lower == 0 else f"{lower} or {upper}"
        times = f" × {microbatches} microbatches" if microbatches > 1 else ""
        raise ValueError(
            f"global batch of {rows} rows is not divisible by {count_batch_shards(mesh)} devices "
            f"(data × fsdp){times}; set BATCH_ROWS to {choices}"
        )


def shard_rows(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def list_own_rows(mesh: Mesh, rows: int) -> list[int]:
    """The rows of a batch that lie on this process's devices."""
    # 8 rows over data 2 × fsdp 2 × tensor 2: four spans of two rows, and each span lies on the two
    # devices of a tensor group. A process with devices of both is asked for those rows once.
    sharding = shard_rows(mesh)
    index_of = sharding.devices_indices_map((rows,))
    spans = [index_of[device][0] for device in sharding.addressable_devices]
    return sorted({row for span in spans for row in range(rows)[span]})


def shard_pieces(mesh: Mesh) -> NamedSharding:
    """Rows behind a leading axis of microbatches, which follow each other on every device."""
    return NamedSharding(mesh, PartitionSpec(None, BATCH_AXES))


def replicate(mesh: Mesh | AbstractMesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh, rows: int) -> dict[str, jax.Array]:
    """The batch of all processes, `rows` in all, spread over the mesh; each process has its own
    rows of it."""
    sharding, place_of = (
        shard_rows(mesh),
        {row: place for place, row in enumerate(list_own_rows(mesh, rows))},
    )

    def put(value: np.ndarray) -> jax.Array:
        def read(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None, "JAX asks for the slices of one device"
            # `index` counts the rows of all processes, `value` holds this one's alone: rows 4 and 5
            # may be the first two here.
            return value[[place_of[row] for row in range(rows)[index[0]]]]

        return jax.make_array_from_callback((rows, *value.shape[1:]), sharding, read)

    return {key: put(value) for key, value in batch.items()}
