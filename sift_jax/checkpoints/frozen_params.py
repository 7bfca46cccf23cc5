"""Parameters that do not train, saved once for all checkpoints of a run.

    run/frozen/<name>/                  the parameters; the name is a hash of their checksums
    run/checkpoints/<step>/place        {"frozen": "<name>", "checksums": {…, theirs too}, …}

It is there, whole, before the first checkpoint that needs it is begun; who finds another's of the
same name takes that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NoReturn

import orbax.checkpoint as ocp

from sift_jax.checkpoints.checkpoint_errors import CheckpointError, can_be_damage, flatten_cause
from sift_jax.checkpoints.object_paths import is_whole, make_absolute, remove_folder
from sift_jax.models.speech_lm import Params
from sift_jax.parallel.distributed import is_first_process, meet

# how Orbax names what is not whole
DRAFT = ".orbax-checkpoint-tmp"


class FrozenParams:
    """The folder of one run."""

    def __init__(self, run_dir: Any):
        self.folder = make_absolute(run_dir) / "frozen"

    def save(self, params: Params, checksums: Mapping[str, int]) -> str:
        """Writes them if they are not there, and returns when they are; their name."""
        name = hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]
        if is_whole(self.folder / name):
            return name
        # all have looked, before one writes
        meet("frozen parameters are missing")
        if is_first_process():
            self.folder.mkdir(exist_ok=True)
            for draft in self.folder.glob(f"*{DRAFT}*"):
                remove_folder(draft)
            # in a bucket what is not whole has its name already
            remove_folder(self.folder / name)
        meet("drafts of frozen parameters are gone")
        with ocp.StandardCheckpointer() as writer:
            writer.save(self.folder / name, params)
            writer.wait_until_finished()
        return name

    def describe(self, name: str) -> Params:
        """Shapes and dtypes of what was saved."""
        with ocp.StandardCheckpointer() as reader:
            try:
                return reader.metadata(self.folder / name).item_metadata.tree
            except Exception as error:
                self._explain(name, error)

    def read(self, name: str, like: Params) -> Params:
        with ocp.StandardCheckpointer() as reader:
            try:
                return reader.restore(self.folder / name, like)
            except Exception as error:
                self._explain(name, error)

    def make_error(self, name: str, what: str) -> CheckpointError:
        """No older checkpoint would help: they all need it."""
        return CheckpointError(
            f"{self.folder / name} is damaged: {what}; all checkpoints of {self.folder.parent} "
            "need it: bring it back from a copy, or delete the run to train from scratch"
        )

    def _explain(self, name: str, error: Exception) -> NoReturn:
        if not can_be_damage(error):
            raise error
        what = (
            "it is missing"
            if not is_whole(self.folder / name)
            else f"it cannot be read ({flatten_cause(error)})"
        )
        raise self.make_error(name, what) from error
