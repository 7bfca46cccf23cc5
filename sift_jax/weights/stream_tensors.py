"""Tensors of a folder into sharded arrays, one parameter at a time and of each only what this
host's devices hold.

    model.layers.0.self_attn.q_proj.weight (out, in) ─┐
    model.layers.1.…                                  ├─► blocks/q/kernel (layers, in, out), filled layer by layer
    …                                                 ┘

The host holds the model once and one parameter more. Bytes are cast on the way to the dtype that is
wanted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import jax
import numpy as np

from sift_jax.weights.key_table import LONE_AXES, Row
from sift_jax.weights.tensor_files import Index, TensorFolder

Wanted = dict[str, jax.ShapeDtypeStruct]
# XLA on a CPU takes memory so aligned as it is, and copies any other
ALIGNMENT = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a parameter comes from: a key, or a key for each layer."""

    keys: tuple[str, ...]
    is_stacked: bool
    is_turned: bool
    # axes of one behind theirs
    lone_axes: int

    def shape(self, files: TensorFolder) -> tuple[int, ...]:
        first = files.shape(self.keys[0])
        if self.lone_axes and first[-self.lone_axes :] == (1,) * self.lone_axes:
            first = first[: -self.lone_axes]
        first = first[::-1] if self.is_turned else first
        return (len(self.keys), *first) if self.is_stacked else first

    def read(self, files: TensorFolder, index: Index, dtype: np.dtype) -> np.ndarray:
        """The part of the parameter that `index` names."""
        shape = self.shape(files)
        spans = [range(*part.indices(size)) for part, size in zip(index, shape, strict=True)]
        found = _make_aligned(tuple(map(len, spans)), dtype)
        if self.is_stacked:
            for place, layer in enumerate(spans[0]):
                found[place] = self._read_one(files, self.keys[layer], index[1:])
        else:
            found[...] = self._read_one(files, self.keys[0], index)
        return found

    def _read_one(self, files: TensorFolder, key: str, index: Index) -> np.ndarray:
        """All changes of the table are the same permutation of axes, reversed; lone axes are read
        and left out."""
        if not self.is_turned:
            return files.read(key, index)
        found = files.read(key, (*index[::-1], *(slice(None),) * self.lone_axes))
        return found.reshape(found.shape[: len(index)]).T


def find_origins(
    rows: tuple[Row, ...],
    keys: Iterable[str],
    layers: int | Mapping[str, int],
    *,
    wanted: Iterable[str],
    ignored: tuple[str, ...] = (),
) -> dict[str, Origin]:
    """An origin for each wanted path, of `layers` layers, or as many as are named for it; a key that
    is left over, or a path without a key, is an error that lists them."""
    have, want = set(keys), set(wanted)
    origins: dict[str, Origin] = {}
    used: set[str] = set(ignored)
    missing = sorted(want - {path for path, _, _ in rows})
    for path, key, change in rows:
        if path not in want:
            continue
        count = layers[path] if isinstance(layers, Mapping) else layers
        names = tuple(key.format(i=i) for i in range(count)) if "{i}" in key else (key,)
        missing += [name for name in names if name not in have]
        used.update(names)
        origins[path] = Origin(
            keys=names,
            is_stacked="{i}" in key,
            is_turned=change != "same",
            lone_axes=LONE_AXES.get(change, 0),
        )
    unknown = sorted(have - used)
    if missing or unknown:
        raise ValueError(
            f"weights do not fit: missing {_list_some(missing)}, unknown {_list_some(unknown)}; "
            "choose the preset of that checkpoint"
        )
    return origins


def check_shapes(
    origins: dict[str, Origin], files: TensorFolder, wanted: Wanted, part: str
) -> None:
    for path, origin in origins.items():
        found = origin.shape(files)
        if found != tuple(wanted[path].shape):
            raise ValueError(
                f"{files.folder}: {part}/{path} is {found} there and {tuple(wanted[path].shape)} "
                "in this model; choose the preset of that checkpoint"
            )


def stream(origin: Origin, files: TensorFolder, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """One parameter, laid out as `leaf` says, or whole on the first device."""
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    read: dict[tuple, np.ndarray] = {}

    def fill(index: Index | None) -> np.ndarray:
        assert index is not None, "JAX asks for the slices of one device"
        # devices that hold the same part share one reading of it
        name = tuple((part.start, part.stop) for part in index)
        if name not in read:
            read[name] = origin.read(files, index, np.dtype(leaf.dtype))
        return read[name]

    return jax.make_array_from_callback(leaf.shape, sharding, fill)


def _make_aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _list_some(names: list[str], most: int = 5) -> str:
    if not names:
        return "none (0)"
    return f"{names[:most]} ({len(names)})"
