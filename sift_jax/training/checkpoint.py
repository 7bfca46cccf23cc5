"""Checkpoints of a run: parameters, optimizer and the data's place together, by Orbax.

run/checkpoints/<step>/{params,optimizer,place}                   the last `keep` of them
run/damaged/<step>                                                what was found not to be what was saved

`place` holds, beside the data's place, a checksum of every leaf: what is restored is what was saved, or it is named.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from sift_jax.models.speech_lm import Params, SpeechLMConfig, describe_params
from sift_jax.parallel.distributed import is_first_process, meet
from sift_jax.training.checksums import checksum_leaves, list_leaves, name_leaf
from sift_jax.training.run_files import CheckpointError, read_model_file
from sift_jax.training.state import State, join_params, split_params

# what lies at the bottom of Orbax's errors where files are missing, torn or broken within
UNREADABLE = (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError)
# and of those which say nothing against the files: TensorStore's are ValueErrors too, and so is the loss of a process
NO_DAMAGE = ("PERMISSION_DENIED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED")
NO_DAMAGE += ("UNKNOWN: Gloo", "ABORTED", "CANCELLED")
# how TensorStore says what the system said
OS_ERROR = re.compile(r"os_error_code='(\d+)'")


class DamagedError(CheckpointError):
    """A checkpoint that is not what was saved."""


class SaveError(OSError):
    """What a run leaves could not be written; what it left before is whole."""

    # EX_IOERR
    exit_code = 74


class Checkpoints:
    """Saves and restores the states of one run. A reader leaves alone what a writer may have begun."""

    def __init__(self, run_dir: str | Path, *, is_reader: bool, every: int = 1, keep: int | None = None):
        self.run_dir = Path(run_dir)
        for name in ("absl", "asyncio"):
            logging.getLogger(name).addFilter(_is_news)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            save_interval_steps=every,
            cleanup_tmp_directories=not is_reader,
            create=not is_reader,
            enable_async_checkpointing=True,
        )
        self._manager = ocp.CheckpointManager(
            (self.run_dir / "checkpoints").resolve(),
            options=options,
            # named, so that a manager that has saved nothing yet can read what another one saved
            item_handlers={
                "params": ocp.StandardCheckpointHandler(),
                "optimizer": ocp.StandardCheckpointHandler(),
                "place": ocp.JsonCheckpointHandler(),
            },
        )

    @property
    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    def save(self, step: int, state: State, place: dict[str, Any], *, force: bool = False) -> bool:
        """Saves if `step` is on schedule (or forced); False where it was not. What failed since is raised here."""
        self._guard(self._manager.check_for_errors)
        if (step == self.latest_step) if force else not self._manager.should_save(step):
            return False
        params = join_params(state["trainable"], state["frozen"])
        sums = checksum_leaves({"params": params, "optimizer": state["optimizer"]})
        sealed = {"place": place, "checksums": sums}
        return self._guard(
            self._manager.save,
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(params),
                optimizer=ocp.args.StandardSave(state["optimizer"]),
                place=ocp.args.JsonSave({**sealed, "digest": _digest(sealed)}),
            ),
            force=force,
        )

    def restore_newest(self, state: State, trainable: tuple[str, ...]) -> tuple[State, dict[str, Any]] | None:
        """The newest state that is what was saved, None if there is none; what is not is named and set aside."""
        damages = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self.restore(state, trainable, step)
            except DamagedError as error:
                damages.append(str(error))
                continue
            for damage in damages:
                _say(f"{damage}; it is set aside in {self.run_dir / 'damaged'}, and step {step} is taken")
            self._set_aside([other for other in self._manager.all_steps() if other > step])
            return found
        if damages:
            raise CheckpointError(
                f"{self.run_dir} has no checkpoint that is whole ({'; '.join(damages)}); delete it to train anew"
            )
        return None

    def restore(self, state: State, trainable: tuple[str, ...], step: int) -> tuple[State, dict[str, Any]]:
        """The state saved at `step`, laid out like `state` (arrays or sharded shapes), and the data's place."""
        wanted = {"params": join_params(state["trainable"], state["frozen"]), "optimizer": state["optimizer"]}
        self._check(wanted, step, is_strict=True)
        restored = self._read(wanted, step)
        chosen, rest = split_params(restored["params"], trainable)
        step_array = jax.device_put(jnp.asarray(step, jnp.int32), state["step"].sharding)
        new = {"step": step_array, "trainable": chosen, "frozen": rest, "optimizer": restored["optimizer"]}
        return new, restored["place"]

    def restore_params(self, like: Params, step: int | None = None, *, keep_dtypes: bool = False) -> tuple[int, Params]:
        """The parameters alone, laid out like `like` (dtypes as saved if asked); if no step is given, of the newest."""
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps or (step is not None and step not in steps):
            have = f"it has {', '.join(map(str, sorted(steps)))}" if steps else "it has none"
            raise CheckpointError(f"{self.run_dir} has no checkpoint of step {step}; {have}")
        for tried in steps if step is None else [step]:
            saved = self._check({"params": like}, tried, is_strict=False)
            as_saved = jax.tree_util.tree_map_with_path(
                lambda path, x, saved=saved: x.update(dtype=saved[name_leaf(path)].dtype), {"params": _describe(like)}
            )
            try:
                params = self._read(as_saved, tried)["params"]
            except DamagedError as error:
                if tried == (steps[-1] if step is None else step):
                    raise
                _say(f"{error}; an older step is taken")
                continue
            if not keep_dtypes:
                params = jax.tree.map(lambda x, y: x.astype(y.dtype), params, like)
            return tried, params

    def _check(self, wanted: dict[str, Any], step: int, *, is_strict: bool) -> dict[str, Any]:
        """What was saved of `wanted` by path; an error for another shape or, if strict, another dtype."""
        try:
            metadata = self._manager.item_metadata(step)
            saved = list_leaves({item: metadata[item].tree for item in wanted})
        except Exception as error:
            self._raise_damage(step, error)
        want = list_leaves(wanted)
        # parameters first: the optimizer's leaves only follow theirs
        for path in sorted(saved.keys() | want.keys(), key=lambda path: (not path.startswith("params/"), path)):
            old, new = saved.get(path), want.get(path)
            shapes = [tuple(leaf.shape) if leaf is not None else "missing" for leaf in (old, new)]
            dtypes = [str(jnp.dtype(leaf.dtype)) if leaf is not None else "" for leaf in (old, new)]
            # parameters that another run starts from may be rounded, but not turned into numbers of another kind
            is_same = dtypes[0] == dtypes[1] or not (is_strict or {d[0] for d in dtypes} - {"f", "b"})
            if shapes[0] != shapes[1] or not is_same:
                values = shapes if shapes[0] != shapes[1] else dtypes
                item, _, name = path.partition("/")
                kind = "parameter" if item == "params" else item
                raise CheckpointError(
                    f"checkpoint {self.run_dir} step {step}: {kind} {name} is {values[0]} there and "
                    f"{values[1]} in this model; use the model config of that run"
                )
        return saved

    def _read(self, wanted: dict[str, Any], step: int) -> dict[str, Any]:
        """The items and the place of a step, as their checksums say that they were saved."""
        items = {item: ocp.args.StandardRestore(_describe(tree)) for item, tree in wanted.items()}
        try:
            restored = dict(self._manager.restore(step, args=ocp.args.Composite(**items, place=ocp.args.JsonRestore())))
        except Exception as error:
            self._raise_damage(step, error)
        sealed = dict(restored["place"])
        if sealed.pop("digest", None) != _digest(sealed):
            raise DamagedError(f"checkpoint {self.run_dir} step {step} is damaged: place is not what was saved")
        found = checksum_leaves({item: restored[item] for item in wanted})
        wrong = [path for path, value in found.items() if sealed["checksums"].get(path) != value]
        if wrong:
            raise DamagedError(
                f"checkpoint {self.run_dir} step {step} is damaged: {wrong[0]} is not what was saved"
                + (f", nor are {len(wrong) - 1} others" if wrong[1:] else "")
            )
        return {**restored, "place": sealed["place"]}

    def _raise_damage(self, step: int, error: Exception) -> NoReturn:
        """What reading raised, if it is the files' fault, as an error that names the step; else as it is."""
        cause = _find_cause(error)
        if not isinstance(cause, UNREADABLE) or str(cause).startswith(NO_DAMAGE):
            raise error
        what = f"{self.run_dir} step {step} is damaged: it cannot be read ({_flatten(cause)})"
        if jax.process_count() > 1:
            # each process reads its own part: where one alone cannot, they must not part ways
            raise CheckpointError(f"checkpoint {what}; move it out of checkpoints/ to go on from before") from error
        raise DamagedError(f"checkpoint {what}") from error

    def _set_aside(self, steps: list[int]) -> None:
        """Moves steps out of the way of those that will be saved anew."""
        if not steps:
            return
        if is_first_process():
            for step in steps:
                number, target = 0, self.run_dir / "damaged" / str(step)
                while target.exists():
                    number += 1
                    target = target.with_name(f"{step}.{number}")
                target.parent.mkdir(exist_ok=True)
                (self.run_dir / "checkpoints" / str(step)).rename(target)
        meet("damaged checkpoints are set aside")
        self._manager.reload()

    def _guard(self, save: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Runs a part of saving: what the disk refuses becomes one line."""
        try:
            return save(*args, **kwargs)
        except Exception as error:
            cause = _find_cause(error)
            if not isinstance(cause, OSError) and not OS_ERROR.search(str(cause)):
                raise
            folder = self.run_dir / "checkpoints"
            # from the disk: the manager forgets all that there is when a save fails
            whole = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
            left = f"step {whole[-1]} is whole" if whole else "none was saved before"
            raise SaveError(
                f"a checkpoint cannot be written to {folder} ({_flatten(cause)}); {left}: mend the disk, then the same "
                "command goes on"
            ) from error

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Where a run fails, what is being saved is finished first; one of several processes may wait in vain."""
        try:
            yield
        except Exception:
            if jax.process_count() == 1:
                with contextlib.suppress(Exception):
                    self._manager.wait_until_finished()
            raise

    def wait(self) -> None:
        self._guard(self._manager.wait_until_finished)

    def close(self) -> None:
        self.wait()
        self._manager.close()


def _is_news(record: logging.LogRecord) -> bool:
    """Orbax logs with its traceback, several times, what it raises afterwards."""
    return not (record.exc_info and (record.name == "asyncio" or "orbax" in record.pathname))


def _say(line: str) -> None:
    if is_first_process():
        print(line, file=sys.stderr)


def _find_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _flatten(error: BaseException) -> str:
    """One line; of TensorStore's many, what the system said."""
    code = getattr(error, "errno", None) or OS_ERROR.search(str(error))
    if code:
        return os.strerror(code if isinstance(code, int) else int(code[1]))
    return " ".join(str(error).split())[:160] or type(error).__name__


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _describe(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None)), tree)


def load_params(run_dir: str | Path, step: int | None = None) -> tuple[SpeechLMConfig, int, Params]:
    """Model config, step and parameters of a run as they were saved, on the default device."""
    config = read_model_file(run_dir)
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), describe_params(config))
    checkpoints = Checkpoints(run_dir, is_reader=True)
    step, params = checkpoints.restore_params(like, step, keep_dtypes=True)
    checkpoints.close()
    return config, step, params
