"""Processes that work for threads: a call goes to an idle one, and one that dies costs its call and
nothing else.

    thread ─ call(function, argument) ─► pipe ─► process: function(argument) ─► pipe ─► thread
                                           └ end of file: it died ─► WorkerError here, another process in its place

A process ends by itself when its pipe does: who kills the program with -9 leaves none behind.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from data_prep.engine.interrupts import hold_interrupts

# Threads inside the processes would only fight over the cores; a fresh interpreter reads these at
# its start.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_PATIENCE_SECONDS = 10


class WorkerError(RuntimeError):
    """The process died, or the pool was closed."""


class ProcessPool:
    """So many processes at most, for as many threads; each starts with its first call."""

    def __init__(self, size: int):
        for variable in _ONE_THREAD:
            os.environ.setdefault(variable, "1")
        self.is_dismissed = False
        self._members = [_Member() for _ in range(size)]
        # The last that was idle is the first to be called: what has started is used before another
        # starts.
        self._idle: queue.LifoQueue[_Member] = queue.LifoQueue()
        for member in self._members:
            self._idle.put(member)

    def __enter__(self) -> "ProcessPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        """Ends the processes; the calls that wait for them, and all later ones, raise."""
        self.is_dismissed = True
        for member in self._members:
            member.stop()

    def call(self, function: Callable[[Any], None], argument: Any) -> None:
        """Returns when a process has done it; what it raises is lost, so the function had better
        not."""
        member = self._idle.get()
        try:
            if self.is_dismissed:
                raise WorkerError("stopped")
            member.call(function, argument)
        finally:
            self._idle.put(member)


class _Member:
    """A process and the pipe to it; another process after one that died."""

    def __init__(self) -> None:
        self._is_busy = False
        self._process: multiprocessing.process.BaseProcess | None = None

    def _start(self) -> multiprocessing.process.BaseProcess:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with hold_interrupts():
            process.start()
        # Held here as well, the pipe would not end with the process.
        theirs.close()
        return process

    def call(self, function: Callable[[Any], None], argument: Any) -> None:
        self._is_busy = True
        process = self._process or self._start()
        try:
            self._pipe.send((function, argument))
            self._pipe.recv()
        except (EOFError, OSError):
            process.join()
            code = process.exitcode
            self._pipe.close()
            self._process = None
            raise WorkerError(f"it ended with exit code {code}") from None
        finally:
            self._is_busy = False

    def stop(self) -> None:
        """An idle process ends in order, so that it clears up after itself; a busy one at once."""
        if self._process is None:
            return
        if not self._is_busy:
            self._pipe.close()
            self._process.join(_PATIENCE_SECONDS)
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection) -> None:
    # Ctrl-C reaches the whole group: the program itself decides what becomes of its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The program may be gone when it has its answer.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            function, argument = pipe.recv()
            function(argument)
            pipe.send(None)
