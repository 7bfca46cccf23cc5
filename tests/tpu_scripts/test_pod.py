"""From a laptop to a pod and back, against a gcloud and a kubectl that play what Google's would say.

play ─► fake gcloud ◄─ pod.py, babysit.py       hosts are folders: host.sh runs in them as it does on a TPU VM
"""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fake_google import make_world, read_calls, switch_off

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tpu_scripts"
sys.path.insert(0, str(SCRIPTS))

import queued_pod  # noqa: E402 - they are run from their own folder, without a package
from babysit import Babysitter, Clock, decide  # noqa: E402
from pod import main  # noqa: E402
from pod_file import PodError, read_pod  # noqa: E402
from queued_pod import QueuedPod, Shell, Sight  # noqa: E402

FILE = """
name = "sift-stage2"
project = "mine"
zone = "us-east5-b"
accelerator = "v6e-16"
bucket = "gs://mine/sift-stage2"
mount = "10.0.0.2:/share"
train = ["--gin_file=configs/stage2.gin", "--gin.OUT_DIR=/mnt/shared/runs/stage2"]
[copies]
"records/sift_50m" = "gs://mine/records"
[environment]
LIBTPU_INIT_ARGS = "--a=1 --b=2"
[gke]
image = "registry/sift_jax:1"
accelerator = "tpu-v6e-slice"
topology = "4x4"
hosts = 4
"""


def write_pod(folder, text=FILE):
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def change(old, new):
    assert old in FILE
    return FILE.replace(old, new)


# --- what is decided

RUNNING = {"queue": "ACTIVE", "nodes": {"a": "READY"}, "is_started": True}


@pytest.mark.parametrize(
    "sight, action",
    [
        ({}, "create"),
        ({"queue": "CREATING"}, "wait"),
        ({"queue": "ACCEPTED"}, "wait"),
        ({"queue": "WAITING_FOR_RESOURCES"}, "wait"),
        ({"queue": "PROVISIONING"}, "wait"),
        ({"queue": "SOMETHING_NEW"}, "wait"),
        ({"queue": "DELETING"}, "wait"),
        ({"queue": "SUSPENDING"}, "wait"),
        ({"queue": "SUSPENDED"}, "replace"),
        ({"queue": "FAILED"}, "replace"),
        ({"queue": "ACTIVE", "nodes": {"a": "CREATING"}}, "wait"),
        ({"queue": "ACTIVE", "nodes": {"a": "READY"}}, "start"),
        ({"queue": "ACTIVE", "nodes": {"a": "READY", "b": "RESTARTING"}}, "wait"),
        (RUNNING, "wait"),
        # one slice of two is enough to be lost
        ({"queue": "ACTIVE", "nodes": {"a": "READY", "b": "PREEMPTED"}}, "replace"),
        ({"queue": "ACTIVE", "nodes": {"a": "", "b": "READY"}, "is_started": True}, "replace"),
        ({"queue": "ACTIVE", "nodes": {"a": "REPAIRING"}, "is_started": True}, "wait"),
        # the run's end is known, whatever becomes of the machines
        ({"queue": "SUSPENDED", "hosts": ("x",), "ends": {"x": 0}}, "finish"),
        ({"hosts": ("x",), "ends": {"x": 0}}, "finish"),
        ({"queue": "ACTIVE", "hosts": ("x", "y"), "ends": {"x": 2}}, "give up"),
        ({**RUNNING, "hosts": ("x", "y"), "ends": {"x": 0}}, "wait"),
    ],
)
def test_what_is_done_follows_from_what_is_seen(sight, action):
    assert decide(Sight(**sight)) == action


