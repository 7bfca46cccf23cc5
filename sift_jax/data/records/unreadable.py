"""Recordings that cannot be read: left out, named once, counted; a run of which many cannot be read
ends.

    a recording that does not decode ─► its group's place in the row stays empty: no token, no target
                                     ─► a line on the terminal and one in run/unreadable-<process>.jsonl
                                     ─► more than DataConfig.most_unreadable of all that were read: an error

The process that has the row decides this by itself, and no other waits for it: the plan is the same
with or without the recording, and the loss is a sum over targets, to which an empty place adds
none.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

# So many may be unreadable before their share is looked at: the second of two recordings is no half
# of a set.
_FEW = 8


# what is raised by reading and decoding
UNREADABLE = (RuntimeError, ValueError, IndexError, OSError)


def is_too_many(failed: int, tried: int, most_share: float) -> bool:
    """Whether a run must end for those; with a share of 0 the first ends it."""
    return failed > max(most_share and _FEW, most_share * tried)


class UnreadableAudio(ValueError):
    """An item whose recordings cannot be read; the message is one line."""


def name_log(run_dir: Path, process: int) -> Path:
    """The file of one process's unreadable recordings."""
    return run_dir / f"unreadable-{process}.jsonl"


def count_logged(run_dir: Path) -> int:
    """Recordings that any process of the run has left out; the run's folder is shared."""
    return sum(path.read_text().count("\n") for path in run_dir.glob("unreadable-*.jsonl"))


class UnreadableLog:
    """What one process could not read of a split. `path` is where it is written down, if anywhere;
    threads share it."""

    def __init__(self, most_share: float, path: Path | None, split: str):
        self.most_share, self.path, self.split = most_share, path, split
        self._lock = threading.Lock()
        self._failed = 0
        self._named: set[tuple[str, int]] = set()
        if path is not None and path.is_file():
            # a line may have been torn by a kill
            said = [
                json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")
            ]
            self._named = {(line["task"], line["item"]) for line in said if line["split"] == split}

    def note(self, task: str, item: int, error: UnreadableAudio, tried: int) -> None:
        """Names the item if it has not been named, and raises where there are too many of those
        `tried` by now: a slow read that fails late counts among all that were tried meanwhile."""
        with self._lock:
            self._failed += 1
            if (task, item) not in self._named:
                self._named.add((task, item))
                self._write({"split": self.split, "task": task, "item": item, "reason": str(error)})
                print(f"left out: {error}", flush=True)
            if is_too_many(self._failed, tried, self.most_share):
                where = f"; all are in {self.path}" if self.path else ""
                raise ValueError(
                    f"{self._failed} of {tried} recordings could not be read, more than "
                    f"DataConfig.most_unreadable = {self.most_share:g} of them; the last: "
                    f"{error}{where}"
                ) from error

    def _write(self, line: dict) -> None:
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
