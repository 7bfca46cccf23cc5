"""A published network's folder in the layout of the hub: its JSON files and tensors, of whatever
kind it is.

    config.json  preprocessor_config.json  *.safetensors ─► NetworkFolder ─► {key: float array} ─► {"a": {"b": …}}

Nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkFolder:
    """Where a network lies, what its config.json says, and whether it hears waves of mean 0 and
    variance 1."""

    files: tuple[Path, ...]
    raw: Mapping[str, Any]
    is_normalised: bool


def find_files(folder: str | Path) -> NetworkFolder:
    """The parts of a folder in the layout of the hub; weights are looked for, not read."""
    folder = Path(folder)
    raw = read_json(folder, "config.json")
    files = tuple(sorted(folder.glob("*.safetensors")))
    said = read_json(folder, "preprocessor_config.json", is_needed=False)
    return NetworkFolder(files=files, raw=raw, is_normalised=said.get("do_normalize", True))


def nest(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """{"a/b": x} as {"a": {"b": x}}."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split("/")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return nested


def read_tensors(files: Sequence[Path], source: Path) -> dict[str, np.ndarray]:
    """Every tensor of every file of a folder."""
    if not files:
        raise ValueError(
            f"{source}: no *.safetensors; save the model again with save_pretrained, pickled "
            "weights are not read"
        )
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        try:
            tensors |= load_file(file)
        except (OSError, ValueError, SafetensorError) as error:
            raise ValueError(
                f"{file}: cannot be read ({' '.join(str(error).split())}); fetch it again"
            ) from None
    return tensors


def read_json(folder: Path, name: str, *, is_needed: bool = True) -> dict[str, Any]:
    """A file of a checkpoint's folder; {} where it is missing and may be."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not is_needed:
            return {}
        raise ValueError(
            f"{folder}: no {name}; take the checkpoint's whole folder, config.json and "
            "*.safetensors"
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}/{name}: cannot be read ({error}); fetch it again") from None
