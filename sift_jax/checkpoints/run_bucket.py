"""A run whose folder is in a bucket: OUT_DIR = gs://mine/runs/stage2.

    gs://mine/runs/stage2/checkpoints/, frozen/     written and read by Orbax, each whole once its commit file is there
    gs://mine/runs/stage2/metrics.jsonl, …          copies of what the run writes on this machine's disk
    gs://mine/runs/stage2/.lease.json               {"host", "pid", "since", "beat"} of the run that has it

An object can be neither appended to nor renamed. So logs are written to a folder of this process
alone, and each file that has changed is copied whole: every minute, before each checkpoint, so that
the bucket's logs are never behind its checkpoints, and at the end. A start begins with what the
bucket has.

A lease is what a lock is on a disk: its beat moves while its run lives. Who finds one waits until
it has stood still for LEASE_SECONDS; one that moves belongs to a run that lives, and is left to it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from etils import epath

from sift_jax.extras import MissingExtraError, import_extra, is_installed, say_install
from sift_jax.storage.folder_lock import FolderHeldError
from sift_jax.storage.mounts import is_bucket
from sift_jax.storage.whole_files import DRAFT

SCHEME = "gs://"
LEASE = ".lease.json"
BEAT_SECONDS, LEASE_SECONDS = 20.0, 75.0
COPY_SECONDS = 60.0
# what Orbax has in the bucket, and what is this machine's alone
NOT_COPIED = ("checkpoints", "frozen", "damaged", ".lock", LEASE)
# large, and begun again by each start
NOT_FETCHED = (*NOT_COPIED, "tensorboard", "profile")


class RunFolder:
    """A run's folder on a disk: all that it writes lies in one place. One that is only described is
    never written to."""

    def __init__(self, name: str, *, is_described: bool = False):
        if "://" in name and not is_described:
            raise ValueError(
                f"{name} is in a bucket, to which sift_jax.train alone writes; set OUT_DIR to a "
                "file system that all processes share (NFS, Lustre)"
            )
        self.name = name
        # where files are written, and where checkpoints lie
        self.local = Path(name)
        self.store: Any = Path(name)

    def hold(self) -> contextlib.AbstractContextManager[Any]:
        """What process 0 holds beside the lock of the local folder."""
        return contextlib.nullcontext()

    def copying(self) -> contextlib.AbstractContextManager[Any]:
        """Around the run: what it writes gets to where it belongs."""
        return contextlib.nullcontext()

    def fetch(self) -> None:
        """What the folder has, onto this machine's disk."""

    def copy(self) -> None:
        """What has changed on this machine's disk, to where it belongs."""


