"""GPUs that are not here: what XLA:GPU is told of them, as a GpuTargetConfigProto in text.

h100:8        eight H100 in one box, all of them joined by NVSwitch        a100, h100, h200: 1 to 8

On a machine with a GPU, XLA asks the driver for these figures. Memory, its bandwidth and the clock stand
in sift_jax/parallel/hardware.py; the rest is what NVIDIA publishes of an architecture:

    A100      NVIDIA A100 Tensor Core GPU Architecture (white paper), 108 multiprocessors
    H100      NVIDIA H100 Tensor Core GPU Architecture (white paper), SXM5: 132 multiprocessors
    H200      the same processor with more, and faster, memory: NVIDIA H200 Tensor Core GPU (data sheet)
    limits    CUDA C++ Programming Guide, technical specifications per compute capability
"""

from __future__ import annotations

import dataclasses

from sift_jax.parallel.hardware import DEVICES

KIB = 2**10
MIB = 2**20
# of a box: one NVSwitch domain
MOST = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuTarget:
    """What the compiler asks of a GPU beyond its published speeds."""

    # as a device names itself, and the table of figures names it
    kind: str
    # compute capability 9.0 is 9
    capability: int
    # whether the compiler may use what this capability alone has (sm_90a: asynchronous products)
    has_own_instructions: bool
    multiprocessors: int
    # single-precision units of a multiprocessor
    units: int
    shared_kib: int
    # of one block that asks for all of it
    block_shared_kib: int
    l2_mib: int
    # ports of NVLink
    links: int


_H100 = GpuTarget(
    kind="NVIDIA H100 80GB HBM3",
    capability=9,
    has_own_instructions=True,
    multiprocessors=132,
    units=128,
    shared_kib=228,
    block_shared_kib=227,
    l2_mib=50,
    links=18,
)
GPUS: dict[str, GpuTarget] = {
    "a100": GpuTarget(
        kind="NVIDIA A100-SXM4-80GB",
        capability=8,
        has_own_instructions=False,
        multiprocessors=108,
        units=64,
        shared_kib=164,
        block_shared_kib=163,
        l2_mib=40,
        links=12,
    ),
    "h100": _H100,
    "h200": dataclasses.replace(_H100, kind="NVIDIA H200"),
}


def write_target(gpu: GpuTarget, cudnn: tuple[int, int, int]) -> str:
    """The proto's text, for a machine with this version of cuDNN."""
    figures = DEVICES[gpu.kind]
    feature = "ACCELERATED_FEATURES" if gpu.has_own_instructions else "NONE"
    info = {
        # the same of both capabilities
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "threads_per_core_limit": 2048,
        "thread_dim_limit_x": 1024,
        "thread_dim_limit_y": 1024,
        "thread_dim_limit_z": 64,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 2**16 - 1,
        "block_dim_limit_z": 2**16 - 1,
        "registers_per_core_limit": 64 * KIB,
        "registers_per_block_limit": 64 * KIB,
        "shared_memory_per_block": 48 * KIB,
        # and what differs
        "shared_memory_per_block_optin": gpu.block_shared_kib * KIB,
        "shared_memory_per_core": gpu.shared_kib * KIB,
        "core_count": gpu.multiprocessors,
        "fpus_per_core": gpu.units,
        "l2_cache_size": gpu.l2_mib * MIB,
        "clock_rate_ghz": figures.clock_ghz,
        "memory_bandwidth": round(figures.memory_gb_s * 1e9),
        "device_memory_size": round(figures.memory_gb * 1e9),
    }
    lines = [f"  {name}: {value}" for name, value in info.items()]
    lines += [
        f"  cuda_compute_capability {{ major: {gpu.capability} feature_extension: {feature} }}",
        f"  device_interconnect_info {{ active_links: {gpu.links} }}",
    ]
    major, minor, patch = cudnn
    return "\n".join(
        [
            "gpu_device_info {",
            *lines,
            "}",
            'platform_name: "CUDA"',
            f"dnn_version_info {{ major: {major} minor: {minor} patch: {patch} }}",
            f'device_description_str: "{gpu.kind}"',
            "",
        ]
    )
