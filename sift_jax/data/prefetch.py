"""Batches are made in a thread while the devices work: items ─► queue of some depth ─► the same items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Draws `items` in a thread of its own, `depth` ahead; what it raises is raised here."""
    waiting: queue.Queue = queue.Queue(depth)
    is_closed = threading.Event()

    def put(entry: tuple) -> bool:
        while not is_closed.is_set():
            try:
                waiting.put(entry, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def draw() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as error:  # it is raised again by the reader
            put(("error", error))

    threading.Thread(target=draw, daemon=True).start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        is_closed.set()
