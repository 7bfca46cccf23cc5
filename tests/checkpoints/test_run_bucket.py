"""A run's folder in a bucket: what is copied and when, whose it is, and a run that is killed there.

run ─► gcsfs, TensorStore ─► gcp-storage-emulator, a real server of the package index (make extras)
"""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_run import make_run, write_gin

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.checkpoints.run_bucket import BucketFolder, RunFolder, open_run_folder
from sift_jax.checkpoints.run_folder import read_model_file
from sift_jax.extras import is_installed
from sift_jax.storage.folder_lock import FolderHeldError
from sift_jax.storage.mounts import find_mount, is_bucket

ROOT = Path(__file__).resolve().parents[2]
URL = "gs://mine/runs/tiny"


class Files:
    """A bucket's objects, by the four calls of fsspec that are used; `written` names what was."""

    def __init__(self):
        self.objects, self.written = {}, []

    def _strip(self, path):
        return path.removeprefix("gs://")

    def find(self, path):
        return sorted(name for name in self.objects if name.startswith(f"{self._strip(path)}/"))

    def cat_file(self, path):
        if self._strip(path) not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[self._strip(path)]

    def pipe_file(self, path, data):
        self.objects[self._strip(path)] = data
        self.written.append(path.rpartition("/")[2])

    def rm_file(self, path):
        del self.objects[self._strip(path)]


def test_what_has_changed_is_copied_whole_and_a_start_begins_with_it():
    files = Files()
    folder = BucketFolder(URL, files)
    with folder.copying():
        (folder.local / "tokenizer").mkdir()
        (folder.local / "tokenizer/tokenizer.json").write_text("{}")
        (folder.local / "metrics.jsonl").write_text("one\n")
        # a draft, the lock of this machine, and what Orbax has there itself
        (folder.local / ".metrics.jsonl.1.part").write_text("")
        (folder.local / ".lock").write_text("")
        (folder.local / "checkpoints").mkdir()
        (folder.local / "checkpoints/6").write_text("")
        folder.copy()
        assert sorted(files.written) == ["metrics.jsonl", "tokenizer.json"]
        folder.copy()
        assert len(files.written) == 2, "nothing is news"
        with (folder.local / "metrics.jsonl").open("a") as file:
            file.write("two\n")
    # the last words go with the run's end, and nothing stays on this machine
    assert files.written[2:] == ["metrics.jsonl"] and not folder.local.exists()
    files.objects["mine/runs/tiny/checkpoints/6/commit_success.txt"] = b""
    again = BucketFolder(URL, files)
    again.fetch()
    assert (again.local / "metrics.jsonl").read_text() == "one\ntwo\n"
    assert not (again.local / "checkpoints").exists()
    again.copy()
    assert len(files.written) == 3


def test_a_bucket_that_is_away_at_the_end_loses_no_line(capsys):
    folder = BucketFolder(URL, Files())
    with folder.copying():
        (folder.local / "metrics.jsonl").write_text("one\n")
        folder._files.pipe_file = lambda path, data: 1 / 0
    assert f"the last lines of {URL} stay in {folder.local}" in capsys.readouterr().err
    assert (folder.local / "metrics.jsonl").read_text() == "one\n"


def put_lease(files, **changes):
    lease = {"host": "tpu-0", "pid": 41, "since": "2026-03-01", "beat": "a", **changes}
    files.pipe_file(f"{URL}/.lease.json", json.dumps(lease).encode())


def test_a_run_that_lives_keeps_its_folder():
    files = Files()
    put_lease(files)
    folder = BucketFolder(URL, files)
    refused = r"another command writes to gs://mine/runs/tiny \(process 41 on tpu-0, since 2026"
    with (
        pytest.raises(FolderHeldError, match=refused),
        folder.hold(sleep=lambda seconds: put_lease(files, beat="b")),
    ):
        pass
    assert b"tpu-0" in files.cat_file(f"{URL}/.lease.json"), "it is left to its run"


