"""How XLA is asked to compile a step for each platform.

They go with the step itself, so that a dry run compiles what the pod runs; libtpu reads the same names
from LIBTPU_INIT_ARGS, which these override.
"""

from __future__ import annotations

from jax.sharding import Mesh

from sift_jax.parallel.mesh import find_platform

TPU_OPTIONS: dict[str, str | bool] = {
    # A product whose kernel is spread over devices is else cut into windows, each added to the whole
    # in memory as its shard arrives: a fifth of a step. With a threshold that no product reaches the
    # kernel is gathered first.
    "xla_jf_spmd_threshold_for_windowed_einsum_mib": "1000000",
    # and these let the gathers run beside the products before them
    "xla_enable_async_all_gather": True,
    "xla_tpu_enable_async_collective_fusion": True,
    "xla_tpu_enable_async_collective_fusion_fuse_all_gather": True,
    "xla_tpu_enable_async_collective_fusion_multiple_steps": True,
    "xla_tpu_overlap_compute_collective_tc": True,
}


def find_compiler_options(mesh: Mesh) -> dict[str, str | bool] | None:
    """For jax.jit's `compiler_options`, by the devices of the mesh."""
    return TPU_OPTIONS if find_platform(mesh) == "tpu" else None
