"""From a laptop to a TPU pod and back: one entry, which needs Python 3.11, git and gcloud alone.

    python tpu_scripts/pod.py babysit mine.toml --yes     create, set up, start, re-create …, delete
    python tpu_scripts/pod.py status mine.toml            one look
    python tpu_scripts/pod.py logs mine.toml              what the hosts say, after their end as well
    python tpu_scripts/pod.py gke apply mine.toml --yes   the same run on Kubernetes
    … --dry_run                                           every command, and none of them run

What may cost money, or ends a run, is asked for twice: without --yes it is printed and not done.
docs/guides/pods.md goes through it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from babysit import Babysitter, check_new, decide
from jobset import describe_jobset, list_kubectl, make_jobset
from pod_file import Pod, PodError, read_pod
from queued_pod import CommandError, QueuedPod, Shell, Sight

# what may cost money, or ends a run
ASKED_TWICE = ("create", "babysit", "delete", "stop", "gke apply", "gke delete")
QUEUED = {
    "create": "ask Google for the pod",
    "setup": "copy code, data and weights to all hosts, and install Python",
    "start": "start the run on all hosts, as a service",
    "watch": "look until the run has ended or the pod is lost, and do nothing",
    "status": "look once",
    "logs": "print the end of the hosts' logs",
    "stop": "let the run save and end; the pod stays",
    "babysit": "all of it: create, set up, start, re-create after preemption, delete at the end",
    "delete": "delete the pod",
}
GKE = ("manifest", "apply", "status", "logs", "delete")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pod.py", description="Runs sift_jax on a TPU pod.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, what: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=what, description=what)
        if name == "gke":
            command.add_argument("action", choices=GKE)
        command.add_argument("file", type=Path, help="the pod's TOML file; see example.toml")
        command.add_argument("--dry_run", action="store_true", help="print every command, run none")
        command.add_argument("--yes", action="store_true", help="yes, do it: it may cost money")
        return command

    for name, what in QUEUED.items():
        command = add(name, what)
        if name in ("babysit", "watch"):
            command.add_argument("--every", type=float, default=60.0, help="seconds between looks")
        if name == "babysit":
            command.add_argument("--most_pods", type=int, default=50, help="give up after so many")
        if name == "logs":
            command.add_argument("--host", default="", help="of this host alone")
            command.add_argument("--lines", type=int, default=20)
    add("gke", "the same run on Kubernetes, as a JobSet")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    flags = make_parser().parse_args(words)
    name = f"gke {flags.action}" if flags.command == "gke" else flags.command
    try:
        pod = read_pod(flags.file)
        if name in ASKED_TWICE and not flags.yes and not flags.dry_run:
            flags.dry_run = True
            do(name, pod, flags)
            raise PodError(f"nothing was done: {name} costs money or ends a run; add --yes")
        return do(name, pod, flags)
    except (PodError, CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped watching; the pod goes on, and costs", file=sys.stderr)
        return 130


def do(name: str, pod: Pod, flags: argparse.Namespace) -> int:
    shell = Shell(is_dry=flags.dry_run)
    if name.startswith("gke "):
        return do_on_gke(name.removeprefix("gke "), pod, shell)
    queued = QueuedPod(pod, shell)
    if flags.dry_run:
        show_commands(name, queued)
        return 0
    if name == "create":
        check_new(queued.look())
        print(f"attempt {queued.create()} is asked for")
    elif name == "babysit":
        return Babysitter(queued, every=flags.every, most_pods=flags.most_pods).run()
    elif name == "watch":
        return watch(queued, flags.every)
    elif name == "logs":
        show_logs(queued, flags.host, flags.lines)
    elif name == "status":
        show_status(queued.look())
    else:
        run_on(queued, name)
    return 0


def run_on(queued: QueuedPod, name: str) -> None:
    """What acts on a pod that is there."""
    sight = queued.look()
    if sight.queue is None:
        raise PodError(f"there is no pod {queued.pod.name}; create it first")
    if name == "delete":
        queued.delete()
    elif name == "stop":
        queued.stop()
    elif decide(sight) == "replace" or sight.queue != "ACTIVE":
        raise PodError(f"the pod cannot be used now: {sight.describe()}")
    elif name == "setup":
        queued.set_up(sight.attempt)
    else:
        queued.start(sight.attempt)
    print(f"{name}: done")


def show_commands(name: str, queued: QueuedPod) -> None:
    """The commands of one life of a pod, or of one command."""
    steps = {
        "create": queued.create,
        "setup": lambda: queued.set_up(1),
        "start": lambda: queued.start(1),
        "status": queued.look,
        "watch": queued.look,
        "logs": lambda: queued.read_log("HOST", 20),
        "stop": queued.stop,
        "delete": queued.delete,
    }
    whole = ("create", "status", "setup", "start", "status", "delete")
    for step in whole if name == "babysit" else (name,):
        print(f"# {step}")
        steps[step]()


def show_status(sight: Sight) -> None:
    print(f"attempt {sight.attempt}: {sight.describe()}")
    for node, state in sight.nodes.items():
        print(f"    {node}: {state or 'gone'}")
    for host in sight.hosts:
        code = sight.ends.get(host)
        print(f"    {host}: {'running' if code is None else f'ended with status {code}'}")
    print(f"next: {decide(sight)}")


def show_logs(queued: QueuedPod, host: str, lines: int) -> None:
    sight = queued.look()
    hosts = [host] if host else list(sight.hosts)
    if not hosts:
        raise PodError(f"no host has written a log in attempt {sight.attempt}")
    for name in hosts:
        print(f"--- {name}")
        print(queued.read_log(name, lines))


def watch(queued: QueuedPod, every: float) -> int:
    """The run's status at its end; 1 where the pod is lost."""
    said = ""
    while True:
        sight = queued.look()
        if sight.describe() != said:
            said = sight.describe()
            print(f"{time.strftime('%F %T')} {said}", flush=True)
        action = decide(sight)
        if action == "give up" and sight.failed:
            return sight.failed[1]
        if action in ("finish", "create", "replace"):
            return 0 if action == "finish" else 1
        time.sleep(every)


def do_on_gke(action: str, pod: Pod, shell: Shell) -> int:
    manifest = json.dumps(make_jobset(pod), indent=2)
    if action == "manifest":
        print(manifest)
        return 0
    if action == "status" and not shell.is_dry:
        print(describe_jobset(json.loads(shell.run(list_kubectl(pod, "status", "")))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{pod.name}.json"
        file.write_text(manifest, encoding="utf-8")
        words = list_kubectl(pod, action, file)
        if action == "apply":
            for target, source in pod.copies.items():
                if not source.startswith("gs://"):
                    place = f"{pod.bucket}/copies/{target}"
                    shell.run(["gcloud", "storage", "rsync", "--recursive", source, place])
        if shell.is_dry:
            print(f"$ {shlex.join(words)}")
        else:
            print(shell.run(words), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
