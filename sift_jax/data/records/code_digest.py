"""What a function does, as one hash: by which a preprocessor that was changed is told from the one
that it was.

    def keep(dataset): return dataset.take(20)     its code, names and constants, defaults, what it closes over, what a
    functools.partial(keep_short, seconds=3)       partial gives it, and the plain values and functions of its own
                                                   module that it names

What it reads from files, and functions of other modules, are not looked into.
"""

from __future__ import annotations

import functools
import hashlib
import re
import types
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))


def digest_code(*values: Any) -> str:
    """The same in every process, whatever stands where in memory and in its file."""
    return hashlib.sha256(repr(_describe(values, frozenset())).encode()).hexdigest()


def _describe(value: Any, above: frozenset[int]) -> Any:
    """Nested tuples of plain values. `above` are the objects that this one is a part of: a circle
    ends there."""
    if isinstance(value, _PLAIN):
        return value
    if id(value) in above:
        return "circle"
    above |= {id(value)}

    def describe(*parts: Any) -> tuple:
        return tuple(_describe(part, above) for part in parts)

    if isinstance(value, functools.partial):
        return "partial", *describe(value.func, value.args, value.keywords)
    if isinstance(value, types.MethodType):
        return "method", *describe(value.__func__, value.__self__)
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        defaults = (value.__defaults__, value.__kwdefaults__)
        return "function", *describe(value.__code__, defaults, cells, _list_named(value))
    if isinstance(value, types.CodeType):
        return "code", value.co_code, value.co_names, *describe(*value.co_consts)
    if isinstance(value, np.ndarray):
        return "array", str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, re.Pattern):
        return "pattern", value.pattern, value.flags
    if isinstance(value, Mapping):
        return "mapping", *sorted((repr(describe(key, item)) for key, item in value.items()))
    if isinstance(value, Set):
        return "set", *sorted(repr(describe(item)) for item in value)
    if isinstance(value, list | tuple):
        return type(value).__name__, *describe(*value)
    return type(value).__module__, type(value).__qualname__


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def _list_named(function: types.FunctionType) -> list[tuple[str, Any]]:
    """The globals that a function or one within it names, if they are plain or functions of the
    same module."""
    names, waiting = set(), [function.__code__]
    while waiting:
        code = waiting.pop()
        names |= set(code.co_names)
        waiting += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    named = {
        name: function.__globals__[name] for name in sorted(names) if name in function.__globals__
    }
    return [(name, value) for name, value in named.items() if _is_own(value, function)]


def _is_own(value: Any, function: types.FunctionType) -> bool:
    if isinstance(value, types.FunctionType):
        return value.__module__ == function.__module__
    return isinstance(value, (*_PLAIN, tuple, frozenset, re.Pattern, list, dict, set))
