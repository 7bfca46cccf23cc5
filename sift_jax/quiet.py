"""The start-up messages of libraries' C++ sides, kept off the terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def hush() -> Iterator[None]:
    """What the process writes on standard error goes nowhere; TensorFlow's C++ side knows no other
    way to be silent."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def keep_interrupt() -> Iterator[None]:
    """Ctrl-C within is raised at the end once more: libraries that are being imported may lose
    it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_heard = False

    def hear(number: int, frame: object) -> None:
        nonlocal is_heard
        is_heard = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if is_heard:
        raise KeyboardInterrupt
