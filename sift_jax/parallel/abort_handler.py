"""Where JAX aborts because another process is not there, this one ends in one last line, with exit
status 69.

    a process does not come, or process 0 goes ─► JAX's client of its store aborts, in C++ ─► SIGABRT ─► explain()
                                                                                     a line: said, 69 ◄──┤
                                                                                  None: it goes on ◄─────┘

No thread of Python's is asked before that abort, and JAX's own hook for it cannot be called from
Python (jaxlib 0.10.2 fails in handing over the status). So the signal has a handler that C calls.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from collections.abc import Callable

ANSWER_SECONDS = 2.0
# C has the address of these only
_kept: list[object] = []


def explain_aborts(explain: Callable[[], str | None], code: int) -> None:
    """From now on an abort that `explain` has a line for ends this process with `code`."""

    def hear(_: int) -> None:
        line = explain()
        # without one this returns, and the abort goes on: it is about something else
        if line is not None:
            os.write(2, f"\nerror: {line}\n".encode())
            os._exit(code)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(hear)
    _kept.append(handler)
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)


def name_lost_coordinator(address: str) -> str | None:
    """A line if nobody listens at host:port any more."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS):
            return None
    except OSError:
        return (
            f"process 0 is gone: nobody answers at {address}; the run ends, its last checkpoint "
            "is whole: look at that process, then start all of them again"
        )
