"""Stands in for gcloud, kubectl and what a TPU host has, as programs on PATH, in a folder: the world.

world/bin/{gcloud,kubectl,uv,sudo,systemctl,hostname,mountpoint}    all of them this file
world/play.json        what becomes of each pod: [["WAITING_FOR_RESOURCES", "ACTIVE", "ACTIVE!warn"], …]
world/gs/mine/…        gs://mine/…
world/hosts/<node>-w-<i>/    the home of a host; its run is world/trainer.py

Each question about the queued resource is answered by the next state of the pod's play. Behind "!"
stands what happens just before: warn (SIGTERM to all hosts, then the machines are gone), kill
(SIGKILL), vanish (the same, and nothing is known of the machines any more).
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

WORLD = Path(os.environ.get("FAKE_WORLD", "."))
HOSTS = 2
PROGRAMS = ("gcloud", "kubectl", "uv", "sudo", "systemctl", "hostname", "mountpoint")
# a training of 1000 steps that saves every 100, and waits to be preempted where its pod's play says
TRAINER = """
import os, signal, sys, time
from pathlib import Path
world = Path(os.environ["FAKE_WORLD"])
saved, host = world / "gs/mine/run/step", os.environ["FAKE_HOST"]
is_first = host.endswith("w-0")
last = int((world / "last_step").read_text())
end = os.environ.get("FAKE_STATUS", "")
def save(step):
    if is_first:
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.write_text(str(step))
def stop(*_):
    save(step)
    print(f"stopped as asked: step {step} of 1000 is saved", flush=True)
    sys.exit(75)
step = int(saved.read_text()) if saved.exists() else 0
signal.signal(signal.SIGTERM, stop)
(world / f"resumed-{host}-{last}").write_text(str(step))
print(f"resuming at step {step}: {' '.join(sys.argv[1:])}", flush=True)
if end:
    code = end.split(",")[min(len(list(world.glob("fell-*"))), end.count(","))]
    (world / f"fell-{time.time_ns()}").touch()
    print(f"error: ends with {code}", flush=True)
    sys.exit(int(code))
while step < min(last, 1000):
    step += 1
    if step % 100 == 0:
        save(step)
(world / f"reached-{host}-{last}").touch()
while step < 1000:
    time.sleep(0.02)
"""


def make_world(folder, play, last_steps=(1000,)):
    """The programs, and what becomes of the pods; `last_steps` is how far each pod trains."""
    (folder / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        path = folder / "bin" / name
        path.write_text(f'#!/bin/bash\nexec {sys.executable} -S -E {__file__} {name} "$@"\n')
        path.chmod(0o755)
    (folder / "trainer.py").write_text(TRAINER)
    (folder / "play.json").write_text(json.dumps({"play": play, "last": list(last_steps)}))
    (folder / "state.json").write_text(json.dumps({"pods": 0, "at": 0, "is_there": False}))
    (folder / "last_step").write_text("0")
    return {"FAKE_WORLD": str(folder), "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}


def read_calls(world):
    """What was asked of gcloud and kubectl, a line each."""
    path = world / "calls"
    return path.read_text().splitlines() if path.is_file() else []


def read_state():
    return json.loads((WORLD / "state.json").read_text())


def write_state(state):
    (WORLD / "state.json").write_text(json.dumps(state))


def read_play():
    return json.loads((WORLD / "play.json").read_text())


def fail(said, code=1):
    print(f"ERROR: (gcloud) {said}", file=sys.stderr)
    sys.exit(code)


def local(path):
    return WORLD / "gs" / path.removeprefix("gs://") if path.startswith("gs://") else Path(path)


# --- gcloud storage


def storage(words):
    words = [word for word in words if not word.startswith("--")]
    verb, *rest = words
    if verb == "cat":
        if not local(rest[0]).is_file():
            fail(f"The following URLs matched no objects or files: {rest[0]}")
        sys.stdout.write(local(rest[0]).read_text())
    elif verb == "ls":
        folder = local(rest[0].removesuffix("/**"))
        files = [path for path in folder.rglob("*") if path.is_file()]
        if not files:
            fail("One or more URLs matched no objects.")
        for path in sorted(files):
            print(f"gs://{path.relative_to(WORLD / 'gs')}")
    elif verb == "cp":
        source, target = rest
        place = local(target)
        place = place / Path(source).name if target.endswith("/") else place
        place.parent.mkdir(parents=True, exist_ok=True)
        if source == "-":
            place.write_bytes(sys.stdin.buffer.read())
        else:
            shutil.copyfile(local(source), place)
    elif verb == "rsync":
        if not local(rest[0]).is_dir():
            fail(f"{rest[0]} matched no objects")
        shutil.copytree(local(rest[0]), local(rest[1]), dirs_exist_ok=True)


# --- gcloud compute tpus


def pick(words, flag, default=""):
    return next((w.partition("=")[2] for w in words if w.startswith(f"--{flag}=")), default)


def queued(words):
    verb, name = words[:2]
    state = read_state()
    if verb == "create":
        if state["is_there"]:
            fail(f"ALREADY_EXISTS: {name}")
        count = int(pick(words, "node-count", "1"))
        prefix = pick(words, "node-prefix")
        nodes = [f"{prefix}-{i}" for i in range(count)] if prefix else [pick(words, "node-id")]
        play = read_play()
        last = play["last"][min(state["pods"], len(play["last"]) - 1)]
        (WORLD / "last_step").write_text(str(last))
        state = {"pods": state["pods"] + 1, "at": 0, "is_there": True}
        state |= {"nodes": dict.fromkeys(nodes, "CREATING")}
    elif not state["is_there"]:
        fail(f"NOT_FOUND: Resource {name} was not found")
    elif verb == "delete":
        end_hosts(state, signal.SIGKILL)
        state["is_there"] = False
    else:
        state = advance(state)
    write_state(state)


def advance(state):
    """The next state of this pod's play, printed as gcloud prints it."""
    play = read_play()["play"][state["pods"] - 1]
    said, _, event = play[min(state["at"], len(play) - 1)].partition("!")
    state["at"] += 1
    if said == "ACTIVE" and not event:
        # what runs has come as far as it will before anything happens to it
        await_runs(state)
        state["nodes"] = dict.fromkeys(state["nodes"], "READY")
    if event:
        end_hosts(state, signal.SIGTERM if event == "warn" else signal.SIGKILL)
        gone = "" if event == "vanish" else "PREEMPTED"
        state["nodes"] = dict.fromkeys(state["nodes"], gone)
    answer = {"state": {"state": said}}
    if said == "FAILED":
        answer["state"]["failedData"] = {"error": {"message": "no more capacity in the zone"}}
    print(json.dumps(answer))
    return state


