"""Which file system a folder lies on: buckets that are mounted as folders cannot do what a run asks
of a folder.

/proc/self/mounts    gcs-bucket /mnt/bucket fuse.gcsfuse rw …    ─► find_mount("/mnt/bucket/runs") is "fuse.gcsfuse"
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
# folders are renamed file by file, or not at all; what is appended is written again; there are no locks
BUCKETS = ("fuse.gcsfuse", "fuse.s3fs", "fuse.goofys", "fuse.mountpoint-s3", "fuse.rclone")


def find_mount(folder: str | Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of file system, as the kernel names it; None where it does not tell."""
    if not mounts.is_file():
        return None
    path = Path(folder).resolve()
    found: list[tuple[int, str]] = []
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, place, kind, *_ = line.split(" ")
        # a space in a path stands as \040
        place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place)
        if path.is_relative_to(place):
            found.append((len(place), kind))
    # of two at the same place, the later one hides the other
    return max(found, key=lambda each: each[0], default=(0, None))[1]


def is_bucket(folder: str | Path, mounts: Path = MOUNTS) -> bool:
    return find_mount(folder, mounts) in BUCKETS
