"""A compiled program, read from the text that XLA prints: its instructions, and how often each runs.

    %body (p: (s32[], f32[8,8])) -> (s32[], f32[8,8]) {          Computation "body": 28 times, by the
      %y = f32[8,8]{1,0} convolution(%x, %w), …                  loop that calls it
      ROOT %t = (s32[], f32[8,8]) tuple(%i, %y)
    }
    ENTRY %main (…) -> … {                                       once
      %w.1 = (s32[], f32[8,8]) while(%init), condition=%cond, body=%body
    }

XLA's own sum of operations counts the body of a loop once; a model of 28 layers is one loop.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import re
from collections.abc import Iterator

# bits of an element
BITS = {
    **{"pred": 8, "token": 0, "opaque": 0, "s4": 4, "u4": 4, "f4e2m1fn": 4},
    **{"s8": 8, "u8": 8, "f8e4m3fn": 8, "f8e5m2": 8, "f8e8m0fnu": 8},
    **{"s16": 16, "u16": 16, "f16": 16, "bf16": 16},
    **{"s32": 32, "u32": 32, "f32": 32},
    **{"s64": 64, "u64": 64, "f64": 64, "c64": 64, "c128": 128},
}
_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([0-9,]*)\]")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LINE = re.compile(
    r"^\s+(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = "
    r"(?P<shape>\(.*?\)|[a-z][a-z0-9]*\[[^ ]*) (?P<kind>[a-z][\w\-]*)\((?P<rest>.*)$"
)
# %a, %b of "%a, /*index=1*/%b), attributes"
_NAME = re.compile(r"%([\w.\-]+)")
_CALLS = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
# instructions whose called computation runs as many times as they do; that of a reduction is
# arithmetic of one element
_CALLERS = {"fusion", "call", "conditional", "async-start"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruction:
    """name = shape kind(operands), attributes."""

    name: str
    shape: str
    kind: str
    operands: tuple[str, ...]
    # all that stands behind the opening bracket
    text: str
    is_root: bool

    @property
    def op_name(self) -> str:
        """Where it stands in the traced function: jit(step)/jvp(Decoder)/while/body/…/dot_general"""
        found = re.search(r'op_name="([^"]*)"', self.text)
        return found.group(1) if found else ""

    @property
    def target(self) -> str:
        """Of a custom call: whom it calls."""
        found = re.search(r'custom_call_target="([^"]+)"', self.text)
        return found.group(1) if found else ""

    @property
    def calls(self) -> tuple[str, ...]:
        """The computations that it runs, a loop's aside."""
        if self.kind not in _CALLERS:
            return ()
        branches = [name for each in _BRANCHES.findall(self.text) for name in each.split(",")]
        return (*_CALLS.findall(self.text), *(name.strip().lstrip("%") for name in branches))

    def find(self, name: str) -> str:
        """The attribute of a loop that names a computation: condition, body."""
        found = re.search(rf"\b{name}=%?([\w.\-]+)", self.text)
        return found.group(1) if found else ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Computation:
    """Instructions in the order in which they run."""

    name: str
    instructions: tuple[Instruction, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Instruction]:
        return {each.name: each for each in self.instructions}

    @property
    def root(self) -> Instruction:
        return next((i for i in self.instructions if i.is_root), self.instructions[-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    computations: dict[str, Computation]
    entry: str

    def list_calls(self, instruction: Instruction) -> list[tuple[Computation, int]]:
        """The computations that it runs, and how often it runs each."""
        if instruction.kind == "while":
            body = self.computations[instruction.find("body")]
            return [(body, self.count_turns(instruction))]
        return [
            (self.computations[name], 1) for name in instruction.calls if name in self.computations
        ]

    def count_turns(self, loop: Instruction) -> int:
        """How often a loop goes round: as XLA says, or by its counter, its bound and its step."""
        if said := re.search(r'known_trip_count":\{"n":"(\d+)"', loop.text):
            return int(said.group(1))
        condition = self.computations[loop.find("condition")]
        found = _find_bound(self, condition)
        if found is None:
            return 1
        place, bound = found
        body = self.computations[loop.find("body")]
        return max(0, math.ceil(bound / _find_step(self, body, place)))

    @functools.cached_property
    def times(self) -> dict[str, int]:
        """How often each computation runs in one run of the program."""
        order: list[str] = []
        seen: set[str] = set()

        def visit(name: str) -> None:
            if name in seen:
                return
            seen.add(name)
            for instruction in self.computations[name].instructions:
                for called, _ in self.list_calls(instruction):
                    visit(called.name)
            order.append(name)

        visit(self.entry)
        times: collections.Counter[str] = collections.Counter({self.entry: 1})
        # callers before those they call
        for name in reversed(order):
            for instruction in self.computations[name].instructions:
                for called, turns in self.list_calls(instruction):
                    times[called.name] += times[name] * turns
        return dict(times)

    def walk(self) -> Iterator[tuple[Computation, Instruction, int]]:
        """Every instruction that runs, with its computation and how often."""
        for name, times in self.times.items():
            computation = self.computations[name]
            for instruction in computation.instructions:
                yield computation, instruction, times


def parse_program(text: str) -> Program:
    """The program of `compiled.as_text()`."""
    computations: dict[str, Computation] = {}
    entry, name = "", ""
    lines: list[str] = []
    for line in text.splitlines():
        if not name:
            if head := _HEAD.match(line):
                name, lines = head.group(2), []
                entry = name if head.group(1) else entry
        elif line.rstrip() == "}" or line.startswith("}, execution_thread"):
            found = tuple(each for each in map(_read_line, lines) if each is not None)
            computations[name] = Computation(name=name, instructions=found)
            name = ""
        elif line.startswith(" "):
            lines.append(line)
        else:
            # what a kernel says of itself may have lines of its own
            lines[-1] += line
    if not entry:
        raise ValueError("this text is not a compiled program: it has no ENTRY computation")
    return Program(computations=computations, entry=entry)


def _read_line(line: str) -> Instruction | None:
    # tuples of many elements carry their count as comments
    found = _LINE.match(re.sub(r"/\*index=\d+\*/", "", line))
    if found is None:
        return None
    rest = found["rest"]
    return Instruction(
        name=found["name"],
        shape=found["shape"],
        kind=found["kind"],
        operands=tuple(_NAME.findall(rest[: _find_close(rest)])),
        text=rest,
        is_root=bool(found["root"]),
    )


def _find_close(text: str) -> int:
    """Where the bracket ends that is open at the start."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return place
    return len(text)


def list_arrays(shape: str) -> list[tuple[str, tuple[int, ...]]]:
    """(type, dimensions) of each array of a shape: one, or those of a tuple."""
    return [
        (kind, tuple(int(n) for n in dims.split(",") if n))
        for kind, dims in _ARRAY.findall(shape)
        if kind in BITS
    ]


def count_bytes(shape: str) -> int:
    """Bytes of the arrays of a shape."""
    return sum(BITS[kind] * math.prod(dims) // 8 for kind, dims in list_arrays(shape))


def _read_constant(instruction: Instruction | None) -> int | None:
    if instruction is None or instruction.kind != "constant":
        return None
    found = re.match(r"(-?\d+)\)", instruction.text)
    return int(found.group(1)) if found else None


def _follow(computation: Computation, name: str) -> Instruction | None:
    """What makes a value, behind copies and changes of type."""
    found = computation.by_name.get(name)
    while found is not None and found.kind in ("copy", "convert", "bitcast") and found.operands:
        found = computation.by_name.get(found.operands[0])
    return found


def _find_bound(program: Program, condition: Computation) -> tuple[int, int] | None:
    """(the counter's place in the loop's tuple, its bound) of `counter < bound`."""
    root = condition.root
    values = [_follow(condition, name) for name in root.operands]
    if root.kind == "compare" or (root.kind == "fusion" and len(values) == 2):
        bounds = [_read_constant(value) for value in values]
        places = [
            int(found.group(1))
            for value in values
            if value is not None
            and value.kind == "get-tuple-element"
            and (found := re.search(r"index=(\d+)", value.text))
        ]
        bound = next((each for each in bounds if each is not None), None)
        if bound is None and root.kind == "fusion":
            bound = _find_inner_bound(program, root)
        if places and bound is not None:
            return places[0], bound
    if root.kind == "fusion" and len(values) == 1 and values[0] is not None:
        place = re.search(r"index=(\d+)", values[0].text)
        bound = _find_inner_bound(program, root)
        if place and bound is not None:
            return int(place.group(1)), bound
    return None


def _find_inner_bound(program: Program, fusion: Instruction) -> int | None:
    """The constant that a fused comparison compares with."""
    for name in fusion.calls:
        for each in program.computations[name].instructions:
            if (value := _read_constant(each)) is not None:
                return value
    return None


def _find_step(program: Program, body: Computation, place: int) -> int:
    """What a turn adds to the counter: windows of a product go two a turn."""
    root = body.root
    if root.kind != "tuple" or place >= len(root.operands):
        return 1
    made = _follow(body, root.operands[place])
    if made is None:
        return 1
    if made.kind == "add":
        steps = [_read_constant(_follow(body, name)) for name in made.operands]
    elif made.kind == "fusion":
        steps = [_find_inner_bound(program, made)]
        steps += [_read_constant(_follow(body, name)) for name in made.operands]
    else:
        return 1
    return next((step for step in steps if step), 1)
