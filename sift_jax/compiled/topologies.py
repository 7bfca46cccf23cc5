"""Devices that are not here: what libtpu compiles for, on a machine without a TPU.

v5e:8x8        64 chips of TPU v5e, 8 × 8 of them        v4, v5e, v5p, v6e, tpu7x
2xv5e:8x8      two such slices, joined by the data centre's network
"""

from __future__ import annotations

import dataclasses
import os
import re

import jax

from sift_jax.extras import MissingExtraError, is_installed, say_install

TPUS = ("v4", "v5e", "v5p", "v6e", "tpu7x")
# libtpu looks for the machine's own chips, and for the service that knows its pod: there are none
_ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-64",
    "TPU_WORKER_HOSTNAMES": "localhost",
    # two compilations at once do not lock each other out
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Topology:
    """So many slices of so many chips along each side."""

    generation: str
    sides: tuple[int, ...]
    slices: int

    @property
    def name(self) -> str:
        return f"{self.generation}:{'x'.join(map(str, self.sides))}"


def read_topology(text: str) -> Topology:
    """v5e:8x8 or 2xv5e:8x8."""
    found = re.fullmatch(r"(?:(\d+)x)?(\w+):(\d+(?:x\d+){0,2})", text)
    if found is None or found.group(2) not in TPUS:
        raise ValueError(
            f"--topology={text} names no devices; write one of {', '.join(TPUS)} and its chips, as "
            "v5e:8x8 or v5p:4x4x4, and 2xv5e:8x8 for two slices"
        )
    sides = tuple(int(side) for side in found.group(3).split("x"))
    return Topology(generation=found.group(2), sides=sides, slices=int(found.group(1) or 1))


def prepare_to_compile(text: str) -> None:
    """Before anything touches a device: this process runs on its CPU, and the compiler for `text`
    is at hand."""
    read_topology(text)
    if not is_installed("libtpu"):
        raise MissingExtraError(
            f"--topology={text} is compiled by libtpu, which is not installed; "
            f"{say_install('tpu_compile')}"
        )
    for name, value in _ALONE.items():
        os.environ.setdefault(name, value)
    # with libtpu installed JAX would look for a TPU here
    jax.config.update("jax_platforms", "cpu")


def open_topology(text: str) -> list[jax.Device]:
    """Devices to compile for; nothing can be put on them."""
    from jax.experimental import topologies

    topology = read_topology(text)
    options: dict[str, object] = {}
    if topology.slices > 1:
        options["num_slices"] = topology.slices
    if topology.sides[-1] == 1 == max(topology.sides[:2]):
        # one chip by itself is not part of a host of four
        options["chips_per_host_bounds"] = (1, 1, 1)
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology.name, **options)
    except RuntimeError as error:
        raise ValueError(
            f"--topology={text} is none that libtpu knows ({str(error).splitlines()[0]}); a host "
            "has 2x2 chips, so sides are even: v5e:2x2, v5e:2x4, v5e:4x4, v5p:2x2x1 …"
        ) from error
    return list(found.devices)
