"""Finished calls on disk: appended one by one, never changed.

    <checksum> {"key": "9f…", "reply": {"text": …, "finish": …, "prompt_tokens": …,
    "completion_tokens": …}}\\n <checksum> {"key": "07…", …}\\n
    <checksum> {"ke                                   ← torn by a kill: cut off when the journal is opened

A line is on the disk before its reply is used, so what was paid for is not asked again. The key is
a hash of all that matters: model, messages, parameters, version of the prompts.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from sift_jax.endpoints.client import Reply

_CHECK_LETTERS = 16


class JournalError(RuntimeError):
    """A journal that cannot be used; one line with the remedy."""

    # the user can fix it: sift_jax.exits
    exit_code = 2


def make_key(value: Any) -> str:
    """A hash of a JSON value, the same for the same content."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class Journal:
    """The replies by key. One process at a time holds it."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock, self._sync_lock, self._synced = threading.Lock(), threading.Lock(), 0
        self._places: dict[bytes, tuple[int, int]] = {}
        self.torn_bytes = self.damaged = self.prompt_tokens = self.completion_tokens = 0
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise JournalError(
                f"{path} is held by another run; wait for it, or give another folder"
            ) from None
        self._end = self._load()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Reply | None:
        """The reply to a call that was finished before."""
        place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        line = os.pread(self._file, place[1], place[0])
        value = _parse_line(line)
        if value is None:
            raise JournalError(
                f"{self.path}: byte {place[0]} and after has changed; start again to drop the entry"
            )
        return Reply(**value["reply"])

    def add(self, key: str, reply: Reply) -> Reply:
        """Keeps a reply; of two to the same call the first stays."""
        text = json.dumps({"key": key, "reply": dataclasses.asdict(reply)})
        line = f"{_check(text.encode())} {text}\n".encode()
        with self._lock:
            if bytes.fromhex(key) not in self._places:
                self._append(line)
                self._remember(key, dataclasses.asdict(reply), self._end, len(line))
                self._end += len(line)
                end = self._end
            else:
                end = 0
        if end:
            self._sync(end)
            return reply
        kept = self.get(key)
        assert kept is not None
        return kept

    def _append(self, line: bytes) -> None:
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._file, line[written:], self._end + written)
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise JournalError(
                f"{self.path}: {error.strerror}; make room and start again, the rest is kept"
            ) from None

    def _sync(self, end: int) -> None:
        """Returns when the file is on the disk up to here: one thread waits for the disk, for all
        that have written."""
        with self._sync_lock:
            if self._synced < end:
                reached = self._end
                try:
                    os.fsync(self._file)
                except OSError as error:
                    raise JournalError(
                        f"{self.path}: {error.strerror}; see to the disk and start again"
                    ) from None
                self._synced = reached

    def _load(self) -> int:
        """Indexes the lines, cuts a torn tail, and returns where the next line goes."""
        place = good_end = 0
        with self.path.open("rb") as lines:
            for line in lines:
                value = _parse_line(line) if line.endswith(b"\n") else None
                if value is not None:
                    self._remember(value["key"], value["reply"], place, len(line))
                    good_end = place + len(line)
                elif line.endswith(b"\n"):
                    # the call behind it is made again
                    self.damaged += 1
                    good_end = place + len(line)
                place += len(line)
        self.torn_bytes = place - good_end
        if self.torn_bytes:
            os.ftruncate(self._file, good_end)
            os.fsync(self._file)
        return good_end

    def _remember(self, key: str, reply: dict[str, Any], place: int, length: int) -> None:
        self._places[bytes.fromhex(key)] = (place, length)
        self.prompt_tokens += reply["prompt_tokens"] or 0
        self.completion_tokens += reply["completion_tokens"] or 0


def _check(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_CHECK_LETTERS]


def _parse_line(line: bytes) -> dict[str, Any] | None:
    check, _, text = line.rstrip(b"\n").partition(b" ")
    if check != _check(text).encode():
        return None
    return json.loads(text)
