"""A run of several processes ends when one of them hangs or is gone, and says which one.

    main thread    mark(12, "reading") ─┐
    beat thread    every second ────────┴─► {"count", "step", "doing", "seconds", "end", "verdict", "patience"}
                                            of each process, in the key-value store that process 0 keeps
    judge thread   every second: the beats ─► nothing, or one line and exit status 69

A stopped process sends no beats; one that spins does, but its main thread reads on while the others
wait for its step. Without several processes nothing is started and nothing costs.

Process 0 hears everybody, and whom it blames stands in its own beat; the others hear process 0
alone. So n processes read and write 3n beats a second, not n²: at a thousand hosts three thousand
instead of a million. Who suspects something says so by its patience, and process 0 has that of the
least patient.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, NoReturn

# how long a process may be silent, or keep the others waiting for its data; a hang ends the run
# within a minute
HANG_SECONDS = float(os.environ.get("SIFT_HANG_SECONDS", "45"))
# the same once something that all do together has failed here: whoever lives says so every second
SUSPECT_SECONDS = 10.0
# process 0 keeps the store: it goes last, so that the others can read why
LAST_WORDS_SECONDS = 4.0
LOST = 69
# folders of the store: process 0 has one to itself, which is all that the others read
FIRST, OTHERS = "sift_jax/first_beat", "sift_jax/beats"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beat:
    """What is known here of one process."""

    count: int
    step: int
    doing: str
    # how long it has been doing that, as it said itself
    seconds: float
    # why it left, "done" if it was done
    end: str | None
    # what it found out of another
    verdict: str | None
    # how long it would wait for others
    patience: float
    # when this count was first seen, by the clock of the one who looks
    seen: float


def judge(beats: dict[int, Beat], now: float, limit: float) -> str | None:
    """One line that names the process which ended or hangs; None while all is well."""
    for index, beat in sorted(beats.items()):
        if beat.verdict:
            return beat.verdict
        if beat.end and beat.end != "done":
            return f"process {index} ended ({beat.end})"
    for index, beat in sorted(beats.items()):
        if beat.end == "done":
            continue
        where = f"{beat.doing}, step {beat.step}"
        if now - beat.seen > limit:
            return (
                f"process {index} has not been heard of for {now - beat.seen:.0f} s (last {where})"
            )
        others = [other for i, other in beats.items() if i != index]
        is_awaited = any(other.step >= beat.step and other.doing == "stepping" for other in others)
        if beat.doing == "reading" and is_awaited and beat.seconds + now - beat.seen > limit:
            return f"process {index} hangs ({beat.seconds:.0f} s at {where}), the others wait"
    return None


class Watch:
    """The beats of one process among several."""

    def __init__(
        self,
        client: Any,
        index: int,
        others: Iterable[int] = (),
        limit: float = HANG_SECONDS,
        interval: float = 1.0,
    ):
        self.client, self.index, self._limit, self._interval = client, index, limit, interval
        self._mark: tuple[int, str, float] = (0, "starting", time.monotonic())
        self._count = 0
        self._end: str | None = None
        self.verdict: str | None = None
        self._round = time.monotonic()
        # all of them have joined: one that never says a word is as lost as one that falls silent
        silent = Beat(
            count=0,
            step=0,
            doing="starting",
            seconds=0.0,
            end=None,
            verdict=None,
            patience=limit,
            seen=self._round,
        )
        heard = others if index == 0 else [other for other in others if other == 0]
        self.beats: dict[int, Beat] = dict.fromkeys(heard, silent)
        self._lock = threading.Lock()
        self.is_over = threading.Event()

    def start(self) -> None:
        for target in (self._beat_on, self._judge_on):
            threading.Thread(target=target, daemon=True, name=f"watch {target.__name__}").start()

    def mark(self, step: int, doing: str) -> None:
        self._mark = (step, doing, time.monotonic())

    def beat(self) -> None:
        """Says what this process does and hears what the others do."""
        with self._lock:
            self._count += 1
            step, doing, since = self._mark
            said = {
                "count": self._count,
                "step": step,
                "doing": doing,
                "end": self._end,
                "verdict": self.verdict,
                "patience": self._limit,
            }
            said["seconds"] = time.monotonic() - since
            folder = OTHERS if self.index else FIRST
            self.client.key_value_set(
                f"{folder}/{self.index}", json.dumps(said), allow_overwrite=True
            )
            heard = {self.index: said, **self._hear()}
            now = time.monotonic()
            for index, beat in heard.items():
                old = self.beats.get(index)
                seen = old.seen if old and old.count == beat["count"] else now
                self.beats[index] = Beat(**beat, seen=seen)
            self._round = now

    def _hear(self) -> dict[int, dict]:
        """What the store has: of all others for process 0, of process 0 for the others."""
        return {
            int(key.rsplit("/", 1)[1]): json.loads(text)
            for key, text in self.client.key_value_dir_get(FIRST if self.index else OTHERS)
        }

    def _beat_on(self) -> None:
        while not self.is_over.wait(self._interval):
            try:
                self.beat()
            except Exception:  # a store that fails is one that does not answer: the judge sees it
                time.sleep(self._interval)

    def _judge_on(self) -> None:
        last = time.monotonic()
        while not self.is_over.wait(self._interval):
            now = time.monotonic()
            if now - last > 5 * self._interval:
                # this process itself was asleep: what it knows of the others is as old as that
                self._round = now
                self.beats = {
                    i: dataclasses.replace(beat, seen=now) for i, beat in self.beats.items()
                }
            last = now
            others = {
                i: beat for i, beat in self.beats.items() if i != self.index or beat.end is None
            }
            patience = min([self._limit, *(beat.patience for beat in others.values())])
            verdict = judge(others, now, patience)
            if now - self._round > self._limit:
                verdict = verdict or f"process 0 has not answered for {now - self._round:.0f} s"
            if verdict:
                self.verdict = verdict
                # a progress bar may stand before it; in one piece, so that nobody writes into it
                sys.stderr.write(
                    f"\nerror: {verdict}; the run ends, its last checkpoint is whole: look at "
                    "that process, then start all of them again\n"
                )
                self.leave(LOST, None)

    def finish(self) -> None:
        """This process is done: its silence means nothing from now on."""
        self._end = "done"
        self.is_over.set()
        self.beat()

    def leave(self, code: int, reason: str | None) -> NoReturn:
        """Ends this process at once: the barrier of an orderly exit would wait for those that will
        not come."""
        self._end = reason
        # it has said why; of what becomes of the others it says nothing
        self.is_over.set()
        sys.stdout.flush()
        sys.stderr.flush()
        # a store that does not answer must not keep the process
        teller = threading.Thread(target=self.beat, daemon=True)
        teller.start()
        teller.join(LAST_WORDS_SECONDS)
        if self.index == 0:
            time.sleep(LAST_WORDS_SECONDS)
        os._exit(code)

    def await_verdict(self) -> None:
        """Waits until the judge has named who is to blame, if anybody is: then this does not
        return."""
        self._limit = min(self._limit, SUSPECT_SECONDS)
        # process 0 hears of this patience, finds who is silent, and is heard: some beats more
        self.is_over.wait(self._limit + 10 * self._interval)
        while self.verdict:
            # the judge has said it, and gives its last words the time they take
            time.sleep(self._interval)


_watch: Watch | None = None


def start_watch(client: Any, index: int, processes: int) -> None:
    """Begins to beat and to listen, once a process."""
    global _watch
    _watch = Watch(client, index, others=[other for other in range(processes) if other != index])
    _watch.start()


def is_watching() -> bool:
    return _watch is not None


def mark(step: int, doing: str) -> None:
    """What the main thread does from now on: "reading" its data, "stepping" with the others, or
    anything else."""
    if _watch:
        _watch.mark(step, doing)


def finish_watch() -> None:
    if _watch:
        _watch.finish()


def await_verdict() -> None:
    """Does not return if another process is found to be the cause: it is named, and this one
    ends."""
    if _watch:
        _watch.await_verdict()


def end_process(code: int, reason: str) -> NoReturn:
    """Ends this process with `code`, and those of its run with it."""
    if _watch is None:
        raise SystemExit(code)
    _watch.leave(code, reason)
