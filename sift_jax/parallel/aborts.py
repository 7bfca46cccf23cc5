"""Where process 0 is killed, the others end as from any other loss: one last line that names it, and exit status 69.

    process 0 gone ─► JAX's client of its store aborts, in C++ ─► SIGABRT ─► does process 0 answer? ─► no: 69
                                                                                                       yes: as it was

No thread of Python's is asked before that abort, and JAX's own hook for it cannot be called from Python (jaxlib 0.10.2
fails in handing over the status). So the signal has a handler that C calls.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket

ANSWER_SECONDS = 2.0
# C has the address of these only
_kept: list[object] = []


def is_answering(address: str) -> bool:
    """Whether somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS):
            return True
    except OSError:
        return False


def name_lost_coordinator(address: str, code: int) -> None:
    """From now on an abort of this process ends it with `code` if nobody answers at the coordinator's address."""

    def hear(_: int) -> None:
        # otherwise it returns, and the abort goes on: it was for another reason
        if not is_answering(address):
            said = (
                f"\nerror: process 0 is gone: nobody answers at {address}; the run ends, its last checkpoint is whole: "
                "look at that process, then start all of them again\n"
            )
            os.write(2, said.encode())
            os._exit(code)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(hear)
    _kept.append(handler)
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)