@pytest.mark.parametrize("host", ["tpu-0", socket.gethostname()])
def test_what_a_lost_run_held_is_taken(host):
    """Of another machine when its lease has stood still; of this one when there is no such process."""
    files, slept = Files(), []
    ended = subprocess.Popen(["true"])
    ended.wait()
    put_lease(files, host=host, pid=ended.pid)
    folder = BucketFolder(URL, files)
    with folder.hold(sleep=slept.append, beat_seconds=20.0):
        lease = json.loads(files.cat_file(f"{URL}/.lease.json"))
        assert lease["pid"] == os.getpid()
    assert sum(slept) == (0 if host != "tpu-0" else 80.0)
    assert f"{URL}/.lease.json".removeprefix("gs://") not in files.objects


def test_a_lease_beats():
    files = Files()
    folder = BucketFolder(URL, files)
    with folder.hold(beat_seconds=0.02):
        deadline = time.monotonic() + 10
        while len(files.written) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(files.written) >= 3


def test_a_folder_on_a_disk_is_what_it_was(tmp_path):
    folder = open_run_folder(str(tmp_path))
    assert type(folder) is RunFolder and folder.local == folder.store == tmp_path


def test_what_is_no_place_for_a_run_is_refused(corpus, monkeypatch, tmp_path):
    with pytest.raises(
        ValueError, match="s3://mine/run is not a folder: of buckets Orbax writes to"
    ):
        make_run(corpus, "s3://mine/run")
    with pytest.raises(ValueError, match="gs://mine/records are in a bucket; copy them to each"):
        make_run(corpus, tmp_path, data={"records": "gs://mine/records"})
    with pytest.raises(CheckpointError, match="gcloud storage cp --recursive gs://mine/run runs/"):
        read_model_file("gs://mine/run")
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n"
        "mine /mnt/a\\040bucket fuse.gcsfuse rw 0 0\n"
        "10.0.0.2:/share /mnt/shared nfs4 rw 0 0\n"
    )
    assert find_mount("/mnt/shared/runs/stage2", mounts) == "nfs4"
    assert find_mount("/mnt/sharedx", mounts) == "overlay"
    assert is_bucket("/mnt/a bucket/runs", mounts) and not is_bucket("/mnt", mounts)
    with pytest.raises(ValueError, match="gs://mine/run is in a bucket, to which sift_jax.train"):
        RunFolder("gs://mine/run")
    monkeypatch.setattr("sift_jax.checkpoints.run_bucket.is_bucket", lambda folder: True)
    with pytest.raises(ValueError, match="is a bucket that is mounted as a folder"):
        open_run_folder("/mnt/bucket/run")


# --- a real server


