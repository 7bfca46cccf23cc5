"""What the fields of a config may hold, written where the fields are and checked when a config is
made.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class OptimizerConfig(CheckedConfig):
        warmup_steps: Whole                                     0, 1, 2, …
        beta1: Annotated[float, Range(least=0, below=1)]        OptimizerConfig.beta1 is 1.5; give 0 or more, below 1
        dtype: Annotated[str, OneOf("float32", "bfloat16")]

A rule looks at values of its own type only: what is of another type is refused where configs are
built (cli.py). Rules are found inside tuples, mappings and unions; None needs none. A class with a
check of its own calls the one here first.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any


class Rule:
    """What a value must be: `allows` says whether it is, str() how to fix it: "give 1 or more"."""

    def allows(self, value: Any) -> bool:
        raise NotImplementedError


class Range(Rule):
    """Finite numbers between two bounds, and those of `also`."""

    def __init__(
        self,
        *,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
        below: float | None = None,
        also: Mapping[float, str] = types.MappingProxyType({}),
    ):
        self.least, self.above, self.most, self.below, self.also = least, above, most, below, also

    def allows(self, value: float) -> bool:
        return value in self.also or (
            # an integer is finite, and may be larger than any float
            (isinstance(value, int) or math.isfinite(value))
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        bounds = (
            ("{:g} or more", self.least),
            ("above {:g}", self.above),
            ("at most {:g}", self.most),
        )
        said = [
            text.format(bound)
            for text, bound in (*bounds, ("below {:g}", self.below))
            if bound is not None
        ]
        also = "".join(f", or {value:g} {meaning}" for value, meaning in self.also.items())
        return f"give {', '.join(said)}{also}"


class OneOf(Rule):
    def __init__(self, *values: str):
        self.values = values

    def allows(self, value: str) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return f"choose one of {', '.join(self.values)}"


class Line(Rule):
    """One line of text without spaces at its ends; a path, a name, a title."""

    def __init__(self, *, may_be_empty: bool = False):
        self.may_be_empty = may_be_empty

    def allows(self, value: str) -> bool:
        return value.isprintable() and value == value.strip() and (bool(value) or self.may_be_empty)

    def __str__(self) -> str:
        return (
            f"give one line of text{', or nothing' if self.may_be_empty else ''}, without spaces "
            "at its ends"
        )


class Pattern(Rule):
    """A regular expression."""

    def allows(self, value: str) -> bool:
        try:
            return bool(value) and bool(re.compile(value))
        except re.error:
            return False

    def __str__(self) -> str:
        return "give a regular expression, such as 'projector/.*'"


class Items(Rule):
    """How many there are of a tuple or mapping, and whether one may come twice."""

    def __init__(self, *, least: int = 0, is_distinct: bool = False):
        self.least, self.is_distinct = least, is_distinct

    def allows(self, value: Any) -> bool:
        return len(value) >= self.least and not (self.is_distinct and len(set(value)) < len(value))

    def __str__(self) -> str:
        return f"give {self.least} or more{', each once' if self.is_distinct else ''}"


class Plain(Rule):
    """What JSON can say: None, true and false, finite numbers, text, and lists and tables of
    those."""

    def allows(self, value: Any) -> bool:
        if isinstance(value, Mapping):
            return all(isinstance(key, str) and self.allows(inner) for key, inner in value.items())
        if isinstance(value, list | tuple):
            return all(map(self.allows, value))
        return (
            value is None
            or isinstance(value, str | int)
            or (isinstance(value, float) and math.isfinite(value))
        )

    def __str__(self) -> str:
        return "give None, a bool, a finite number, text, or lists and tables of those"


Count = Annotated[int, Range(least=1)]
Whole = Annotated[int, Range(least=0)]
Seed = Annotated[int, Range(least=0, below=2**32)]
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(least=0, most=1)]
Text = Annotated[str, Line()]
MayBeEmpty = Annotated[str, Line(may_be_empty=True)]
Value = Annotated[object, Plain()]
DTYPES = OneOf("float32", "bfloat16")


class CheckedConfig:
    """A dataclass whose fields keep to what their annotations say."""

    def __post_init__(self) -> None:
        cls: type = type(self)
        if not dataclasses.is_dataclass(cls):
            raise TypeError(f"{cls.__name__} is no dataclass, so there is nothing to check")
        hints = read_hints(cls)
        for field in dataclasses.fields(cls):
            name = f"{cls.__name__}.{field.name}"
            for fault in find_faults(getattr(self, field.name), hints[field.name], name):
                raise ValueError(fault)


@functools.cache
def read_hints(cls: type) -> dict[str, Any]:
    """The fields' annotations with their rules."""
    return typing.get_type_hints(cls, include_extras=True)


def find_faults(value: Any, hint: Any, name: str) -> Iterator[str]:
    """What is wrong with a value, outermost first: its place, what it is, what it may be."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        if is_of_type(value, args[0]):
            yield from (
                f"{name} is {value!r}; {rule}" for rule in args[1:] if not rule.allows(value)
            )
            yield from find_faults(value, args[0], name)
    elif origin in (typing.Union, types.UnionType):
        # of the kinds that it may be, the one that it is
        kind = next((arg for arg in args if is_of_type(value, arg)), None)
        if kind is not None:
            yield from find_faults(value, kind, name)
    elif origin is tuple and isinstance(value, tuple | list):
        kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
        for number, (inner, kind) in enumerate(zip(value, kinds, strict=False)):
            yield from find_faults(inner, kind, f"{name}[{number}]")
    elif (
        origin is not None
        and isinstance(origin, type)
        and issubclass(origin, Mapping)
        and isinstance(value, Mapping)
    ):
        for key, inner in value.items():
            yield from find_faults(key, args[0], f"a key of {name}")
            yield from find_faults(inner, args[1], f"{name}[{key!r}]")


def is_of_type(value: Any, hint: Any) -> bool:
    """Whether a rule of this type has anything to say of a value."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    kind = typing.get_origin(hint) or hint
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(
            value, bool
        )
    if kind is tuple:
        return isinstance(value, tuple | list)
    return isinstance(value, kind) if isinstance(kind, type) else False
