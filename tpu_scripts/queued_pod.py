"""A pod of TPU VMs behind Google's queue: what is asked of it, and what is seen of it.

laptop ─► gcloud ─► queued resource ─► TPU VMs ─► host.sh on each host
                └─► bucket: attempt                                        the number of the pod that is there now
                            code/<commit>.tar.gz
                            attempts/<n>/host.env                          what host.sh shall do
                            attempts/<n>/started                           all hosts have been told to start
                            attempts/<n>/logs/<host>.log, <host>.ended.<status>

All that is known of a run lies in the bucket and with Google: another laptop can go on watching.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pod_file import Pod, PodError

ROOT = Path(__file__).resolve().parents[1]


class CommandError(Exception):
    """A command that failed: what it said."""


@dataclasses.dataclass(frozen=True)
class Shell:
    """Runs commands, or only prints them."""

    is_dry: bool = False
    say: Callable[[str], object] = print

    def run(self, words: Sequence[str], text: str | None = None) -> str:
        """What it printed; CommandError where it failed. `text` is its standard input."""
        if self.is_dry:
            self.say(f"$ {shlex.join(words)}")
            return ""
        try:
            done = subprocess.run(words, input=text, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise PodError(f"{words[0]} is not installed here; see docs/guides/pods.md") from error
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"status {done.returncode}"
            raise CommandError(f"{' '.join(words[:5])} …: {said[-400:]}")
        return done.stdout

    def show(self, words: Sequence[str]) -> None:
        """The same with its output where ours goes."""
        if self.is_dry:
            self.say(f"$ {shlex.join(words)}")
        else:
            subprocess.run(words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sight:
    """What there is of a pod at one moment."""

    attempt: int = 0
    # the state of the request, None: there is none; and why it failed
    queue: str | None = None
    reason: str = ""
    # each TPU VM's state, "" where it is gone
    nodes: dict[str, str] = dataclasses.field(default_factory=dict)
    is_started: bool = False
    # hosts that have begun, and the statuses with which runs have ended for good
    hosts: tuple[str, ...] = ()
    ends: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return bool(self.hosts) and all(self.ends.get(host) == 0 for host in self.hosts)

    @property
    def failed(self) -> tuple[str, int] | None:
        """A host whose run ended for good with another status than 0, and that status."""
        return next(((host, code) for host, code in sorted(self.ends.items()) if code), None)

    def describe(self) -> str:
        """In one line."""
        if self.queue is None:
            return "no pod"
        states = sorted(set(self.nodes.values()))
        said = [self.queue + (f" ({self.reason})" if self.reason else "")]
        if self.queue == "ACTIVE":
            said.append(f"TPU VMs {', '.join(state or 'gone' for state in states)}")
        if self.is_started:
            said.append(f"{len(self.hosts)} hosts started, {len(self.ends)} ended")
        return "; ".join(said)


class QueuedPod:
    """The pod of a file, through gcloud."""

    def __init__(self, pod: Pod, shell: Shell):
        pod.check_queued()
        self.pod, self.shell = pod, shell

    def _tpus(self, *words: str, is_alpha: bool = False) -> list[str]:
        place = [f"--zone={self.pod.zone}", f"--project={self.pod.project}"]
        return ["gcloud", *(["alpha"] if is_alpha else []), "compute", "tpus", *words, *place]

    def folder(self, attempt: int | str) -> str:
        return f"{self.pod.bucket}/attempts/{attempt}"

    # --- what is seen

    def look(self) -> Sight:
        """One look at Google's side and at the bucket."""
        said = self._describe("queued-resources", self.pod.name)
        attempt = self._read_attempt()
        seen = self._look_at_attempt(attempt) if attempt else {}
        if said is None:
            return Sight(attempt=attempt, **seen)
        state = said.get("state", {})
        reason = state.get("failedData", {}).get("error", {}).get("message", "")
        nodes = {}
        if state.get("state") == "ACTIVE":
            for node in self.pod.nodes:
                found = self._describe("tpu-vm", node)
                nodes[node] = "" if found is None else found.get("state", "UNKNOWN")
        return Sight(
            attempt=attempt, queue=state.get("state", "UNKNOWN"), reason=reason, nodes=nodes, **seen
        )

    def _describe(self, kind: str, name: str) -> dict | None:
        """What Google says of it; None where it is not there."""
        try:
            said = self.shell.run([*self._tpus(kind, "describe", name), "--format=json"])
        except CommandError as error:
            if "NOT_FOUND" in str(error) or "not found" in str(error):
                return None
            raise
        return json.loads(said or "{}")

    def _read_attempt(self) -> int:
        try:
            said = self.shell.run(["gcloud", "storage", "cat", f"{self.pod.bucket}/attempt"])
        except CommandError as error:
            if is_missing(error):
                return 0
            raise
        return int(said or 0)

    def _look_at_attempt(self, attempt: int) -> dict:
        try:
            said = self.shell.run(["gcloud", "storage", "ls", f"{self.folder(attempt)}/**"])
        except CommandError as error:
            if is_missing(error):
                return {}
            raise
        names = [line.rpartition("/")[2] for line in said.splitlines()]
        ends = [name.rsplit(".", 2) for name in names if ".ended." in name]
        return {
            "is_started": "started" in names,
            "hosts": tuple(sorted(x.removesuffix(".log") for x in names if x.endswith(".log"))),
            "ends": {host: int(code) for host, _, code in ends},
        }

    # --- what is done

    def create(self) -> int:
        """Asks Google for it; returns the attempt's number. From here on it may cost money."""
        pod = self.pod
        words = self._tpus(
            "queued-resources", "create", pod.name, is_alpha=pod.tier == "flex_start"
        )
        words += [f"--accelerator-type={pod.accelerator}", f"--runtime-version={pod.image}"]
        if pod.slices == 1:
            words.append(f"--node-id={pod.name}")
        else:
            words += [f"--node-count={pod.slices}", f"--node-prefix={pod.name}"]
        words += {
            "spot": ["--spot"],
            "reserved": ["--reserved"],
            "on_demand": [],
            "flex_start": ["--provisioning-model=flex-start", f"--max-run-duration={pod.max_run}"],
        }[pod.tier]
        attempt = self._read_attempt() + 1
        self._write(f"{pod.bucket}/attempt", f"{attempt}\n")
        self.shell.run([*words, *pod.create_flags, "--async"])
        return attempt

    def set_up(self, attempt: int) -> None:
        """Code, settings and files onto every host, and what Python needs."""
        code = self._upload_code()
        for target, source in self.pod.copies.items():
            if not source.startswith("gs://"):
                self._sync(source, f"{self.pod.bucket}/copies/{target}")
        self._write(f"{self.folder(attempt)}/host.env", write_settings(self.pod, attempt))
        name = code.rpartition("/")[2]
        steps = (
            "set -e; mkdir -p ~/sift_jax/.pod",
            f"gcloud storage cp {code} ~/sift_jax/.pod/",
            f"gcloud storage cp {self.folder(attempt)}/host.env ~/sift_jax/.pod/",
            f"tar xzf ~/sift_jax/.pod/{name} -C ~/sift_jax",
            "bash ~/sift_jax/tpu_scripts/host.sh setup",
        )
        self._on_all("; ".join(steps))

    def start(self, attempt: int) -> None:
        """The run, as a service of each host: it needs no laptop from here on."""
        self._on_all("bash ~/sift_jax/tpu_scripts/host.sh start")
        self._write(f"{self.folder(attempt)}/started", "")

    def stop(self) -> None:
        """The run saves and ends; the pod stays, and costs."""
        self._on_all("bash ~/sift_jax/tpu_scripts/host.sh stop")

    def delete(self) -> None:
        """The pod, with its TPU VMs; the bucket keeps what it has."""
        self.shell.run(
            [*self._tpus("queued-resources", "delete", self.pod.name), "--force", "--quiet"]
        )

    def read_log(self, host: str, lines: int) -> str:
        """The end of what a host has said, as far as it lies in the bucket."""
        path = f"{self.folder(self._read_attempt())}/logs/{host}.log"
        said = self.shell.run(["gcloud", "storage", "cat", path])
        return "\n".join(said.splitlines()[-lines:])

    def _on_all(self, command: str) -> None:
        for node in self.pod.nodes:
            words = [*self._tpus("tpu-vm", "ssh", node), "--worker=all", "--quiet"]
            self.shell.run([*words, *self.pod.ssh_flags, f"--command={command}"])

    def _upload_code(self) -> str:
        """The commit that is checked out; what is not committed stays here."""
        git = ["git", "-C", str(ROOT)]
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
        ).stdout.strip()
        if not commit:
            raise PodError(f"{ROOT} is no clone of git; the code that a pod runs is a commit")
        target = f"{self.pod.bucket}/code/{commit}.tar.gz"
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/{commit}.tar.gz"
            self.shell.run([*git, "archive", "--format=tar.gz", f"--output={file}", commit])
            self.shell.run(["gcloud", "storage", "cp", file, target])
        return target

    def _sync(self, source: str, target: str) -> None:
        if not Path(source).exists():
            raise PodError(f"copies has {source}, which is neither gs://… nor here")
        self.shell.run(["gcloud", "storage", "rsync", "--recursive", source, target])

    def _write(self, path: str, text: str) -> None:
        self.shell.run(["gcloud", "storage", "cp", "-", path], text=text)


def is_missing(error: CommandError) -> bool:
    """Whether gcloud storage has found nothing of that name."""
    said = str(error)
    return "matched no objects" in said or "not found" in said or "404" in said


def write_settings(pod: Pod, attempt: int) -> str:
    """What host.sh reads, in the words of bash."""
    copies = [
        word
        for target, source in pod.copies.items()
        for word in (
            source if source.startswith("gs://") else f"{pod.bucket}/copies/{target}",
            target,
        )
    ]
    lines = [
        f"folder={shlex.quote(f'{pod.bucket}/attempts/{attempt}')}",
        f"mount={shlex.quote(pod.mount)}",
        f"copies=({shlex.join(copies)})",
        f"train=({shlex.join(pod.train)})",
    ]
    lines += [f"export {name}={shlex.quote(x)}" for name, x in pod.environment.items()]
    return "\n".join(lines) + "\n"
