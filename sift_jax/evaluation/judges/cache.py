"""Verdicts that were paid for, kept on disk: appended one by one, never changed.

    {"key": "9f…", "values": [7.0], "reason": "It misses …"}\\n
    {"key": "07…", "values": [1.0], "re                        ← torn by a kill: cut off when the cache is opened

The key is a hash of all that matters: model, prompts, parameters, question, references, answer.
What could not be parsed is not kept, so that a judge which was set up wrong is asked again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.judges.config import JudgeError


def make_key(value: Any) -> str:
    """A hash of a JSON value, the same for the same content."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class VerdictCache:
    """Values and reasons by key; safe to use from many threads, held by one process at a time."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[tuple[float, ...], str]] = {}
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise JudgeError(
                f"{path} is held by another run; wait for it, or give another folder"
            ) from None
        self._load()

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()

    def get(self, key: str) -> tuple[tuple[float, ...], str] | None:
        return self._kept.get(key)

    def add(self, key: str, values: Sequence[float], reason: str) -> None:
        """Keeps a verdict; it is in the file before it is used."""
        line = json.dumps({"key": key, "values": list(values), "reason": reason}) + "\n"
        with self._lock:
            try:
                self._file.write(line.encode())
                self._file.flush()
            except OSError as error:
                raise JudgeError(
                    f"{self.path}: {error.strerror}; make room and start again; the rest stays"
                ) from None
            self._kept[key] = (tuple(values), reason)

    def _load(self) -> None:
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            try:
                row = json.loads(line)
                self._kept[row["key"]] = (tuple(map(float, row["values"])), str(row["reason"]))
            except (ValueError, KeyError, TypeError):
                # damaged in place: the question behind it is asked again
                continue
        self._file.truncate(end)
