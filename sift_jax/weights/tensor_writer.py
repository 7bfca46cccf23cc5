"""Tensors into files of safetensors of a limited size, one file in memory at a time.

model.safetensors                                                   what fits in one
model-00001-of-00002.safetensors …  model.safetensors.index.json    what does not
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sift_jax.weights.tensor_files import INDEX


def write_tensors(
    folder: Path,
    tensors: Iterable[tuple[str, np.ndarray]],
    *,
    dtype: str,
    max_bytes: int,
    stem: str = "model",
) -> int:
    """Writes `tensors` as `dtype` and returns their bytes; a tensor larger than a file has one to
    itself."""
    folder.mkdir(parents=True, exist_ok=True)
    files: list[list[str]] = []
    held: dict[str, np.ndarray] = {}
    total = 0

    def flush() -> None:
        files.append(list(held))
        save_file(held, folder / f"{stem}-{len(files):05}.safetensors", metadata={"format": "pt"})
        held.clear()

    for key, value in tensors:
        value = np.ascontiguousarray(value, np.dtype(dtype))
        if held and sum(x.nbytes for x in held.values()) + value.nbytes > max_bytes:
            flush()
        held[key] = value
        total += value.nbytes
    flush()
    if len(files) == 1:
        (folder / f"{stem}-00001.safetensors").rename(folder / f"{stem}.safetensors")
        return total
    weight_map: dict[str, str] = {}
    for i, keys in enumerate(files, 1):
        name = f"{stem}-{i:05}-of-{len(files):05}.safetensors"
        (folder / f"{stem}-{i:05}.safetensors").rename(folder / name)
        weight_map |= dict.fromkeys(keys, name)
    (folder / INDEX).write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1)
    )
    return total