# --- the file


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('name = "sift-stage2"', 'name = "Sift_2"', "lower-case letters"),
        ('"gs://mine/sift-stage2"', '"mine"', "give gs://BUCKET/FOLDER"),
        ('zone = "us-east5-b"', "", "zone of the pod must be given"),
        ('zone = "us-east5-b"', "zone = 3", "zone is 3"),
        ('zone = "us-east5-b"', 'zoen = "b"', "has 'zoen', which is none of name"),
        ('zone = "us-east5-b"', 'zone = "b"\ntier = "cheap"', "not one of spot, reserved"),
        ('zone = "us-east5-b"', 'zone = "b"\ntier = "flex_start"', "max_run, such as 12h"),
        ('"v6e-16"', '"tpu7x-16"', "the Cloud TPU API has no TPU7x; write a [gke] table"),
        ('"v6e-16"', '"v9-16"', "name its image as runtime"),
        ('"--gin_file=configs/stage2.gin", ', "", "train names no --gin_file"),
        ('"--gin_file=', '"--distributed", "--gin_file=', "leave it out"),
        ('"records/sift_50m" =', '"/records" =', "a path within the project's folder"),
        ("hosts = 4", "hosts = 2", "'4x4' has 16 chips and gke.hosts × gke.chips are 8"),
        ('image = "registry/sift_jax:1"', "", "[gke] lacks image"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(tmp_path, capsys, old, new, said):
    assert main(["create", str(write_pod(tmp_path, change(old, new))), "--dry_run"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ") and said in shown and shown.count("\n") == 1


def test_the_example_is_a_pod():
    pod = read_pod(SCRIPTS / "example.toml")
    assert pod.image == "v2-alpha-tpuv6e"
    # the same number of chips by either way, and files that are there
    assert pod.gke.hosts * pod.gke.chips == int(pod.accelerator.partition("-")[2])
    files = [word.partition("=")[2] for word in pod.train if word.startswith("--gin_file=")]
    assert files and all((ROOT / file).is_file() for file in files)
    with pytest.raises(PodError, match="begin with tpu_scripts/example.toml"):
        read_pod(SCRIPTS / "none.toml")


# --- what is asked of gcloud


@pytest.fixture
def world(request, tmp_path, monkeypatch):
    """Google, with one pod that comes at once and stays; a clone of git with the scripts."""
    return open_world(request, tmp_path, monkeypatch, [["ACTIVE"]] * 9, [1000])


def open_world(request, folder, monkeypatch, play, last_steps):
    for name, value in make_world(folder / "world", play, last_steps).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PAUSE_SECONDS", "0")
    request.addfinalizer(lambda: switch_off(folder / "world"))
    records = folder / "world/gs/mine/records"
    records.mkdir(parents=True)
    (records / "part").write_text("records")
    clone = folder / "clone"
    shutil.copytree(SCRIPTS, clone / "tpu_scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "requirements.lock").write_text("jax==0.10.2 \\\n")
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "made"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(queued_pod, "ROOT", clone)
    return folder / "world"


@pytest.mark.parametrize("command", ["create", "babysit", "delete", "stop", "gke apply"])
def test_nothing_that_costs_is_done_unasked(world, tmp_path, capsys, command):
    assert main([*command.split(), str(write_pod(tmp_path))]) == 2
    said = capsys.readouterr()
    assert said.err == f"error: nothing was done: {command} costs money or ends a run; add --yes\n"
    assert "$ gcloud" in said.out or "$ kubectl" in said.out
    assert read_calls(world) == []


def test_a_dry_run_prints_every_command(world, tmp_path, capsys):
    assert main(["babysit", str(write_pod(tmp_path)), "--dry_run"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "queued-resources create sift-stage2 --zone=us-east5-b --project=mine "
        "--accelerator-type=v6e-16 --runtime-version=v2-alpha-tpuv6e --node-id=sift-stage2 --spot",
        "git -C",
        "gcloud storage cp - gs://mine/sift-stage2/attempts/1/host.env",
        "--worker=all --quiet '--command=set -e; ",
        "host.sh start",
        "queued-resources delete sift-stage2 --zone=us-east5-b --project=mine --force --quiet",
    ):
        assert part in shown, part
    assert read_calls(world) == []


@pytest.mark.parametrize(
    "line, words",
    [
        ('tier = "reserved"', "tpus queued-resources create .* --node-id=sift-stage2 --reserved"),
        ('tier = "on_demand"', "tpus queued-resources create .* --node-id=sift-stage2 --async"),
        (
            'tier = "flex_start"\nmax_run = "12h"',
            "gcloud alpha compute tpus .* --provisioning-model=flex-start --max-run-duration=12h",
        ),
        ("slices = 2", "--node-count=2 --node-prefix=sift-stage2 --spot --async"),
        ('create_flags = ["--internal-ips"]', "--spot --internal-ips --async"),
        ('runtime = "mine"', "--runtime-version=mine"),
    ],
)
def test_each_kind_of_pod_is_asked_for(world, tmp_path, line, words):
    file = write_pod(tmp_path, change('zone = "us-east5-b"', f'zone = "us-east5-b"\n{line}'))
    assert main(["create", str(file), "--yes"]) == 0
    created = [call for call in read_calls(world) if "queued-resources create" in call]
    assert len(created) == 1 and re.search(words, created[0]), created


def test_a_pod_that_is_there_is_not_created_again(world, tmp_path, capsys):
    file = str(write_pod(tmp_path))
    assert main(["create", file, "--yes"]) == 0
    assert main(["create", file, "--yes"]) == 2
    assert "there is one already (ACTIVE; TPU VMs READY)" in capsys.readouterr().err


# --- what the hosts do


def test_by_hand_each_command_does_its_part(world, tmp_path, capsys):
    """create, setup, start, status, logs, delete: two slices of two hosts."""
    two = change('zone = "us-east5-b"', 'zone = "us-east5-b"\nslices = 2')
    file = str(write_pod(tmp_path, two))
    assert main(["start", file]) == 2 and "create it first" in capsys.readouterr().err
    for words in (["create", file, "--yes"], ["setup", file], ["start", file]):
        assert main(words) == 0, capsys.readouterr().err
    host = world / "hosts/sift-stage2-1-w-1/sift_jax"
    assert (host / "records/sift_50m/part").read_text() == "records"
    unit = (host.parent / "etc/sift-run.service").read_text()
    assert f"WorkingDirectory={host}\n" in unit and "KillMode=mixed" in unit
    assert main(["watch", file, "--every=0.1"]) == 0
    capsys.readouterr()
    assert main(["status", file]) == 0
    shown = capsys.readouterr().out
    assert "4 hosts started, 4 ended" in shown and shown.count("ended with status 0") == 4
    assert shown.splitlines()[-1] == "next: finish"
    assert main(["logs", file, "--host=sift-stage2-0-w-0"]) == 0
    said = capsys.readouterr().out
    assert "--distributed --gin_file=configs/stage2.gin --gin.OUT_DIR=/mnt/shared" in said
    assert "the run ended with status 0" in said
    assert main(["delete", file, "--yes"]) == 0 and main(["delete", file, "--yes"]) == 2
    # what was said stays
    assert main(["logs", file]) == 0 and capsys.readouterr().out.count("--- sift-stage2") == 4


def babysit(file, lines, **options):
    now = [datetime(2026, 3, 2, 9, 0)]

    def sleep(seconds):
        now[0] += timedelta(seconds=seconds)

    clock = Clock(now=lambda: now[0], sleep=sleep)
    options = {"every": 600.0, "most_pods": 9, "say": lines.append, "clock": clock, **options}
    return Babysitter(QueuedPod(read_pod(file), Shell()), **options).run()


@pytest.mark.parametrize(
    "ends, final, starts",
    [
        # what a restart fixes; then the config is wrong
        ("69,75,137,2", 2, 4),
        ("74", 74, 1),
        # it falls at once, again and again
        ("69", 69, 5),
    ],
)
def test_a_run_that_fails_for_good_ends_and_costs_no_more(
    world, tmp_path, monkeypatch, ends, final, starts
):
    monkeypatch.setenv("FAKE_STATUS", ends)
    monkeypatch.setenv("MOST_FALLS", "5")
    script = (ROOT / "tests/support/fake_google.py").read_text().replace("HOSTS = 2", "HOSTS = 1")
    (world / "one_host.py").write_text(script)
    for program in (world / "bin").iterdir():
        text = program.read_text().replace(
            str(ROOT / "tests/support/fake_google.py"), str(world / "one_host.py")
        )
        program.write_text(text)
    lines = []
    assert babysit(write_pod(tmp_path), lines) == final
    said = "\n".join(lines)
    assert f"the run ended with status {final} on sift-stage2-w-0:" in said
    assert f"error: ends with {final}" in said and lines[-1].endswith("the pod is deleted")
    assert len(list(world.glob("fell-*"))) == starts
    assert not json.loads((world / "state.json").read_text())["is_there"]


def test_a_pod_that_cannot_be_set_up_is_deleted_and_asked_for_again(world, tmp_path):
    (world / "no_ssh").touch()
    lines = []
    assert babysit(write_pod(tmp_path), lines, most_pods=2) == 1
    said = "\n".join(lines)
    assert said.count("Connection timed out") == 10 and "set-up failed, 5 of 5" in said
    assert lines[-1].endswith("2 pods were lost: giving up (--most_pods)")


def test_an_unreachable_google_ends_nothing(world, tmp_path):
    """Without a network gcloud fails; it is asked again."""
    program = world / "bin/gcloud"
    text = program.read_text()
    trouble = f"if [ ! -f {world}/seen ]; then touch {world}/seen; echo no route >&2; exit 1; fi\n"
    program.write_text(text.replace("exec", f"{trouble}exec"))
    lines = []
    assert babysit(write_pod(tmp_path), lines) == 0
    assert "no route; trying again" in lines[1] and lines[-1].endswith("the pod is deleted")


# --- a day

DAY = (
    ["WAITING_FOR_RESOURCES"] * 3 + ["PROVISIONING"] + ["ACTIVE"] * 5 + ["ACTIVE!warn"],
    ["WAITING_FOR_RESOURCES", "FAILED"],
    ["ACCEPTED", "PROVISIONING"] + ["ACTIVE"] * 6 + ["SUSPENDING!kill", "SUSPENDED"],
    ["WAITING_FOR_RESOURCES"] * 2 + ["PROVISIONING"] + ["ACTIVE"] * 4 + ["ACTIVE!vanish"],
    ["WAITING_FOR_RESOURCES", "PROVISIONING"] + ["ACTIVE"] * 9,
)


def test_a_day_of_a_spot_pod(request, tmp_path, monkeypatch):
    """Created, preempted thrice, refused once for want of capacity, and finished; docs/guides/pods.md
    shows what it says."""
    world = open_world(request, tmp_path, monkeypatch, DAY, [260, 0, 540, 790, 1000])
    lines = []
    assert babysit(write_pod(tmp_path), lines, every=1200.0) == 0
    page = (ROOT / "docs/guides/pods.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- a day -->\n+```\n(.*?)\n```", page, re.DOTALL)[1]
    assert shown.splitlines() == lines
    # each pod went on where the one before had saved: after a warning at its very step
    resumed = {
        last: int((world / f"resumed-sift-stage2-w-0-{last}").read_text())
        for last in (260, 540, 790, 1000)
    }
    assert resumed == {260: 0, 540: 260, 790: 500, 1000: 700}
    # the log of the warned one is whole, and lies in the bucket
    log = world / "gs/mine/sift-stage2/attempts/1/logs/sift-stage2-w-0.log"
    assert "stopped as asked: step 260 of 1000 is saved" in log.read_text()
    assert (world / "gs/mine/run/step").read_text() == "1000"
    calls = "\n".join(read_calls(world))
    assert calls.count("queued-resources create") == calls.count("queued-resources delete") == 5


# --- Kubernetes


def test_the_jobset_is_the_same_run(world, tmp_path, capsys):
    file = str(write_pod(tmp_path))
    assert main(["gke", "apply", file, "--yes"]) == 0
    made = json.loads((world / "manifest.json").read_text())
    job = made["spec"]["replicatedJobs"][0]
    assert (job["replicas"], job["template"]["spec"]["parallelism"]) == (1, 4)
    spec = job["template"]["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice",
        "cloud.google.com/gke-tpu-topology": "4x4",
        "cloud.google.com/gke-spot": "true",
    }
    run = spec["containers"][0]
    assert run["command"][:4] == ["python", "-m", "sift_jax.train", "--distributed"]
    assert run["resources"]["limits"] == {"google.com/tpu": 4}
    assert {"name": "LIBTPU_INIT_ARGS", "value": "--a=1 --b=2"} in run["env"]
    # what is copied is what is mounted, and every volume is there
    copier = spec["initContainers"][0]
    assert copier["command"][-2:] == ["gs://mine/records", "/copy"]
    assert copier["volumeMounts"][0]["subPath"] == run["volumeMounts"][0]["subPath"]
    assert run["volumeMounts"][0]["mountPath"] == "/sift_jax/records/sift_50m"
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert volumes == {mount["name"] for mount in run["volumeMounts"]}
    # a wrong config ends it, a lost machine does not
    final = job["template"]["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    assert 2 in final and not {69, 75, 137} & set(final)


@pytest.mark.parametrize(
    "status, said",
    [
        (
            {"restarts": 2, "replicatedJobsStatus": [{"active": 1, "ready": 1}]},
            "slices: 1 active, 1 ready, 0 failed; 2 restarts",
        ),
        ({"conditions": [{"type": "Completed", "status": "True"}]}, "Completed"),
        (
            {"conditions": [{"type": "Failed", "status": "True", "message": "status 2"}]},
            "Failed (status 2)",
        ),
    ],
)
def test_a_jobset_is_told_in_one_line(world, tmp_path, capsys, status, said):
    (world / "jobset.json").write_text(json.dumps({"status": status}))
    assert main(["gke", "status", str(write_pod(tmp_path))]) == 0
    assert capsys.readouterr().out == f"{said}\n"


def test_without_a_table_there_is_no_jobset(tmp_path, capsys):
    file = write_pod(tmp_path, FILE.partition("[gke]")[0])
    assert main(["gke", "manifest", str(file)]) == 2
    assert "no [gke] table" in capsys.readouterr().err


# --- SLURM and Docker


@pytest.mark.parametrize("code, is_requeued", [(0, False), (2, False), (69, True), (75, True)])
def test_slurm_queues_again_what_a_start_anew_mends(tmp_path, code, is_requeued):
    programs = {
        "scontrol": f'echo "$*" >>{tmp_path}/calls; [ "$1" = show ] && printf "n1\\nn2\\n"; true',
        "srun": f'shift; SLURM_PROCID=1 "$@" >>{tmp_path}/calls; exit {code}',
    }
    (tmp_path / "bin").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    places = {tmp_path / "bin" / name: text for name, text in programs.items()}
    for path, text in {**places, tmp_path / ".venv/bin/python": 'echo "$*"'}.items():
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    job = {"SLURM_JOB_ID": "20007", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    done = subprocess.run(
        ["/bin/bash", str(SCRIPTS / "train.slurm"), "--gin_file=configs/stage2.gin"],
        cwd=tmp_path,
        env={**os.environ, **job, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    calls = (tmp_path / "calls").read_text()
    assert (
        "-m sift_jax.train --coordinator=n1:20007 --processes=2 --gin_file=configs/stage2.gin "
        "--process_index=1\n"
    ) in calls
    assert ("requeue 20007" in calls) is is_requeued
    assert done.returncode == (0 if is_requeued else code), done.stderr


def test_the_image_has_what_is_there():
    """Every file that the Dockerfile copies exists, and is not kept out of its context."""
    text = (SCRIPTS / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    kept = (SCRIPTS / "Dockerfile.dockerignore").read_text().split()
    assert copied and all((ROOT / name).exists() and f"!{name}" in kept for name in copied)
    version = re.search(r"^jax==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[1]
    pattern = re.search(r"sed -n '(\S+.*?)' requirements.lock", text)[1]
    found = subprocess.run(
        ["sed", "-n", pattern, str(ROOT / "requirements.lock")], capture_output=True, text=True
    )
    assert found.stdout.strip() == version
