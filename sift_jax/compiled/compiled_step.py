"""All that is read from one compiled step: memory, products, collectives, kernels, time.

train_step.lower(state, batch).compile() ─► CompiledStep ─► lines of --dry_run, a row of a benchmark
"""

from __future__ import annotations

import dataclasses
from typing import Any

from jax.stages import Compiled

from sift_jax.compiled.collectives import Traffic, list_traffic
from sift_jax.compiled.hlo_text import parse_program
from sift_jax.compiled.places import Place
from sift_jax.compiled.products import count_products
from sift_jax.compiled.step_time import Kernel, StepTime, estimate_time, list_kernels
from sift_jax.parallel.hardware import DeviceFigures


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes on each device while a step runs."""

    arguments: int
    # what the step gives back, beyond what it overwrites
    outputs: int
    temporary: int
    program: int

    @property
    def total(self) -> int:
        return self.arguments + self.outputs + self.temporary + self.program


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """What each device holds, computes and receives in one step."""

    memory: StepMemory
    # operations of products, by place
    products: dict[Place, float]
    traffic: list[Traffic]
    kernels: list[Kernel]
    # None where the compiler says nothing of time, or the device's clock is not known
    time: StepTime | None

    @property
    def operations(self) -> float:
        return sum(self.products.values())

    @property
    def recomputed_share(self) -> float:
        """Of the products, those that are made a second time to save memory."""
        again = sum(n for place, n in self.products.items() if place.step_pass == "recomputed")
        return again / self.operations if self.operations else 0.0

    def describe(self) -> dict[str, Any]:
        """As plain data, for a file of results."""
        return {
            "memory": {**dataclasses.asdict(self.memory), "total": self.memory.total},
            "operations": self.operations,
            "recomputed_share": self.recomputed_share,
            "products": {str(place): n for place, n in sorted(self.products.items())},
            "collectives": [
                {**dataclasses.asdict(row), "place": str(row.place)} for row in self.traffic
            ],
            "kernels": [
                {"name": each.name, "place": str(each.place), "count": each.count}
                for each in self.kernels
            ],
            "time": dataclasses.asdict(self.time) if self.time else None,
        }


def read_memory(compiled: Compiled) -> StepMemory:
    """XLA's own figures."""
    found = compiled.memory_analysis()
    if found is None:
        raise ValueError("this backend does not say what a program takes; run without --dry_run")
    return StepMemory(
        arguments=found.argument_size_in_bytes,
        outputs=found.output_size_in_bytes - found.alias_size_in_bytes,
        temporary=found.temp_size_in_bytes,
        program=found.generated_code_size_in_bytes,
    )


def read_compiled(
    compiled: Compiled, *, devices: int, figures: DeviceFigures | None
) -> CompiledStep:
    """Of a step over so many devices of these figures."""
    program = parse_program(compiled.as_text() or "")
    time = None
    if figures is not None and figures.clock_ghz is not None:
        time = estimate_time(
            program,
            devices=devices,
            hertz=figures.clock_ghz * 1e9,
            link_bytes=figures.link_gb_s * 1e9,
        )
    return CompiledStep(
        memory=read_memory(compiled),
        products=count_products(program),
        traffic=list_traffic(program, devices),
        kernels=list_kernels(program),
        time=time,
    )
