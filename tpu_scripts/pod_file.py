"""What a pod is and runs: a TOML file of the user's, read and checked.

name = "sift-stage2"                      project, zone, accelerator = "v6e-64", tier = "spot"
bucket = "gs://mine/sift-stage2"          code, settings, logs and ends of attempts lie there
train = ["--gin_file=configs/stage2.gin", "--gin.OUT_DIR=/mnt/shared/runs/stage2"]
[copies]                                  what every host has on its disk before it starts
"records/sift_50m" = "gs://mine/records/sift_50m"
[gke]                                     only for Kubernetes: image, accelerator, topology, hosts
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
import typing
from pathlib import Path

# images of Google's documentation, by the beginning of the accelerator's name
RUNTIMES = {
    "v6e": "v2-alpha-tpuv6e",
    "v5p": "v2-alpha-tpuv5",
    "v5litepod": "v2-alpha-tpuv5-lite",
    "v4": "tpu-ubuntu2204-base",
}
TIERS = ("spot", "reserved", "on_demand", "flex_start")
NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PodError(Exception):
    """What the user can fix: one line, status 2."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gke:
    """What Kubernetes is asked for: `hosts` machines a slice, each with `chips`."""

    image: str
    accelerator: str
    topology: str
    hosts: int
    chips: int = 4
    disk_gb: int = 200
    # of Google's IAM, so that pods may read and write the bucket
    service_account: str = "default"
    # a queue of Kueue's
    queue: str = ""
    restarts: int = 100

    def __post_init__(self) -> None:
        sides = [int(side) for side in re.findall(r"\d+", self.topology)]
        count = 1
        for side in sides:
            count *= side
        if not sides or count != self.hosts * self.chips:
            raise PodError(
                f"gke.topology {self.topology!r} has {count if sides else 'no'} chips and gke.hosts "
                f"× gke.chips are {self.hosts * self.chips}; make them the same"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod and the run on it."""

    name: str
    bucket: str
    train: tuple[str, ...]
    project: str = ""
    zone: str = ""
    accelerator: str = ""
    # the image of the machines; empty: what Google names for the accelerator
    runtime: str = ""
    tier: str = "spot"
    slices: int = 1
    # with flex_start: for how long, such as 12h
    max_run: str = ""
    # an NFS share, server:/path, which every host sees at /mnt/shared
    mount: str = ""
    copies: dict[str, str] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    # words for gcloud that no field has: --service-account=…, --internal-ips, --tunnel-through-iap
    create_flags: tuple[str, ...] = ()
    ssh_flags: tuple[str, ...] = ()
    gke: Gke | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise PodError(
                f"name {self.name!r} is none that Google takes; give up to 40 lower-case letters, "
                "digits and hyphens, a letter first"
            )
        if not re.fullmatch(r"gs://[^/]+(/.*)?", self.bucket) or self.bucket.endswith("/"):
            raise PodError(f"bucket {self.bucket!r} is none; give gs://BUCKET/FOLDER")
        if self.tier not in TIERS:
            raise PodError(f"tier {self.tier!r} is not one of {', '.join(TIERS)}")
        if (self.tier == "flex_start") != bool(self.max_run):
            raise PodError("max_run, such as 12h, goes with tier flex_start and with no other")
        if self.slices < 1:
            raise PodError(f"slices is {self.slices}; give 1 or more")
        if not any(word.startswith("--gin_file=") for word in self.train):
            raise PodError(
                "train names no --gin_file=…; give the flags of python -m sift_jax.train"
            )
        for word in self.train:
            if re.match(r"--(distributed|coordinator|process)", word):
                raise PodError(f"train has {word}; the hosts add it themselves, leave it out")
        for variable in self.environment:
            if not VARIABLE.fullmatch(variable):
                raise PodError(f"environment has {variable!r}, which no shell takes for a name")
        for target in self.copies:
            if target.startswith(("/", "~")) or ".." in Path(target).parts:
                raise PodError(f"copies to {target!r}; give a path within the project's folder")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The TPU VMs by the names that Google gives them: one a slice."""
        if self.slices == 1:
            return (self.name,)
        return tuple(f"{self.name}-{index}" for index in range(self.slices))

    @property
    def image(self) -> str:
        return self.runtime or RUNTIMES[self.accelerator.partition("-")[0]]

    def check_queued(self) -> None:
        """An error where Google's queue of TPU VMs cannot have it."""
        missing = [key for key in ("project", "zone", "accelerator") if not getattr(self, key)]
        if missing:
            raise PodError(f"{', '.join(missing)} of the pod must be given for a TPU VM")
        kind = self.accelerator.partition("-")[0]
        if kind.startswith("tpu7") or kind.startswith("v7"):
            raise PodError(
                f"accelerator {self.accelerator}: the Cloud TPU API has no TPU7x; write a [gke] "
                "table and use pod.py gke"
            )
        if not self.runtime and kind not in RUNTIMES:
            raise PodError(
                f"accelerator {self.accelerator} is unknown here; name its image as runtime, or "
                f"take one of {', '.join(f'{name}-N' for name in RUNTIMES)}"
            )

    def get_gke(self) -> Gke:
        if self.gke is None:
            raise PodError("the pod's file has no [gke] table: image, accelerator, topology, hosts")
        return self.gke


def _check_types(cls: type, values: dict, where: str) -> dict:
    """The values as the class takes them; an error for a key that it does not know."""
    hints = typing.get_type_hints(cls)
    needed = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
    }
    if unknown := sorted(set(values) - set(hints)):
        raise PodError(f"{where} has {unknown[0]!r}, which is none of {', '.join(hints)}")
    if missing := sorted(needed - set(values)):
        raise PodError(f"{where} lacks {', '.join(missing)}")
    checked = {}
    for key, value in values.items():
        hint = hints[key]
        if hint == tuple[str, ...]:
            is_right = isinstance(value, list) and all(isinstance(word, str) for word in value)
            value = tuple(value) if is_right else value
        elif hint == dict[str, str]:
            is_right = isinstance(value, dict) and all(isinstance(x, str) for x in value.values())
        elif hint in (str, int):
            is_right = type(value) is hint
        else:
            is_right = isinstance(value, Gke)
        if not is_right:
            raise PodError(f"{where}: {key} is {value!r}, which is no {hint}")
        checked[key] = value
    return checked


def read_pod(path: Path) -> Pod:
    """The pod of a file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PodError(f"{path} does not exist; begin with tpu_scripts/example.toml") from error
    except tomllib.TOMLDecodeError as error:
        raise PodError(f"{path} is no TOML ({error})") from error
    if isinstance(values.get("gke"), dict):
        values["gke"] = Gke(**_check_types(Gke, values["gke"], f"{path} [gke]"))
    return Pod(**_check_types(Pod, values, str(path)))
