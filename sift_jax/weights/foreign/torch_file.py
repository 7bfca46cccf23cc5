"""A .pt file of PyTorch's, read without PyTorch and without running anything of it.

    archive/data.pkl    what is held, as a pickle: a program for a small machine, which could call any function
    archive/data/0 …    the numbers of each tensor

The pickle is not given to Python's unpickler. Its steps are listed by pickletools, which runs none,
and those that plain data of tensors needs are done here: numbers, texts, tuples, lists and dicts
are put together; a name of a function is kept as a text and looked up in nothing; of the steps that
call one, three calls are known, and what they mean is computed here:
torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter and collections.OrderedDict. Every
other step and every other name is an error.
"""

from __future__ import annotations

import dataclasses
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

STORAGES = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
}
TENSOR, PARAMETER, ORDERED = (
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "collections OrderedDict",
)
CALLS = (TENSOR, PARAMETER, ORDERED)
VALUES = ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


@dataclasses.dataclass(frozen=True)
class Name:
    """A function or class that the pickle names: a text, and nothing more."""

    text: str


@dataclasses.dataclass(frozen=True)
class Storage:
    dtype: np.dtype
    key: str


def is_torch_file(path: Path) -> bool:
    return zipfile.is_zipfile(path)


def read_torch_file(path: str | Path) -> Any:
    """What torch.load would give, with NumPy arrays for tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise ValueError(
                    f"{path} is no .pt of PyTorch's: it has {len(names)} files data.pkl"
                )
            root = names[0].removesuffix("data.pkl")
            if (
                f"{root}byteorder" in archive.namelist()
                and archive.read(f"{root}byteorder") != b"little"
            ):
                raise ValueError(
                    f"{path} was written on a machine of another byte order; take the "
                    "published file"
                )
            return _Reader(path, archive, root).read(archive.read(names[0]))
    except (zipfile.BadZipFile, IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is torn, or no .pt of tensors ({error}); download it again"
        ) from None


def list_torch_files(folder: Path) -> list[Path]:
    """pytorch_model.bin, or its parts, of a folder without safetensors."""
    is_safe = any(folder.glob("*.safetensors"))
    return [] if is_safe else sorted(folder.glob("pytorch_model*.bin"))


def list_torch_tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Of such a folder, one file in memory at a time; rotary frequencies, which are computed here,
    are left out."""
    for path in list_torch_files(folder):
        for name, value in read_torch_file(path).items():
            if not name.endswith(".rotary_emb.inv_freq"):
                yield name, value


class _Reader:
    """A stack, marks on it, and a memory, as the pickle's machine has them."""

    def __init__(self, path: str | Path, archive: zipfile.ZipFile, root: str):
        self._path, self._archive, self._root = path, archive, root
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def read(self, program: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return self._stack.pop()
            self._do(opcode.name, argument)
        raise KeyError("no end")

    def _do(self, step: str, argument: Any) -> None:
        stack = self._stack
        if step in VALUES:
            stack.append(argument)
        elif step in CONSTANTS:
            stack.append(CONSTANTS[step])
        elif step in EMPTY:
            stack.append(EMPTY[step]())
        elif step == "MARK":
            stack.append(_MARK)
        elif step in ("BINPUT", "LONG_BINPUT"):
            self._memory[argument] = stack[-1]
        elif step == "MEMOIZE":
            self._memory[len(self._memory)] = stack[-1]
        elif step in ("BINGET", "LONG_BINGET"):
            stack.append(self._memory[argument])
        elif step == "GLOBAL":
            stack.append(self._name(argument))
        elif step in TUPLES:
            items = [stack.pop() for _ in range(TUPLES[step])]
            stack.append(tuple(reversed(items)))
        elif step == "TUPLE":
            stack.append(tuple(self._pop_to_mark()))
        elif step not in ("PROTO", "FRAME"):
            self._fill_or_call(step)

    def _fill_or_call(self, step: str) -> None:
        stack = self._stack
        if step == "SETITEM":
            value, key = stack.pop(), stack.pop()
            stack[-1][key] = value
        elif step == "SETITEMS":
            items = self._pop_to_mark()
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif step == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif step == "APPENDS":
            items = self._pop_to_mark()
            stack[-1].extend(items)
        elif step == "BINPERSID":
            stack.append(self._store(stack.pop()))
        elif step == "REDUCE":
            arguments, name = stack.pop(), stack.pop()
            stack.append(self._call(name, arguments))
        elif step == "BUILD":
            # what state_dict() hangs on its dict: versions of modules
            stack.pop()
            if not isinstance(stack[-1], dict):
                raise ValueError(
                    f"{self._path} holds more than tensors ({step}), and nothing is unpickled here"
                )
        else:
            raise ValueError(
                f"{self._path} holds more than tensors ({step}), and nothing is unpickled here"
            )

    def _pop_to_mark(self) -> list[Any]:
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _name(self, text: str) -> Name:
        if text not in CALLS and text not in STORAGES:
            raise ValueError(
                f"{self._path} names {text.replace(' ', '.')}, and nothing but tensors is read here"
            )
        return Name(text)

    def _store(self, found: tuple) -> Storage:
        """("storage", kind, its file, device, length)."""
        kind, key = found[1], found[2]
        return Storage(STORAGES[kind.text], str(key))

    def _call(self, name: Name, arguments: tuple) -> Any:
        if name.text == ORDERED:
            return dict(*arguments)
        if name.text == PARAMETER:
            return arguments[0]
        if name.text == TENSOR:
            return self._tensor(*arguments[:4])
        raise ValueError(
            f"{self._path} calls {name.text.replace(' ', '.')}, and nothing is unpickled here"
        )

    def _tensor(
        self, storage: Storage, start: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> np.ndarray:
        """A copy of a view of a storage: shape (2, 3), strides (1, 2) is the transpose of rows of
        two."""
        flat = np.frombuffer(self._archive.read(f"{self._root}data/{storage.key}"), storage.dtype)
        last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if min((start, *shape, *strides)) < 0 or (np.prod(shape) and last >= len(flat)):
            raise KeyError(f"a tensor of {shape} in a storage of {len(flat)}")
        steps = tuple(step * flat.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(flat[start:], shape, steps).copy()
