"""What the devices of a program send each other: kind, bytes, and whether work goes on meanwhile.

    %g = bf16[3584,18944] all-gather(bf16[56,18944] %p), replica_groups=[1,64]<=[64]     synchronous
    %s = (…) all-gather-start(…)  …  %d = … all-gather-done(%s)                          asynchronous
    the same, with "is_sync":true in what XLA:GPU says of its start                      synchronous
    fusions that call AsyncCollectiveStart … AsyncCollectiveDone, of one channel         asynchronous, on a TPU

A device receives, of an array of B bytes that a group of n gathers, reduces or exchanges:

    all-gather, reduce-scatter, all-to-all   B · (n-1)/n        all-reduce   2 · B · (n-1)/n
    collective-permute                       B
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re

from sift_jax.compiled.hlo_text import Computation, Instruction, Program, count_bytes, list_arrays
from sift_jax.compiled.places import Place, find_place

KINDS = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# the share of its bytes that a device receives for each other member of the group
_ROUNDS = {"all-reduce": 2.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collective:
    """One instruction, which a step runs so many times."""

    kind: str
    place: Place
    # of the whole array: gathered, or before it is reduced
    bytes: int
    devices: int
    is_asynchronous: bool
    # what its start and its end have in common
    key: str

    @property
    def received(self) -> float:
        """Bytes that a device receives."""
        if self.kind == "collective-permute":
            return float(self.bytes)
        share = (self.devices - 1) / self.devices
        return _ROUNDS.get(self.kind, 1.0) * share * self.bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traffic:
    """All collectives of a kind at a place, in one step."""

    kind: str
    place: Place
    count: int
    bytes: float
    received: float
    synchronous_bytes: float
    # of `received`, what is synchronous
    synchronous_received: float


def list_traffic(program: Program, devices: int) -> list[Traffic]:
    """By kind and place, the largest first; `devices` are those of the program."""
    sums: dict[tuple[str, Place], list[float]] = collections.defaultdict(lambda: [0.0] * 5)
    for name, times in program.times.items():
        for found in find_collectives(program, program.computations[name], devices).values():
            row = sums[(found.kind, found.place)]
            row[0] += times
            row[1] += times * found.bytes
            row[2] += times * found.received
            if not found.is_asynchronous:
                row[3] += times * found.bytes
                row[4] += times * found.received
    rows = [
        Traffic(
            kind=kind,
            place=place,
            count=int(row[0]),
            bytes=row[1],
            received=row[2],
            synchronous_bytes=row[3],
            synchronous_received=row[4],
        )
        for (kind, place), row in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row.bytes, row.kind, row.place))


def find_collectives(
    program: Program, computation: Computation, devices: int
) -> dict[str, Collective]:
    """Those that begin in a computation, by the name of the instruction that begins them."""
    found = {}
    for instruction in computation.instructions:
        kind = instruction.kind.removesuffix("-start")
        if kind in KINDS and not _is_inside_fusion(computation):
            is_start = instruction.kind != kind and '"is_sync":true' not in instruction.text
            found[instruction.name] = _describe(
                kind, instruction, computation, devices, is_start, key=instruction.name
            )
        elif inner := _find_fused(program, instruction, "Start"):
            kind, fused, body = inner
            found[instruction.name] = _describe(
                kind, fused, body, devices, True, key=_read_channel(fused)
            )
        elif instruction.kind == "async-start" and (wrapped := _find_wrapped(program, instruction)):
            kind, fused, body = wrapped
            found[instruction.name] = _describe(
                kind, fused, body, devices, True, key=instruction.name
            )
    return found


def find_end(program: Program, instruction: Instruction) -> str | None:
    """The key of the collective that this instruction waits for."""
    if instruction.kind.endswith("-done") and instruction.operands:
        return instruction.operands[0]
    ended = _find_fused(program, instruction, "Done")
    return _read_channel(ended[1]) if ended else None


def _is_inside_fusion(computation: Computation) -> bool:
    """A TPU's asynchronous collective is named again in every fusion that it runs beside: it counts
    where it starts."""
    return computation.name.startswith("async_collective_fusion") or any(
        each.target in ("AsyncCollectiveStart", "AsyncCollectiveDone")
        for each in computation.instructions
    )


def _find_fused(
    program: Program, instruction: Instruction, end: str
) -> tuple[str, Instruction, Computation] | None:
    """The collective whose start or end a fusion holds."""
    for name in instruction.calls:
        body = program.computations.get(name)
        if body is None or not any(
            each.target == f"AsyncCollective{end}" for each in body.instructions
        ):
            continue
        for each in body.instructions:
            if each.kind in KINDS:
                return each.kind, each, body
    return None


def _find_wrapped(
    program: Program, instruction: Instruction
) -> tuple[str, Instruction, Computation] | None:
    for name in instruction.calls:
        body = program.computations.get(name)
        if body is None:
            continue
        for each in body.instructions:
            if each.kind in KINDS:
                return each.kind, each, body
    return None


def _read_channel(instruction: Instruction) -> str:
    found = re.search(r"channel_id=(\d+)", instruction.text)
    return f"channel {found.group(1)}" if found else instruction.name


def _describe(
    kind: str,
    instruction: Instruction,
    computation: Computation,
    devices: int,
    is_asynchronous: bool,
    *,
    key: str,
) -> Collective:
    return Collective(
        kind=kind,
        place=find_place(instruction),
        bytes=_count_whole(kind, instruction, computation),
        devices=count_group(instruction.text, devices),
        is_asynchronous=is_asynchronous,
        key=key,
    )


def _count_whole(kind: str, instruction: Instruction, computation: Computation) -> int:
    """Bytes of the largest side: the result that is gathered, the operand that is scattered."""
    given = sum(
        count_bytes(made.shape)
        for name in instruction.operands
        if (made := computation.by_name.get(name)) is not None
    )
    if not instruction.kind.endswith("-start"):
        return max(given, count_bytes(instruction.shape))
    if kind in ("all-reduce", "reduce-scatter"):
        return given
    # (operand, result, flags …): the result is the largest of them
    arrays = [f"{t}[{','.join(map(str, d))}]" for t, d in list_arrays(instruction.shape)]
    outputs = sum(map(count_bytes, arrays)) - given if kind == "all-gather" else given
    return max(given, outputs)


def count_group(text: str, devices: int) -> int:
    """Devices of a group, in each of the ways that XLA writes groups.

    {{0,1,2,3},{4,5,6,7}}    [2,4]<=[8]    mesh['a'=1,'b'=4,'c'=2] {'b'}        4 in each
    """
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=", text):
        return int(found.group(1))
    if found := re.search(r"replica_groups=\{\{([0-9,]*)\}", text):
        return found.group(1).count(",") + 1
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", text):
        sizes = dict(pair.split("=") for pair in found.group(1).split(","))
        names = [name.split(":")[0] for name in found.group(2).split(",") if name]
        return math.prod(int(sizes[name]) for name in names)
    return devices
