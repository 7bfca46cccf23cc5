"""The tensors of a folder of safetensors, by name, read when they are asked for and only the part
that is asked for.

folder/model.safetensors                                            one file
folder/model.safetensors.index.json  model-00001-of-00002.safetensors …    many: the index names the file of each
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

INDEX = "model.safetensors.index.json"
Index = tuple[slice, ...]


class TensorFolder:
    """Names and shapes are known at once; `read` opens the file again, so that a mapped file never
    stays in memory."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._file_of: dict[str, Path] = {}
        self._shape_of: dict[str, tuple[int, ...]] = {}
        for path in _list_files(self.folder):
            try:
                with safe_open(path, framework="np") as file:
                    for key in list(file.keys()):
                        self._file_of[key] = path
                        self._shape_of[key] = tuple(file.get_slice(key).get_shape())
            except (SafetensorError, OSError) as error:
                raise ValueError(
                    f"{path} cannot be read as safetensors ({error}); download it again"
                ) from None

    def keys(self) -> list[str]:
        return sorted(self._file_of)

    def shape(self, key: str) -> tuple[int, ...]:
        return self._shape_of[key]

    def is_bfloat16(self, key: str) -> bool:
        """Whether a tensor is in bfloat16."""
        with safe_open(self._file_of[key], framework="np") as file:
            return file.get_slice(key).get_dtype() == "BF16"

    def read(self, key: str, index: Index | None = None) -> np.ndarray:
        """One tensor, or the slice of it that `index` names."""
        try:
            with safe_open(self._file_of[key], framework="np") as file:
                found = file.get_slice(key)
                # a scalar has no slices
                return found[index] if index else file.get_tensor(key)
        except SafetensorError as error:
            raise ValueError(
                f"{self._file_of[key]}: tensor {key} cannot be read ({error})"
            ) from None


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(
            f"no folder {folder}; give a model's folder, or hf://owner/name for one on the hub"
        )
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (json.JSONDecodeError, KeyError, AttributeError):
            raise ValueError(f"{index} is not an index of safetensors; download it again") from None
        lost = [name for name in names if not (folder / name).is_file()]
        if lost:
            raise ValueError(
                f"{index} names {lost[0]}, which is not there ({len(lost)} missing); download "
                "them too"
            )
        return [folder / name for name in names]
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return files
    patterns = ("*.gguf", "*.bin", "*.pt", "*.pth", "*.ckpt")
    others = sorted(path.name for pattern in patterns for path in folder.glob(pattern))
    if others:
        raise ValueError(
            f"{folder} holds {others[0]} and no *.safetensors; nothing is unpickled here: GGUFs, "
            "CTranslate2's and OpenAI's Whispers are converted by python -m "
            "sift_jax.import_weights, others by model.save_pretrained(folder) of transformers, "
            "or take a revision with safetensors"
        )
    raise ValueError(f"no *.safetensors in {folder}; download the model there first")
