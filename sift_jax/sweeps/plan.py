"""Which processes a sweep consists of, and in which order.

    prepare            one after the other, behind them what some arms alone need
    starts             trainings that arms start from          out/runs/<start>.<seed>/
    arms × seeds       a training, then its evaluation         out/runs/<arm>.<seed>/   out/evaluations/<arm>.<seed>/

In whatever is given {out}, {arm}, {seed} and {first_seed} are filled in, in the names of gin files
{arm}. A start is trained for each seed whose folder an arm, or a later start, names: with
{out}/runs/hear.{seed} each seed hears by itself, with {out}/runs/hear.{first_seed} all arms share
one. Arms go one after the other, each with all of its seeds: a sweep that is stopped early has fewer
arms, and no arm of fewer seeds.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping
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
    # and those that some arms alone need, so that other arms have nothing to do with them
    arm_prepare: Mapping[Text, tuple[Text, ...]] = dataclasses.field(metadata={"before": {}})
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
    # and the evaluations of some arms
    evaluate_arms: Mapping[Text, Mapping[Text, Value]]
    seeds: Annotated[tuple[Seed, ...], Items(least=1, is_distinct=True)]
    # processes at a time, which then share the cores; 1 leaves all devices to each
    parallel: Count

    def __post_init__(self) -> None:
        super().__post_init__()
        if twice := sorted(self.arms.keys() & self.starts.keys()):
            raise ValueError(
                f"{twice[0]!r} is both an arm and a start of this sweep; rename one of them"
            )
        named = {
            "ARMS": self.only,
            "evaluate_arms": self.evaluate_arms,
            "arm_prepare": self.arm_prepare,
        }
        for where, names in named.items():
            if unknown := sorted(set(names) - self.arms.keys()):
                raise ValueError(
                    f"{where} names {unknown[0]!r}, which is not an arm here; they are "
                    f"{', '.join(self.arms)}"
                )
        for name in (*self.arms, *self.starts):
            if not name.replace("_", "").isalnum():
                raise ValueError(f"{name!r} is not a name for an arm; use letters, digits and _")

    @property
    def chosen(self) -> dict[str, Mapping[str, object]]:
        return {
            name: given for name, given in self.arms.items() if not self.only or name in self.only
        }

    @property
    def runs(self) -> list[tuple[str, int]]:
        """All that are wanted, in their order: (arm, seed)."""
        return [(arm, seed) for arm in self.chosen for seed in self.seeds]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A process."""

    # what · whose · of which seed: "train.hear.0"
    name: str
    command: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The same for all seeds."""
        what, _, whose = self.name.partition(".")
        return self.name if what == "prepare" else f"{what}.{whose.partition('.')[0]}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chain:
    """Jobs that follow each other; those of an arm's run end in a result."""

    jobs: tuple[Job, ...]
    run: tuple[str, int] | None = None


def list_stages(
    sweep: SweepConfig, runs: Collection[tuple[str, int]] | None = None
) -> list[list[Chain]]:
    """Stages, each of chains that may run side by side; of some runs alone, with what they need."""
    wanted = sweep.runs if runs is None else [run for run in sweep.runs if run in runs]
    lines = {f"prepare.{number}": line for number, line in enumerate(sweep.prepare)}
    for arm in dict.fromkeys(arm for arm, _ in wanted):
        own = sweep.arm_prepare.get(arm, ())
        lines |= {f"prepare.{arm}.{number}": line for number, line in enumerate(own)}
    prepare = tuple(
        Job(name=name, command=tuple(shlex.split(_fill_line(line, sweep))))
        for name, line in lines.items()
    )
    arms = [
        Chain(
            jobs=(
                _train(
                    sweep, arm, seed, sweep.train_files, {**sweep.train_bindings, **sweep.arms[arm]}
                ),
                _evaluate(sweep, arm, seed),
            ),
            run=(arm, seed),
        )
        for arm, seed in wanted
    ]
    return [[Chain(jobs=prepare)], _list_starts(sweep, [chain.jobs[0] for chain in arms]), arms]


def _list_starts(sweep: SweepConfig, arms: list[Job]) -> list[Chain]:
    """The starts that these trainings name, and those that those name, each behind what it starts
    from."""
    made = {
        (name, seed): _train(sweep, name, seed, sweep.start_files, given)
        for name, given in sweep.starts.items()
        for seed in sweep.seeds
    }
    needed: dict[tuple[str, int], Job] = {}
    namers = list(arms)
    for place, job in reversed(made.items()):
        if any(_names(other, place_run(sweep, *place)) for other in namers):
            needed[place] = job
            namers.append(job)
    chains: list[list[Job]] = []
    for place, job in made.items():
        if place not in needed:
            continue
        # a start that is named within another goes before it, in one chain
        before = [
            chain
            for chain in chains
            if any(_names(job, place_run(sweep, *_place_of(other))) for other in chain)
        ]
        if before:
            before[0].append(job)
        else:
            chains.append([job])
    return [Chain(jobs=tuple(chain)) for chain in chains]


def _place_of(job: Job) -> tuple[str, int]:
    _, name, seed = job.name.split(".")
    return name, int(seed)


def _names(job: Job, folder: Path) -> bool:
    """Whether a training starts from this run."""
    return any(
        repr(str(folder)) in word for word in job.command if not word.startswith("--gin.OUT_DIR=")
    )


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
        **sweep.evaluate_arms.get(name, {}),
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

    paths = [f"--gin_file={path.format(arm=name)}" for path in files]
    flags = [f"--gin.{key}={fill(value)!r}" for key, value in bindings.items()]
    return ("python", "-m", f"sift_jax.{what}", *paths, *flags)


def place_run(sweep: SweepConfig, name: str, seed: int) -> Path:
    return Path(sweep.out_dir) / "runs" / f"{name}.{seed}"


def place_evaluation(sweep: SweepConfig, name: str, seed: int) -> Path:
    return Path(sweep.out_dir) / "evaluations" / f"{name}.{seed}"
