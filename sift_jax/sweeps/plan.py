"""Which processes a sweep consists of, and in which order.

    prepare            one after the other
    starts             trainings that arms start from          out/runs/<start>.<first seed>/
    arms × seeds       a training, then its evaluation         out/runs/<arm>.<seed>/   out/evaluations/<arm>.<seed>/

In whatever is given {out}, {arm}, {seed} and {first_seed} are filled in.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from sift_jax.field_ranges import CheckedConfig, Count, Items, MayBeEmpty, Seed, Text, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepConfig(CheckedConfig):
    """The runs of a sweep. Names are `arm`s; each has the bindings that it differs by from its gin
    files."""

    out_dir: Text
    # command lines, and what stands in them for {name} besides {out}: where corpora lie, which
    # server writes
    prepare: tuple[Text, ...]
    words: Mapping[Text, MayBeEmpty]
    start_files: tuple[Text, ...]
    starts: Mapping[Text, Mapping[Text, Value]]
    train_files: tuple[Text, ...]
    arms: Annotated[Mapping[Text, Mapping[Text, Value]], Items(least=1)]
    # the arms that are run, and the starts that they need; () for all
    only: tuple[Text, ...]
    evaluate_files: tuple[Text, ...]
    # what all trainings of arms, and all evaluations, are given besides
    train_bindings: Mapping[Text, Value]
    evaluate_bindings: Mapping[Text, Value]
    seeds: Annotated[tuple[Seed, ...], Items(least=1, is_distinct=True)]
    # processes at a time, which then share the cores; 1 leaves all devices to each
    parallel: Count

    def __post_init__(self) -> None:
        super().__post_init__()
        if twice := sorted(self.arms.keys() & self.starts.keys()):
            raise ValueError(
                f"{twice[0]!r} is both an arm and a start of this sweep; rename one of them"
            )
        if unknown := sorted(set(self.only) - self.arms.keys()):
            raise ValueError(
                f"ARMS names {unknown[0]!r}, which is no arm here; they are {', '.join(self.arms)}"
            )
        for name in (*self.arms, *self.starts):
            if not name.replace("_", "").isalnum():
                raise ValueError(f"{name!r} is no name for an arm; use letters, digits and _")

    @property
    def chosen(self) -> dict[str, Mapping[str, object]]:
        return {
            name: given for name, given in self.arms.items() if not self.only or name in self.only
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A process; jobs of one chain follow each other."""

    name: str
    command: tuple[str, ...]


def list_stages(sweep: SweepConfig) -> list[list[list[Job]]]:
    """Stages, each of chains that may run side by side, each of jobs."""
    prepare = [
        Job(name=f"prepare.{number}", command=tuple(shlex.split(_fill_line(line, sweep))))
        for number, line in enumerate(sweep.prepare)
    ]
    # once: as weights that are published, they are the same for all
    arms = [
        [
            _train(sweep, name, seed, sweep.train_files, {**sweep.train_bindings, **given}),
            _evaluate(sweep, name, seed),
        ]
        for seed in sweep.seeds
        for name, given in sweep.chosen.items()
    ]
    words = [word for chain in arms for word in chain[0].command]
    starts = []
    for name, given in sweep.starts.items():
        folder = place_run(sweep, name, sweep.seeds[0])
        if any(repr(str(folder)) in word for word in words):
            starts.append([_train(sweep, name, sweep.seeds[0], sweep.start_files, given)])
    return [[prepare], starts, arms]


def _fill_line(line: str, sweep: SweepConfig) -> str:
    try:
        return line.format(out=shlex.quote(sweep.out_dir), **sweep.words)
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"{line!r} in PREPARE asks for {error}, and known are out, {', '.join(sweep.words)}; "
            "see SweepConfig.words"
        ) from None


def _train(
    sweep: SweepConfig, name: str, seed: int, files: tuple[str, ...], bindings: Mapping[str, Any]
) -> Job:
    given = {"OUT_DIR": str(place_run(sweep, name, seed)), "SEED": seed, **bindings}
    return Job(name=f"train.{name}.{seed}", command=_call("train", files, given, sweep, name, seed))


def _evaluate(sweep: SweepConfig, name: str, seed: int) -> Job:
    given = {
        "OUT_DIR": str(place_evaluation(sweep, name, seed)),
        "CHECKPOINT": str(place_run(sweep, name, seed)),
        **sweep.evaluate_bindings,
    }
    return Job(
        name=f"evaluate.{name}.{seed}",
        command=_call("evaluate", sweep.evaluate_files, given, sweep, name, seed),
    )


def _call(
    what: str,
    files: tuple[str, ...],
    bindings: Mapping[str, Any],
    sweep: SweepConfig,
    name: str,
    seed: int,
) -> tuple[str, ...]:
    def fill(value: Any) -> Any:
        known = {"out": sweep.out_dir, "arm": name, "seed": seed, "first_seed": sweep.seeds[0]}
        return value.format(**known) if isinstance(value, str) else value

    flags = [f"--gin.{key}={fill(value)!r}" for key, value in bindings.items()]
    return ("python", "-m", f"sift_jax.{what}", *(f"--gin_file={path}" for path in files), *flags)


def place_run(sweep: SweepConfig, name: str, seed: int) -> Path:
    return Path(sweep.out_dir) / "runs" / f"{name}.{seed}"


def place_evaluation(sweep: SweepConfig, name: str, seed: int) -> Path:
    return Path(sweep.out_dir) / "evaluations" / f"{name}.{seed}"
