"""CTranslate2's model.bin: its variables by name, as float32.

    version │ name of the model │ revision │ variables │ (name, axes, shape, kind, bytes, numbers) … │ aliases │ …

Whole numbers are weights times a scale, kept beside them as NAME_scale: one for each row (int8),
one for all (int16).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

VERSIONS = (5, 6)
KINDS = ("<f4", "i1", "<i2", "<i4", "<f2", ml_dtypes.bfloat16)
MOST_AXES = 4


def read_variables(path: str | Path) -> dict[str, np.ndarray]:
    """All of a Whisper's; aliases are there under both names."""
    path = Path(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            version = _number(file, "I")
            if version not in VERSIONS:
                raise ValueError(
                    f"{path} is neither a GGUF nor OpenAI's .pt nor a model.bin of CTranslate2 "
                    f"(it begins with {version}, and versions {VERSIONS[0]} and {VERSIONS[1]} are "
                    "read)"
                )
            name, _ = _text(file), _number(file, "I")
            if name != "WhisperSpec":
                raise ValueError(
                    f"{path} holds a {name}; of CTranslate2's models Whispers alone are read"
                )
            found = dict(_variable(file, size) for _ in range(_number(file, "I")))
            for _ in range(_number(file, "I")):
                alias, meant = _text(file), _text(file)
                found[alias] = found[meant]
    except (struct.error, EOFError, UnicodeDecodeError, KeyError):
        raise ValueError(f"{path} is torn; download it again") from None
    return {name: _scale(found, name) for name in found if not name.endswith("_scale")}


def _number(file: BinaryIO, code: str) -> Any:
    size = struct.calcsize("<" + code)
    return struct.unpack("<" + code, file.read(size))[0]


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode("utf-8")


def _variable(file: BinaryIO, size: int) -> tuple[str, np.ndarray]:
    name, axes = _text(file), _number(file, "B")
    if axes > MOST_AXES:
        raise EOFError
    shape = tuple(_number(file, "I") for _ in range(axes))
    kind, length = _number(file, "B"), _number(file, "I")
    if (
        kind >= len(KINDS)
        or length > size
        or length != int(np.prod(shape)) * np.dtype(KINDS[kind]).itemsize
    ):
        raise EOFError
    raw = file.read(length)
    if len(raw) != length:
        raise EOFError
    return name, np.frombuffer(raw, KINDS[kind]).reshape(shape)


def _scale(found: dict[str, np.ndarray], name: str) -> np.ndarray:
    """int8 rows (2, 3) with scales (2,): row i over scale i. A convolution's (2, 5, 3) may have a
    scale for each of the last axis, too: (2, 3)."""
    value = found[name].astype(np.float32)
    scale = found.get(f"{name}_scale")
    if scale is None:
        return value
    scale = scale.astype(np.float32)
    if scale.ndim == 2 and value.ndim == 3:
        return value / scale[:, None]
    return value / scale.reshape(*scale.shape, *(1,) * (value.ndim - scale.ndim))
