"""How far a long piece of work has come: a bar on a terminal, a line now and then elsewhere.

on a terminal    hear:  34%|███▍      | 120/350 [01:40<03:10, 1.2step/s, loss=0.61]
redirected       14:03:20 hear: 120 of 350 steps (34 %), 3 min 10 s left, loss=0.61

A file takes no carriage return, and whoever follows it by `tail -f` wants whole lines with the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

# Seconds between two lines of a log; work that ends before the first has none.
LINE_SECONDS = 20.0


def format_seconds(seconds: float) -> str:
    """250 becomes "4 min 10 s", 7,300 becomes "2 h 1 min"."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class LogLines:
    """What tqdm's bar offers, for a log: a line at most every LINE_SECONDS, on standard error."""

    def __init__(
        self,
        items: Iterable[Any] | None = None,
        *,
        total: int | None,
        initial: int = 0,
        name: str,
        unit: str,
    ):
        self._items, self._total, self._first = items, total, initial
        self._name, self._unit, self._postfix = name, unit, ""
        self.n = initial
        self._begun = self._said = time.monotonic()
        self._is_silent = True

    def __iter__(self) -> Iterator[Any]:
        try:
            for item in self._items or ():
                yield item
                self.update()
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """`count` more are done."""
        self.n += count
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._say()

    def set_postfix(self, values: Mapping[str, Any], refresh: bool = True) -> None:
        """What stands at the end of the lines to come."""
        self._postfix = "".join(f", {name}={value}" for name, value in values.items())

    def write(self, text: str) -> None:
        """A line of its own, on standard output."""
        print(text, flush=True)

    def close(self) -> None:
        """Says how it ended, where it has said anything before."""
        if not self._is_silent:
            self._say()
            self._is_silent = True

    def _say(self) -> None:
        self._said, self._is_silent = time.monotonic(), False
        done = f"{self.n:,} {self._unit}s"
        if self._total:
            done = f"{self.n:,} of {self._total:,} {self._unit}s ({self.n / self._total:.0%})"
        print(
            f"{time.strftime('%H:%M:%S')} {self._name}: {done}{self._tell_rest()}{self._postfix}",
            file=sys.stderr,
            flush=True,
        )

    def _tell_rest(self) -> str:
        passed, made = self._said - self._begun, self.n - self._first
        if not self._total or made <= 0 or self.n >= self._total:
            return f", {format_seconds(passed)}"
        return f", {format_seconds(passed / made * (self._total - self.n))} left"


def track(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    name: str,
    unit: str,
    delay: float = 0.0,
    is_shown: bool = True,
) -> tqdm | LogLines:
    """A bar, or lines, over `items`, or to be moved by `update`; with `delay`, a bar only after so
    many seconds. One process of several shows it."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if is_shown and not sys.stderr.isatty():
        return LogLines(items, total=total, initial=initial, name=name, unit=unit)
    return tqdm(
        items,
        total=total,
        initial=initial,
        desc=name,
        unit=unit,
        delay=delay,
        mininterval=1.0,
        dynamic_ncols=True,
        disable=not is_shown,
    )
