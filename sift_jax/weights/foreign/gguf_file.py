"""A GGUF file (llama.cpp's): what it says of the model, and its tensors one by one as float32.

"GGUF" version │ tensors, keys │ (key, type, value) … │ (name, shape, packing, offset) … │ padding │ weights
                 counts                                 the shape is written backwards
"""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sift_jax.weights.foreign.gguf_blocks import PACKINGS, Packing, unpack

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
# no key of a language model is longer, nor has a tensor more axes; a torn file would ask for all
# memory
LONGEST, MOST_AXES = 2**26, 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class GgufTensor:
    shape: tuple[int, ...]
    packing: Packing
    start: int

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape)) // self.packing.numbers * self.packing.bytes


class GgufFile:
    """`facts` are its keys and values; `read` gives a tensor, rows first as elsewhere."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                self.facts, self.tensors = _read_head(file, self.path)
        except (struct.error, EOFError, UnicodeDecodeError):
            raise ValueError(f"{self.path} is a torn GGUF; download it again") from None
        size = self.path.stat().st_size
        end = max((tensor.start + tensor.bytes for tensor in self.tensors.values()), default=0)
        if end > size:
            raise ValueError(
                f"{self.path} has {size} bytes, and its tensors end at {end}; download it again"
            )

    def read(self, name: str) -> np.ndarray:
        tensor = self.tensors[name]
        with self.path.open("rb") as file:
            file.seek(tensor.start)
            raw = np.frombuffer(file.read(tensor.bytes), np.uint8)
        return unpack(tensor.packing, raw).reshape(tensor.shape)

    def read_rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Some rows of a matrix, without the others."""
        tensor = self.tensors[name]
        shape = (tensor.shape[0], tensor.bytes // tensor.shape[0])
        raw = np.memmap(self.path, np.uint8, "r", offset=tensor.start, shape=shape)[rows]
        return unpack(tensor.packing, raw).reshape(len(rows), *tensor.shape[1:])

    def get(self, key: str) -> Any:
        if key not in self.facts:
            raise ValueError(f"{self.path} does not say {key}; take a GGUF of a whole model")
        return self.facts[key]


def _read_head(file: BinaryIO, path: Path) -> tuple[dict[str, Any], dict[str, GgufTensor]]:
    magic = file.read(4)
    if magic != MAGIC:
        raise ValueError(f"{path} is not a GGUF: it begins with {magic!r}")
    version = _number(file, "I")
    if version not in (2, 3):
        raise ValueError(
            f"{path} is a GGUF of version {version}, and 2 and 3 are read; convert it with "
            "llama.cpp"
        )
    tensors, keys = _number(file, "Q"), _number(file, "Q")
    facts = {_text(file): _value(file, _number(file, "I")) for _ in range(keys)}
    described = {}
    for _ in range(tensors):
        name, axes = _text(file), _number(file, "I")
        if axes > MOST_AXES:
            raise EOFError
        shape = tuple(_number(file, "Q") for _ in range(axes))[::-1]
        kind, offset = _number(file, "I"), _number(file, "Q")
        described[name] = (shape, kind, offset)
    align = facts.get("general.alignment", 32)
    start = -(-file.tell() // align) * align
    return facts, {name: _describe(path, name, start, *found) for name, found in described.items()}


def _describe(
    path: Path, name: str, start: int, shape: tuple[int, ...], kind: int, offset: int
) -> GgufTensor:
    if kind not in PACKINGS:
        names = ", ".join(packing.name for packing in PACKINGS.values())
        raise ValueError(
            f"{path}: {name} is packed in a way (number {kind}) that is not read; take one of "
            f"{names}"
        )
    packing = PACKINGS[kind]
    if not shape or shape[-1] % packing.numbers:
        raise ValueError(f"{path}: {name} of shape {shape} is no {packing.name}; download it again")
    return GgufTensor(shape=shape, packing=packing, start=start + offset)


def _number(file: BinaryIO, code: str) -> Any:
    size = struct.calcsize("<" + code)
    return struct.unpack("<" + code, file.read(size))[0]


def _text(file: BinaryIO) -> str:
    length = _number(file, "Q")
    raw = file.read(length) if length < LONGEST else b""
    if len(raw) != length:
        raise EOFError
    return raw.decode("utf-8")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _text(file)
    if kind == ARRAY:
        inner, length = _number(file, "I"), _number(file, "Q")
        if length >= LONGEST or inner == ARRAY:
            raise EOFError
        return [_value(file, inner) for _ in range(length)]
    if kind not in NUMBERS:
        raise EOFError
    return _number(file, NUMBERS[kind])
