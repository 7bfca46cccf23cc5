"""A folder that one process at a time writes to.

    with hold_folder(Path("runs/stage2"), remedy="choose another OUT_DIR"): …

    runs/stage2/.lock    {"host": "tpu-0", "pid": 4711, "since": "2026-03-01T09:30:00+00:00"} of the one that holds it

The lock is the kernel's (flock) and goes with the process, however it ends: what a killed one
leaves blocks nobody.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# how a file system says that another has the lock; any other error means that it knows no locks
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class FolderHeldError(ValueError):
    """Another process writes there; one line says which, and what to do."""


@contextlib.contextmanager
def hold_folder(folder: Path, *, remedy: str) -> Iterator[None]:
    """Makes the folder if there is none and holds it, or says at once who does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                raise FolderHeldError(
                    f"another command writes to {folder}{_describe_holder(file)}; {remedy}"
                ) from None
            print(
                (
                    f"{folder} cannot be locked ({error.strerror}): nothing keeps a second "
                    "command out of it"
                ),
                file=sys.stderr,
            )
        since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        _write(
            file,
            json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}) + "\n",
        )
        yield
        _write(file, "")


def _write(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _describe_holder(file: TextIO) -> str:
    """Who has it; nothing in the moment before it has said so."""
    file.seek(0)
    try:
        found = json.loads(file.read())
        return f" (process {found['pid']} on {found['host']}, since {found['since']})"
    except (ValueError, KeyError, TypeError):
        return ""
