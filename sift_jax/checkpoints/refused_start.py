"""A start that is refused leaves no folder behind.

runs/stage2 is not there ─► made and locked ─┬─► refused, e.g. "no records under data/x": removed
                                             └─► config.gin is written: the run has begun, it stays
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from sift_jax.checkpoints.config_history import CONFIG
from sift_jax.parallel.distributed import is_first_process


@contextlib.contextmanager
def undo_refused_start(run_dir: Path, *, was_there: bool) -> Iterator[None]:
    """Within the folder's lock: what another run writes is never removed. A folder that `was_there`
    before is left as it is."""
    has_ended_well = False
    try:
        yield
        has_ended_well = True
    finally:
        is_new = not was_there and not (run_dir / CONFIG).exists()
        if is_new and not has_ended_well and is_first_process():
            # others of the run may still write to it; what they leave does no harm
            shutil.rmtree(run_dir, ignore_errors=True)
