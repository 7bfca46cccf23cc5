"""Checkpoints of a run: parameters, optimizer and the data's place together, by Orbax.

run/checkpoints/<step>/{params,optimizer,place}        the last `keep` of them
run/frozen/<name>                                      what does not train, once for all of them (frozen_params.py)
run/damaged/<step>                                     what was found not to be what was saved

`place` holds, beside the data's place, a checksum of every leaf: what is restored is what was
saved, or it is named.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.checkpoints.checkpoint_contents import Saved, compare_leaves
from sift_jax.checkpoints.checkpoint_errors import (
    CheckpointError,
    DamagedError,
    SaveError,
    can_be_damage,
    flatten_cause,
    is_news,
    is_of_disk,
)
from sift_jax.checkpoints.checksums import FORMAT, checksum_leaves, list_leaves, name_leaf
from sift_jax.checkpoints.frozen_params import FrozenParams
from sift_jax.checkpoints.object_paths import make_absolute, move_folder
from sift_jax.checkpoints.run_folder import read_model_file
from sift_jax.checkpoints.train_state import State, join_params, split_params
from sift_jax.models.speech_lm import Params, SpeechLMConfig, describe_params
from sift_jax.parallel.distributed import is_first_process, meet


class Checkpoints:
    """Saves and restores the states of one run. A reader leaves alone what a writer may have
    begun."""

    def __init__(
        self,
        run_dir: str | Path,
        *,
        is_reader: bool,
        every: int = 1,
        keep: int | None = None,
        before_save: Callable[[], object] = lambda: None,
    ):
        # a path of Orbax's where it is in a bucket
        self.run_dir: Any = epath.Path(run_dir) if "://" in str(run_dir) else Path(run_dir)
        self._every, self._before_save = every, before_save
        self._frozen = FrozenParams(self.run_dir)
        # of this run's frozen parameters, which stay what they are: (name, checksums)
        self._frozen_sums: tuple[str | None, dict[str, int]] | None = None
        for name in ("absl", "asyncio"):
            logging.getLogger(name).addFilter(is_news)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            # when to save is said in save(): by itself Orbax adds the first step that it is asked
            # about
            save_interval_steps=1,
            cleanup_tmp_directories=not is_reader,
            create=not is_reader,
            enable_async_checkpointing=True,
        )
        self._manager = ocp.CheckpointManager(
            make_absolute(self.run_dir / "checkpoints"),
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

    def list_steps(self) -> list[int]:
        """Those that there is a checkpoint of, in order."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: State, place: dict[str, Any], *, force: bool = False) -> bool:
        """Saves if `step` is a multiple of `every` (or forced); False where not. What failed since
        is raised here."""
        self._guard(self._manager.check_for_errors)
        if step == self.latest_step or not (force or step % self._every == 0):
            return False
        self._before_save()
        name, frozen_sums = self._guard(self._save_frozen, state["frozen"])
        sums = checksum_leaves({"params": state["trainable"], "optimizer": state["optimizer"]})
        sealed = {
            "place": place,
            "checksums": sums | frozen_sums,
            "checksum_format": FORMAT,
            "frozen": name,
        }
        return self._guard(
            self._manager.save,
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(state["trainable"]),
                optimizer=ocp.args.StandardSave(state["optimizer"]),
                place=ocp.args.JsonSave({**sealed, "digest": digest_sealed(sealed)}),
            ),
            force=True,
        )

    def _save_frozen(self, params: Params) -> tuple[str | None, dict[str, int]]:
        """(name, checksums) of what does not train; written the first time."""
        if self._frozen_sums is None:
            sums = checksum_leaves({"params": params})
            self._frozen_sums = (self._frozen.save(params, sums) if sums else None, sums)
        return self._frozen_sums

    def restore_newest(
        self, state: State, trainable: tuple[str, ...]
    ) -> tuple[State, dict[str, Any]] | None:
        """The newest state that is what was saved, None if there is none; what is not is named and
        skipped."""
        damages = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self.restore(state, trainable, step)
            except DamagedError as error:
                damages.append(str(error))
                continue
            for damage in damages:
                _say(
                    f"{damage}; it is moved to {self.run_dir / 'damaged'}, and step {step} is taken"
                )
            self._set_aside([other for other in self._manager.all_steps() if other > step])
            return found
        if damages:
            raise CheckpointError(
                f"{self.run_dir} has no checkpoint that is whole ({'; '.join(damages)}); delete "
                "it to train from scratch"
            )
        return None

    def restore(
        self, state: State, trainable: tuple[str, ...], step: int
    ) -> tuple[State, dict[str, Any]]:
        """The state saved at `step`, laid out like `state` (arrays or sharded shapes), and the
        data's place."""
        wanted = {
            "params": join_params(state["trainable"], state["frozen"]),
            "optimizer": state["optimizer"],
        }
        saved = self._check(wanted, step, is_strict=True)
        restored = self._read(wanted, step, saved)
        chosen, rest = split_params(restored["params"], trainable)
        if saved.checksum_format != FORMAT and set(list_leaves({"params": rest})) == saved.frozen:
            # what the older rule has verified stays where it is, and has sums of the newer one from
            # now on
            self._frozen_sums = (saved.sealed["frozen"], checksum_leaves({"params": rest}))
        step_array = jax.device_put(jnp.asarray(step, jnp.int32), state["step"].sharding)
        new = {
            "step": step_array,
            "trainable": chosen,
            "frozen": rest,
            "optimizer": restored["optimizer"],
        }
        return new, restored["place"]

    def restore_params(
        self, like: Params, step: int | None = None, *, keep_dtypes: bool = False
    ) -> tuple[int, Params]:
        """The parameters alone, laid out like `like` (dtypes as saved if asked); if no step is
        given, of the newest."""
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps or (step is not None and step not in steps):
            have = f"it has {', '.join(map(str, sorted(steps)))}" if steps else "it has none"
            raise CheckpointError(f"{self.run_dir} has no checkpoint of step {step}; {have}")
        *newer, oldest = steps if step is None else [step]
        for tried in newer:
            try:
                return tried, self._read_params(like, tried, keep_dtypes)
            except DamagedError as error:
                _say(f"{error}; an older step is taken")
        return oldest, self._read_params(like, oldest, keep_dtypes)

    def _read_params(self, like: Params, step: int, keep_dtypes: bool) -> Params:
        """Those of one step."""
        saved = self._check({"params": like}, step, is_strict=False)
        as_saved = jax.tree_util.tree_map_with_path(
            lambda path, x: x.update(dtype=saved.leaves[name_leaf(path)].dtype),
            {"params": _describe(like)},
        )
        params = self._read(as_saved, step, saved)["params"]
        return params if keep_dtypes else jax.tree.map(lambda x, y: x.astype(y.dtype), params, like)

    def _look(self, items: Iterable[str], step: int) -> Saved:
        """What there is of these items."""
        sealed = self._read_sealed(step)
        try:
            metadata = self._manager.item_metadata(step)
            leaves = list_leaves({item: metadata[item].tree for item in items})
        except Exception as error:
            self._raise_damage(step, error)
        # older versions saved all of them with each step
        name = sealed.get("frozen")
        frozen = list_leaves({"params": self._frozen.describe(name)}) if name else {}
        return Saved(sealed=sealed, leaves=leaves | frozen, frozen=frozenset(frozen))

    def _check(self, wanted: dict[str, Any], step: int, *, is_strict: bool) -> Saved:
        """What was saved of `wanted` by path; an error for another shape or, if strict, another
        dtype."""
        saved = self._look(wanted, step)
        compare_leaves(saved.leaves, list_leaves(wanted), self.run_dir, step, is_strict=is_strict)
        return saved

    def _read(self, wanted: dict[str, Any], step: int, saved: Saved) -> dict[str, Any]:
        """The items and the place of a step, as their checksums say that they were saved."""
        flat = flatten_dict(_describe(wanted["params"]), sep="/")
        trained = {
            path: leaf for path, leaf in flat.items() if f"params/{path}" not in saved.frozen
        }
        own = {**wanted, "params": unflatten_dict(trained, sep="/")}
        items = {item: ocp.args.StandardRestore(_describe(tree)) for item, tree in own.items()}
        try:
            restored = dict(self._manager.restore(step, args=ocp.args.Composite(**items)))
        except Exception as error:
            self._raise_damage(step, error)
        self._compare(restored, step, saved)
        if saved.frozen:
            rest = {path: leaf for path, leaf in flat.items() if path not in trained}
            frozen = self._frozen.read(saved.sealed["frozen"], unflatten_dict(rest, sep="/"))
            self._compare({"params": frozen}, step, saved)
            restored["params"] = join_params(restored["params"], frozen)
        return {**restored, "place": saved.sealed["place"]}

    def _compare(self, items: dict[str, Any], step: int, saved: Saved) -> None:
        """Checksums of what was read against those of what was saved."""
        found = checksum_leaves(items, saved.checksum_format)
        wrong = [path for path, x in found.items() if saved.sealed["checksums"].get(path) != x]
        if not wrong:
            return
        what = f"{wrong[0]} is not what was saved" + (
            f", nor are {len(wrong) - 1} others" if wrong[1:] else ""
        )
        if wrong[0] in saved.frozen:
            raise self._frozen.make_error(saved.sealed["frozen"], what)
        raise DamagedError(f"checkpoint {self.run_dir} step {step} is damaged: {what}")

    def read_place(self, step: int) -> dict[str, Any]:
        """The data's place alone."""
        return self._read_sealed(step)["place"]

    def _read_sealed(self, step: int) -> dict[str, Any]:
        try:
            sealed = dict(
                self._manager.restore(step, args=ocp.args.Composite(place=ocp.args.JsonRestore()))[
                    "place"
                ]
            )
        except Exception as error:
            self._raise_damage(step, error)
        if sealed.pop("digest", None) != digest_sealed(sealed):
            raise DamagedError(
                f"checkpoint {self.run_dir} step {step} is damaged: place is not what was saved"
            )
        return sealed

    def _raise_damage(self, step: int, error: Exception) -> NoReturn:
        """What reading raised, if it is the files' fault, as an error that names the step; else as
        it is."""
        if not can_be_damage(error):
            raise error
        what = f"{self.run_dir} step {step} is damaged: it cannot be read ({flatten_cause(error)})"
        if jax.process_count() > 1:
            # each process reads its own part: where one alone cannot, they must not part ways
            raise CheckpointError(
                f"checkpoint {what}; move it out of checkpoints/ to resume from the step before"
            ) from error
        raise DamagedError(f"checkpoint {what}") from error

    def _set_aside(self, steps: list[int]) -> None:
        """Moves steps out of the way of those that will be saved again."""
        if not steps:
            return
        if is_first_process():
            for step in steps:
                number, target = 0, self.run_dir / "damaged" / str(step)
                while target.exists():
                    number += 1
                    target = target.with_name(f"{step}.{number}")
                target.parent.mkdir(exist_ok=True)
                move_folder(self.run_dir / "checkpoints" / str(step), target)
        meet("damaged checkpoints are moved aside")
        self._manager.reload()

    def _guard(self, save: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Runs a part of saving: what the disk refuses becomes one line."""
        try:
            return save(*args, **kwargs)
        except Exception as error:
            if not is_of_disk(error):
                raise
            folder = self.run_dir / "checkpoints"
            # from the disk: the manager forgets all that there is when a save fails
            whole = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
            left = f"step {whole[-1]} is whole" if whole else "none was saved before"
            raise SaveError(
                f"a checkpoint cannot be written to {folder} ({flatten_cause(error)}); {left}: "
                "fix the disk, then run the same command to resume"
            ) from error

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Where a run fails, what is being saved is finished first; one of several processes may
        wait in vain."""
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


def _say(line: str) -> None:
    if is_first_process():
        print(line, file=sys.stderr)


def digest_sealed(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _describe(tree: Any) -> Any:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None)),
        tree,
    )


def load_params(run_dir: str | Path, step: int | None = None) -> tuple[SpeechLMConfig, int, Params]:
    """Model config, step and parameters of a run as they were saved, on the default device."""
    config = read_model_file(run_dir)
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), describe_params(config)
    )
    checkpoints = Checkpoints(run_dir, is_reader=True)
    step, params = checkpoints.restore_params(like, step, keep_dtypes=True)
    checkpoints.close()
    return config, step, params
