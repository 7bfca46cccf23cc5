"""Devices that are not here: what their own compilers compile for, on a machine without them.

v5e:8x8        64 chips of TPU v5e, 8 × 8 of them, by libtpu        v4, v5e, v5p, v6e, tpu7x
2xv5e:8x8      two such slices, joined by the data centre's network
h200:8         a box of eight H200, by XLA:GPU                      a100, h100, h200: see gpu_targets.py
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import re
from pathlib import Path

import jax

from sift_jax.compiled.gpu_targets import GPUS, MOST, write_target
from sift_jax.extras import MissingExtraError, is_installed, say_install
from sift_jax.quiet import hush

TPUS = ("v4", "v5e", "v5p", "v6e", "tpu7x")
# libtpu looks for the machine's own chips, and for the service that knows its pod: there are none
_ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-64",
    "TPU_WORKER_HOSTNAMES": "localhost",
    # two compilations at once do not lock each other out
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
}
# XLA:GPU as JAX loads it, ptxas with the device's mathematics, and the library of the attention kernel
GPU_PARTS = {
    "jax_plugins.xla_cuda12": "jax-cuda12-plugin",
    "nvidia.cuda_nvcc": "nvidia-cuda-nvcc-cu12",
    "nvidia.cudnn": "nvidia-cudnn-cu12",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Topology:
    """So many slices of so many chips along each side; GPUs are one slice with one side."""

    generation: str
    sides: tuple[int, ...]
    slices: int

    @property
    def name(self) -> str:
        return f"{self.generation}:{'x'.join(map(str, self.sides))}"

    @property
    def is_gpu(self) -> bool:
        return self.generation in GPUS


def read_topology(text: str) -> Topology:
    """v5e:8x8, 2xv5e:8x8 or h200:8."""
    found = re.fullmatch(r"(?:(\d+)x)?(\w+):(\d+(?:x\d+){0,2})", text)
    if found is None or found.group(2) not in (*TPUS, *GPUS):
        raise ValueError(
            f"--topology={text} names no devices; write one of {', '.join(TPUS)} and its chips, as "
            "v5e:8x8 or v5p:4x4x4, and 2xv5e:8x8 for two slices; or one of "
            f"{', '.join(GPUS)} and how many, as h200:8"
        )
    sides = tuple(int(side) for side in found.group(3).split("x"))
    topology = Topology(generation=found.group(2), sides=sides, slices=int(found.group(1) or 1))
    if topology.is_gpu and (found.group(1) or len(sides) > 1 or not 1 <= sides[0] <= MOST):
        raise ValueError(
            f"--topology={text} is no box of GPUs; write {topology.generation}:1 to "
            f"{topology.generation}:{MOST}"
        )
    return topology


def prepare_to_compile(text: str) -> None:
    """Before anything touches a device: this process runs on its CPU, and the compiler for `text`
    is at hand."""
    if read_topology(text).is_gpu:
        _find_gpu_compiler(text)
    else:
        if not is_installed("libtpu"):
            raise MissingExtraError(
                f"--topology={text} is compiled by libtpu, which is not installed; "
                f"{say_install('tpu_compile')}"
            )
        for name, value in _ALONE.items():
            os.environ.setdefault(name, value)
    # with libtpu or the plugin installed JAX would look for a TPU or a GPU here
    jax.config.update("jax_platforms", "cpu")


def _find_gpu_compiler(text: str) -> None:
    missing = [name for module, name in GPU_PARTS.items() if not _is_found(module)]
    if missing:
        raise MissingExtraError(
            f"--topology={text} is compiled by XLA:GPU, of which {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed; {say_install('gpu_compile')}"
        )
    plugin, jaxlib = (importlib.metadata.version(n) for n in ("jax-cuda12-plugin", "jaxlib"))
    if plugin != jaxlib:
        raise ValueError(
            f"jax-cuda12-plugin {plugin} is not for jaxlib {jaxlib}; "
            f"pip install jax-cuda12-plugin=={jaxlib} jax-cuda12-pjrt=={jaxlib}"
        )


def _is_found(module: str) -> bool:
    """Of a package inside one that many wheels share."""
    return is_installed(module) and importlib.util.find_spec(module) is not None


def open_topology(text: str) -> list[jax.Device]:
    """Devices to compile for; nothing can be put on them."""
    topology = read_topology(text)
    return _open_gpus(topology) if topology.is_gpu else _open_tpus(text, topology)


def _open_gpus(topology: Topology) -> list[jax.Device]:
    from jax.experimental import topologies

    target = write_target(GPUS[topology.generation], _read_cudnn_version())
    # the plugin says that there is no driver, four times
    with hush():
        jax.devices()
        # slices × hosts × devices of a host
        found = topologies.get_topology_desc(
            platform="cuda",
            topology_name=topology.name,
            target_config=target,
            topology=f"1x1x{topology.sides[0]}",
        )
    return list(found.devices)


def _read_cudnn_version() -> tuple[int, int, int]:
    """9.28.0.42 is 9, 28, 0."""
    words = importlib.metadata.version("nvidia-cudnn-cu12").split(".")
    major, minor, patch = (int(word) for word in words[:3])
    return major, minor, patch


def find_ahead_options(platform: str) -> dict[str, str | bool]:
    """What the compiler has to be told on a machine without the device."""
    if platform != "gpu":
        return {}
    spec = importlib.util.find_spec("nvidia.cuda_nvcc")
    places = spec.submodule_search_locations if spec else None
    return {
        # where ptxas is
        "xla_gpu_cuda_data_dir": str(Path(next(iter(places)))) if places else "",
        # kernels are chosen by timing them, and there is nothing to time them on
        "xla_gpu_autotune_level": "0",
    }


def name_compiler(platform: str) -> str:
    """With its version: libtpu 0.0.42.1."""
    if platform == "tpu":
        return _name_package("libtpu", "libtpu")
    if platform == "gpu":
        return (
            f"{_name_package('XLA:GPU of jax-cuda12-plugin', 'jax-cuda12-plugin')}, "
            f"{_name_package('cuDNN', 'nvidia-cudnn-cu12')}"
        )
    return "XLA"


def _name_package(name: str, package: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return name


def _open_tpus(text: str, topology: Topology) -> list[jax.Device]:
    from jax.experimental import topologies

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
