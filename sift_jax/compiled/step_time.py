"""How long a TPU's compiler thinks that a step takes, and how long it would wait for its links.

The compiler writes beside each fusion the cycles that it expects; kernels that others wrote have
none. Collectives go over one link, one after the other, at the stated bandwidth. A computation is
run through in the order of its schedule, a loop as often as it turns:

    work     ██████████░░░░███████████        what is waited for ░ is exposed
    link      ├── gather ──┤                  an asynchronous one hides behind what follows its start

So it is an estimate of the compiler's own and an upper bound of the waiting (real links are several,
and go both ways), not a measurement.
"""

from __future__ import annotations

import collections
import dataclasses
import re

from sift_jax.compiled.collectives import find_collectives, find_end
from sift_jax.compiled.hlo_text import Computation, Instruction, Program
from sift_jax.compiled.places import Place, find_place


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """A program within the program: Pallas, cuDNN."""

    name: str
    place: Place
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds of one step."""

    # cycles that the compiler expects, at the device's clock
    work: float
    # the same, of each part of the model
    work_by_part: dict[str, float]
    # waiting for collectives that nothing hides
    exposed: float

    @property
    def total(self) -> float:
        return self.work + self.exposed


def count_cycles(program: Program) -> dict[Place, float]:
    """Cycles that the compiler expects, by place; empty where it says none."""
    found: dict[Place, float] = collections.defaultdict(float)
    for _, instruction, times in program.walk():
        if cycles := _read_cycles(instruction):
            found[find_place(instruction)] += times * cycles
    return dict(found)


def estimate_time(
    program: Program, *, devices: int, hertz: float, link_bytes: float
) -> StepTime | None:
    """At this clock and over links of so many bytes a second; None where the compiler expects no
    cycles."""
    cycles = count_cycles(program)
    if not cycles:
        return None
    by_part: dict[str, float] = collections.defaultdict(float)
    for place, count in cycles.items():
        by_part[place.part] += count / hertz
    entry = program.computations[program.entry]
    elapsed, work = _Clock(program, devices, hertz, link_bytes).run(entry)
    return StepTime(work=work, work_by_part=dict(by_part), exposed=elapsed - work)


class _Clock:
    def __init__(self, program: Program, devices: int, hertz: float, link_bytes: float):
        self._program, self._devices = program, devices
        self._hertz, self._link_bytes = hertz, link_bytes
        self._known: dict[str, tuple[float, float]] = {}

    def run(self, computation: Computation) -> tuple[float, float]:
        """(seconds, those of them with work) of one run of a computation."""
        if computation.name not in self._known:
            self._known[computation.name] = self._run_through(computation)
        return self._known[computation.name]

    def _run_through(self, computation: Computation) -> tuple[float, float]:
        started = find_collectives(self._program, computation, self._devices)
        now = work = link_is_free = 0.0
        ends: dict[str, float] = {}
        for instruction in computation.instructions:
            key = find_end(self._program, instruction)
            if key is not None and key in ends:
                now = max(now, ends.pop(key))
            if found := started.get(instruction.name):
                link_is_free = max(now, link_is_free) + found.received / self._link_bytes
                if found.is_asynchronous:
                    ends[found.key] = link_is_free
                else:
                    now = link_is_free
            if instruction.kind in ("while", "call", "conditional"):
                for called, turns in self._program.list_calls(instruction):
                    inner, inner_work = self.run(called)
                    now, work = now + turns * inner, work + turns * inner_work
            elif cycles := _read_cycles(instruction):
                now, work = now + cycles / self._hertz, work + cycles / self._hertz
        return max(now, *ends.values()) if ends else now, work


def _read_cycles(instruction: Instruction) -> int:
    if instruction.kind == "while":
        return 0
    found = re.search(r'"estimated_cycles":"(\d+)"', instruction.text)
    return int(found.group(1)) if found else 0


def list_kernels(program: Program) -> list[Kernel]:
    """Kernels that others wrote, by name and place, with how often each runs."""
    found: collections.Counter[tuple[str, Place]] = collections.Counter()
    for _, instruction, times in program.walk():
        if instruction.kind != "custom-call":
            continue
        if instruction.target == "tpu_custom_call":
            # splash_mha_fwd_residuals.1: a number tells instances apart
            name = re.sub(r"(\.(\d+|clone|remat\d*))+$", "", instruction.name)
            found[(name, find_place(instruction))] += times
        elif instruction.target.startswith(("__cudnn$fmha", "__gpu$xla.gpu.triton")):
            found[(instruction.target.lstrip("_"), find_place(instruction))] += times
    return [
        Kernel(name=name, place=place, count=count)
        for (name, place), count in sorted(found.items())
    ]