@pytest.fixture
def server(monkeypatch):
    """The address of a server for Google's buckets, with one of them; this process's environment
    leads there."""
    if not (is_installed("gcsfs") and is_installed("gcp_storage_emulator")):
        pytest.skip("gcsfs and gcp-storage-emulator are not installed; make extras")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = ["start", "--host=127.0.0.1", f"--port={port}", "--in-memory", "--default-bucket=mine"]
    started = subprocess.Popen(
        [sys.executable, "-c", "from gcp_storage_emulator.__main__ import main; main()", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for name, value in {
        "STORAGE_EMULATOR_HOST": address,
        "TENSORSTORE_GCS_HTTP_URL": address,
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",
        "GOOGLE_CLOUD_PROJECT": "mine",
        "FSSPEC_GCS_TOKEN": "anon",
        # no question to Google of what kind the bucket is
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "NO_GCE_CHECK": "true",
    }.items():
        monkeypatch.setenv(name, value)
    yield address
    started.kill()
    started.wait()


def list_objects(address):
    url = f"{address}/storage/v1/b/mine/o?prefix=runs/"
    try:
        with urllib.request.urlopen(url) as answer:
            return {item["name"].removeprefix("runs/tiny/") for item in json.load(answer)["items"]}
    except (OSError, KeyError):
        return set()


def read_object(address, name):
    with urllib.request.urlopen(f"{address}/download/storage/v1/b/mine/o/{name}?alt=media") as said:
        return said.read()


# a module of a user's, with which a run comes to its fifth step and no further
STALL = """
import time
from sift_jax.checkpoints.checkpoint import Checkpoints

def register(context):
    save = Checkpoints.save

    def save_or_wait(self, step, *arguments, **options):
        while step == 5:
            time.sleep(1)
        return save(self, step, *arguments, **options)

    Checkpoints.save = save_or_wait
    return []
"""


def start_run(gin_file, *flags):
    return subprocess.Popen(
        [sys.executable, "-m", "sift_jax.train", f"--gin_file={gin_file}", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(gin_file.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said[-3000:]
    return said


def fetch_run(address, folder):
    """As `gcloud storage cp --recursive` brings it to a disk."""
    for name in list_objects(address):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_object(address, f"runs%2Ftiny%2F{name.replace('/', '%2F')}"))
    return folder


@pytest.mark.slow
@pytest.mark.extras
def test_a_run_in_a_bucket_is_killed_and_damaged_and_goes_on(server, corpus, trained_run, tmp_path):
    arguments = make_run(corpus, tmp_path / "run")
    arguments["run"] = dataclasses.replace(arguments["run"], out_dir=URL)
    gin_file = write_gin(tmp_path / "run.gin", arguments)
    (tmp_path / "stall.py").write_text(STALL)
    # --- killed as soon as its first checkpoint is whole
    process = start_run(gin_file, "--module_import=stall")
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if "checkpoints/3/commit_success.txt" in list_objects(server):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    assert ".lease.json" in list_objects(server), said[-3000:]
    logged = read_object(server, "runs%2Ftiny%2Fbatches.jsonl").decode().splitlines()
    assert len(logged) >= 3, "logs are never behind a checkpoint"
    assert f"resuming {URL} at step 3, batch 3" in finish(start_run(gin_file))
    compare(fetch_run(server, tmp_path / "killed"), trained_run)
    assert ".lease.json" not in list_objects(server)
    # --- a bit of the last checkpoint turns: it is moved aside, and a longer run resumes from before
    params = (tmp_path / "killed/checkpoints/6/params/ocdbt.process_0/d").iterdir()
    payload = max(params, key=lambda path: path.stat().st_size)
    data = bytearray(payload.read_bytes())
    data[len(data) // 2] ^= 1
    name = f"runs/tiny/{payload.relative_to(tmp_path / 'killed')}".replace("/", "%2F")
    url = f"{server}/upload/storage/v1/b/mine/o?uploadType=media&name={name}"
    urllib.request.urlopen(urllib.request.Request(url, bytes(data), method="POST")).close()
    said = finish(start_run(gin_file, "--gin.RunConfig.steps=9"))
    assert f"it is moved to {URL}/damaged, and step 3 is taken" in said
    left = list_objects(server)
    assert any(path.startswith("damaged/6/params/") for path in left)
    assert "damaged/6/commit_success.txt" not in left, "it cannot pass for a checkpoint"
    assert load_params(fetch_run(server, tmp_path / "longer"))[1] == 9


def compare(run_dir, other):
    """Parameters to the bit, the same batches, each step in the logs once, the same last report."""
    _, step, params = load_params(run_dir)
    assert step == 6
    jax.tree.map(np.testing.assert_array_equal, params, load_params(other)[2])
    assert (run_dir / "batches.jsonl").read_text() == (other / "batches.jsonl").read_text()
    reports = [
        [line for line in map(json.loads, (run / "metrics.jsonl").open()) if "loss" in line]
        for run in (run_dir, other)
    ]
    assert [line["step"] for line in reports[0]] == [line["step"] for line in reports[1]]
    assert reports[0][-1]["loss"] == reports[1][-1]["loss"]