class BucketFolder(RunFolder):
    """A run's folder in a bucket, of which this process has a copy."""

    def __init__(self, url: str, files: Any = None):
        super().__init__(url.rstrip("/"), is_described=True)
        self._files = files if files is not None else _open_bucket()
        self.store = epath.Path(self.name)
        self._root = Path(tempfile.mkdtemp(prefix="sift_jax-"))
        self.local = self._root / self.name.removeprefix(SCHEME)
        self.local.mkdir(parents=True)
        # of each file, what it was when both sides had the same
        self._known: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    # --- files

    def fetch(self) -> None:
        with self._lock:
            for path in self._files.find(self.name):
                name = path.removeprefix(self.name.removeprefix(SCHEME)).lstrip("/")
                if name and name.partition("/")[0] not in NOT_FETCHED:
                    target = self.local / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(self._files.cat_file(path))
                    self._known[name] = _look(target)

    def copy(self) -> None:
        with self._lock:
            for path in sorted(self.local.rglob("*")):
                name = str(path.relative_to(self.local))
                if path.is_dir() or name.partition("/")[0] in NOT_COPIED or DRAFT in name:
                    continue
                try:
                    # looked at before it is read: what is written meanwhile is news the next time
                    found = _look(path)
                    if self._known.get(name) != found:
                        self._files.pipe_file(f"{self.name}/{name}", path.read_bytes())
                        self._known[name] = found
                except FileNotFoundError:
                    # a draft got its name, or a folder went
                    continue

    @contextlib.contextmanager
    def copying(self) -> Iterator[None]:
        threading.Thread(target=self._copy_on, daemon=True, name="copies to the bucket").start()
        try:
            yield
        finally:
            self._is_over.set()
            try:
                self.copy()
            except Exception as error:
                said = f"the last lines of {self.name} stay in {self.local}"
                print(f"{said}: they could not be copied ({error})", file=sys.stderr)
            else:
                shutil.rmtree(self._root, ignore_errors=True)

    def _copy_on(self) -> None:
        while not self._is_over.wait(COPY_SECONDS):
            try:
                self.copy()
            except Exception as error:  # the network may be away for a while
                print(f"{self.name}: {error}; copied again in a minute", file=sys.stderr)

    # --- the lease

    @contextlib.contextmanager
    def hold(
        self,
        sleep: Callable[[float], None] = time.sleep,
        beat_seconds: float = BEAT_SECONDS,
    ) -> Iterator[None]:
        """Has the bucket's folder; FolderHeldError where a run that lives has it."""
        if self._await_lease(sleep, beat_seconds):
            # the run before may have copied its last words meanwhile
            self.fetch()
        said = {"host": socket.gethostname(), "pid": os.getpid(), "since": _tell_time()}
        is_over = threading.Event()
        self._write_lease({**said, "beat": _tell_time()})

        def beat_on() -> None:
            while not is_over.wait(beat_seconds):
                with contextlib.suppress(Exception):
                    self._write_lease({**said, "beat": _tell_time()})

        teller = threading.Thread(target=beat_on, daemon=True, name="lease of the bucket")
        teller.start()
        try:
            yield
        finally:
            is_over.set()
            teller.join()
            with contextlib.suppress(Exception):
                self._files.rm_file(f"{self.name}/{LEASE}")

    def _await_lease(self, sleep: Callable[[float], None], beat_seconds: float) -> bool:
        """Whether there was one; returns when its run is surely over."""
        first = self._read_lease()
        if first is None:
            return False
        if first["host"] == socket.gethostname() and not _is_alive(first["pid"]):
            return True
        print(f"{self.name} was {first['host']}'s: waiting to see whether that run is over")
        for _ in range(max(round(LEASE_SECONDS / BEAT_SECONDS), 2)):
            sleep(beat_seconds)
            now = self._read_lease()
            if now is None:
                return True
            if now["beat"] != first["beat"]:
                raise FolderHeldError(
                    f"another command writes to {self.name} (process {now['pid']} on "
                    f"{now['host']}, since {now['since']}); wait for its end, end it, or choose "
                    "another OUT_DIR"
                )
        return True

    def _read_lease(self) -> dict[str, Any] | None:
        try:
            return json.loads(self._files.cat_file(f"{self.name}/{LEASE}"))
        except FileNotFoundError:
            return None

    def _write_lease(self, lease: dict[str, Any]) -> None:
        self._files.pipe_file(f"{self.name}/{LEASE}", json.dumps(lease).encode())


def _look(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _tell_time() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _open_bucket() -> Any:
    """Google's bucket by gcsfs, which Orbax's paths use, too."""
    if not is_installed("gcsfs"):
        raise MissingExtraError(f"gcsfs is not installed; {say_install('gcs')}")
    fsspec = import_extra("fsspec", "gcs")
    # what another process writes is seen: nothing is remembered of listings
    fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False
    return fsspec.filesystem("gcs", finalize_on_close=True)


def open_run_folder(out_dir: str) -> RunFolder:
    """The folder of a run, with what a bucket has of it."""
    if is_bucket(out_dir):
        raise ValueError(
            f"{out_dir} is a bucket that is mounted as a folder, where checkpoints cannot be "
            "committed by a rename and logs cannot be appended to; set OUT_DIR to gs://…, or to a "
            "file system that all processes share (NFS, Lustre)"
        )
    if not out_dir.startswith(SCHEME):
        return RunFolder(out_dir)
    folder = BucketFolder(out_dir)
    folder.fetch()
    return folder
