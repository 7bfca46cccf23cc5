"""What has been compiled once is not compiled again: a restart finds the programs of the start before.

    runs/stage2/         OUT_DIR
    runs/.compiled/      beside it, for all runs there: a file a program, by a hash of program, devices and flags

On pods it is on unless JAX_COMPILATION_CACHE_DIR says where else; CPUs of one machine are left to
that variable, as their programs hold for the very kind of CPU.
"""

from __future__ import annotations

import os
from pathlib import Path

import jax
from jax.sharding import Mesh

from sift_jax.parallel.mesh import is_pod

FOLDER = ".compiled"


def keep_programs(out_dir: str | Path, mesh: Mesh) -> str | None:
    """Makes JAX keep its programs beside that folder; where, or None where it is left as it is.
    Call it before anything is compiled."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR") or not is_pod(mesh):
        return None
    folder = f"{str(out_dir).rstrip('/').rpartition('/')[0] or '.'}/{FOLDER}"
    jax.config.update("jax_compilation_cache_dir", folder)
    # as far as storage that all share lets: one process writes, all read
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder
