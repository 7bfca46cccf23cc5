"""What a checkpoint is found to hold, compared with what a model wants, before anything is read.

leaves saved, leaves wanted ─► the first that is missing, or of another shape or dtype, by its path and both values
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from sift_jax.checkpoints.checkpoint_errors import CheckpointError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saved:
    """What a step has: `sealed` as it was written, shapes and dtypes by path, and the paths that
    are in run/frozen."""

    sealed: dict[str, Any]
    leaves: dict[str, Any]
    frozen: frozenset[str]

    @property
    def checksum_format(self) -> int:
        return self.sealed.get("checksum_format", 1)


def compare_leaves(
    saved: Mapping[str, Any],
    wanted: Mapping[str, Any],
    run_dir: Path,
    step: int,
    *,
    is_strict: bool,
) -> None:
    """An error for another shape or, if strict, another dtype."""
    # parameters first: the optimizer's leaves only follow theirs
    for path in sorted(
        saved.keys() | wanted.keys(), key=lambda path: (not path.startswith("params/"), path)
    ):
        old, new = saved.get(path), wanted.get(path)
        shapes = [tuple(leaf.shape) if leaf is not None else "missing" for leaf in (old, new)]
        dtypes = [str(jnp.dtype(leaf.dtype)) if leaf is not None else "" for leaf in (old, new)]
        # parameters that another run starts from may be rounded, but not turned into numbers of
        # another kind
        is_same = dtypes[0] == dtypes[1] or not (is_strict or {d[0] for d in dtypes} - {"f", "b"})
        if shapes[0] != shapes[1] or not is_same:
            values = shapes if shapes[0] != shapes[1] else dtypes
            item, _, name = path.partition("/")
            kind = "parameter" if item == "params" else item
            raise CheckpointError(
                f"checkpoint {run_dir} step {step}: {kind} {name} is {values[0]} there and "
                f"{values[1]} in this model; use the model config of that run"
            )