def list_homes(state):
    return [WORLD / "hosts" / f"{node}-w-{i}" for node in state["nodes"] for i in range(HOSTS)]


def await_runs(state):
    last = (WORLD / "last_step").read_text()
    for home in list_homes(state):
        deadline = time.monotonic() + 30
        while (home / "service.pid").is_file() and time.monotonic() < deadline:
            if not is_alive(home) or (WORLD / f"reached-{home.name}-{last}").exists():
                break
            time.sleep(0.02)
        if last == "1000":
            await_end(home)


def end_hosts(state, number):
    """What happens to the machines: the runs get a signal, and their disks are gone."""
    for home in list_homes(state):
        if (home / "service.pid").is_file():
            send(home, number)
            await_end(home)
        shutil.rmtree(home, ignore_errors=True)


def switch_off(world):
    """What a test that failed has left running."""
    for path in world.glob("hosts/*/service.pid"):
        send(path.parent, signal.SIGKILL)


def send(home, number):
    pid = int((home / "service.pid").read_text())
    # a machine that is switched off takes all of its processes along
    reach = os.killpg if number == signal.SIGKILL else os.kill
    with contextlib.suppress(ProcessLookupError):
        reach(pid, number)


def is_alive(home):
    pid = (home / "service.pid").read_text()
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def await_end(home):
    deadline = time.monotonic() + 30
    while (home / "service.pid").is_file() and is_alive(home) and time.monotonic() < deadline:
        time.sleep(0.02)


def vm(words):
    verb, name = words[:2]
    state = read_state()
    status = state.get("nodes", {}).get(name, "") if state["is_there"] else ""
    if not status:
        fail(f"NOT_FOUND: {name} was not found")
    if verb == "describe":
        print(json.dumps({"name": name, "state": status}))
        return
    if (WORLD / "no_ssh").exists():
        fail("[255] Connection timed out")
    for index in range(HOSTS):
        home = WORLD / "hosts" / f"{name}-w-{index}"
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "HOME": str(home), "FAKE_HOST": home.name}
        done = subprocess.run(
            ["/bin/bash", "-c", pick(words, "command")], cwd=home, env=environment
        )
        if done.returncode:
            sys.exit(done.returncode)


# --- kubectl


def kubectl(words):
    if words[0] == "apply":
        shutil.copyfile(words[2], WORLD / "manifest.json")
        print("jobset.jobset.x-k8s.io/made configured")
    elif words[0] == "get":
        print((WORLD / "jobset.json").read_text())
    else:
        print(" ".join(words))


# --- a host


def systemctl(words):
    words = [word for word in words if not word.startswith("--")]
    verb, *names = words
    home = Path(os.environ["HOME"])
    if verb in ("restart", "stop") and (home / "service.pid").is_file():
        send(home, signal.SIGTERM)
        await_end(home)
        (home / "service.pid").unlink()
    if verb == "restart":
        text = (home / "etc" / f"{names[0]}.service").read_text()
        facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        with (home / "service.out").open("ab") as out:
            started = subprocess.Popen(
                facts["ExecStart"].split(),
                cwd=facts["WorkingDirectory"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        (home / "service.pid").write_text(str(started.pid))


def sudo(words):
    """The machine's own folders lie in its home here."""
    home = Path(os.environ["HOME"])
    (home / "etc").mkdir(exist_ok=True)
    words = [w.replace("/etc/systemd/system", str(home / "etc")) for w in words]
    words = [word.replace("/mnt/shared", str(home / "shared")) for word in words]
    if words[0] == "mount":
        words = ["true"]
    sys.exit(subprocess.run(words).returncode)


def uv(words):
    if words[0] == "venv":
        python = Path(words[-1]) / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        trainer = f"exec {sys.executable} -S -E {WORLD / 'trainer.py'}"
        # without "-m sift_jax.train", which are the first two words
        python.write_text(f'#!/bin/bash\nshift 2\n{trainer} "$@"\n')
        python.chmod(0o755)


def main():
    program, *words = sys.argv[1:]
    if program in ("gcloud", "kubectl"):
        with (WORLD / "calls").open("a") as calls:
            calls.write(" ".join([program, *words]) + "\n")
    if program == "gcloud":
        words = words[1:] if words[0] == "alpha" else words
        if words[0] == "storage":
            storage(words[1:])
        elif words[2] == "queued-resources":
            queued(words[3:])
        else:
            vm(words[3:])
    elif program == "hostname":
        print(os.environ.get("FAKE_HOST", "laptop"))
    elif program == "mountpoint":
        sys.exit(1)
    else:
        {"kubectl": kubectl, "systemctl": systemctl, "sudo": sudo, "uv": uv}[program](words)


if __name__ == "__main__":
    main()
