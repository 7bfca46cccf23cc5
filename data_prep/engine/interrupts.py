"""Ctrl-C reaches every process of the terminal's group at once: the program answers with a line, and
those that it has started say nothing.

    with hold_interrupts():                 a process that starts in here hears no Ctrl-C until it
        pool.submit(work)                   has said what that is to do: SIG_IGN, or end_silently
"""

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """What is started within inherits that SIGINT waits: one that came while Python starts would
    print a traceback. In this thread it comes afterwards."""
    # multiprocessing's own, which starts with the first process and then lets the signal through
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_silently() -> None:
    """From here on Ctrl-C ends this process without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
