"""What a run of a sweep was made with, as one short name.

    version · commands that prepare · the resolved configs of its starts, its training, its evaluation ─► "3f9c0a…"

Configs are resolved as their commands would resolve them, so that a comment, an include or a knob's
name changes nothing, and a value does; a field that was added since counts where it is not as
before. Where the sweep lies and which seed it is are left out: the same run has the same digest on
every machine, and all seeds of an arm have one. What code does is in no config: whoever changes it
so that figures move raises `ResultsConfig.version`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Mapping
from typing import Any

from sift_jax.cli import build_arguments
from sift_jax.sweeps.plan import Job, SweepConfig, list_stages

_RUNS = {
    "sift_jax.train": ("sift_jax.training.loop", "train"),
    "sift_jax.evaluate": ("sift_jax.evaluation.evaluate", "evaluate"),
}
# any place will do, as long as it is always the same
_PLACE, _SEED = "OUT", 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digests:
    # arm → digest of all that it is made with
    arms: dict[str, str]
    # Job.kind → digest of what that job alone is given
    jobs: dict[str, str]


def find_digests(sweep: SweepConfig, version: int) -> Digests:
    """Of the arms that are chosen, and of their jobs."""
    plain = dataclasses.replace(sweep, out_dir=_PLACE, seeds=(_SEED,))
    found = Digests(arms={}, jobs={})
    for arm in plain.chosen:
        made: list[str] = []
        for stage in list_stages(plain, {(arm, _SEED)}):
            for job in (job for chain in stage for job in chain.jobs):
                if job.kind not in found.jobs:
                    found.jobs[job.kind] = _hash(f"version {version}\n{_resolve(job)}")
                made.append(found.jobs[job.kind])
        found.arms[arm] = _hash("\n".join(made))
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _resolve(job: Job) -> str:
    """The command itself, or of a training and an evaluation what it would be given."""
    module = job.command[2] if len(job.command) > 2 else ""
    if module not in _RUNS:
        return " ".join(job.command)
    name, function = _RUNS[module]
    flags = [word.partition("=") for word in job.command[3:]]
    arguments = build_arguments(
        getattr(importlib.import_module(name), function),
        [value for flag, _, value in flags if flag == "--gin_file"],
        [
            f"{flag.removeprefix('--gin.')} = {value}"
            for flag, _, value in flags
            if flag != "--gin_file"
        ],
        say=lambda note: None,
    )
    return f"{module} {describe_value(arguments)}"


def describe_value(value: Any) -> str:
    """A config as text, without the fields that have the value of the time before them: a new field
    changes no digest where it changes nothing."""
    if dataclasses.is_dataclass(value):
        told = {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
            if "before" not in field.metadata
            or getattr(value, field.name) != field.metadata["before"]
        }
        return f"{type(value).__name__}{describe_value(told)}"
    if isinstance(value, Mapping):
        pairs = sorted((str(key), describe_value(inner)) for key, inner in value.items())
        return "{" + ", ".join(f"{key}: {inner}" for key, inner in pairs) + "}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(describe_value, value)) + ")"
    return repr(value)
