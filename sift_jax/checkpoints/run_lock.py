"""A run's folder is one run's at a time: a second one would sweep away what the first is saving.

process 0 ─► locks run/.lock ─► all processes hear whether it has it ─► … the run … ─► released
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from sift_jax.parallel.distributed import is_first_process
from sift_jax.storage.folder_lock import FolderHeldError, hold_folder

REMEDY = "wait for its end, end it, or choose another OUT_DIR"


@contextlib.contextmanager
def hold_run(
    run_dir: Path,
    also: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Iterator[None]:
    """Every process of the run calls it; if another run has the folder, all of them are refused
    together. `also` is what process 0 holds besides, such as the lease of a bucket."""
    with contextlib.ExitStack() as held:
        refusal = None
        if is_first_process():
            try:
                held.enter_context(hold_folder(run_dir, remedy=REMEDY))
                held.enter_context(also())
            except FolderHeldError as error:
                refusal = error
        if jax.process_count() > 1:
            is_refused = bool(multihost_utils.broadcast_one_to_all(np.asarray(refusal is not None)))
            if is_refused and refusal is None:
                refusal = FolderHeldError(f"another run has {run_dir}, as process 0 says; {REMEDY}")
        if refusal is not None:
            raise refusal
        yield
