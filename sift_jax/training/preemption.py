"""Being told to stop: after SIGTERM or Ctrl-C to any process of a run, all of them save the same
step and end.

one process    signal ─► flag ─────────────────────────────────────────────► asked after each step
several        signal ─► JAX's preemption service ─► a step that all reach ─► asked after each step
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import jax
from jax.experimental import multihost_utils


class Stopped(Exception):
    """The run was told to stop, and what it had is saved: the same command resumes."""

    # EX_TEMPFAIL: try again later
    exit_code = 75


class StopRequest:
    """Hears the signals while it is open; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self._is_asked = False
        self._old: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old[signal.SIGINT] = signal.signal(signal.SIGINT, self._hear)
            # among several processes JAX has a handler for SIGTERM, which tells the others
            if jax.process_count() == 1:
                self._old[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._is_asked = True
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def is_reached(self, step: int) -> bool:
        """Whether the run shall end with this step; the same answer in all of its processes."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._is_asked
