"""Counts what a step compiles: one program for each batch shape, and nothing after that.

step over shape A   1 compilation        step over shape B   1 compilation
step over shape A   0                    step over shape A   1 → a recompilation: something else has changed

After a restart the programs may come from JAX's cache on disk: they count as compilations, and as
compiled before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import jax

# JAX says so of a program that it compiles, or finds in its cache on disk; of those, the second too
EVENT = "/jax/core/compile/backend_compile_duration"
FOUND = "/jax/compilation_cache/cache_hits"
_seen: list[float] = []
_found: list[str] = []


def _listen(event: str, duration_secs: float, **_: str | int) -> None:
    if event == EVENT:
        _seen.append(duration_secs)


def _hear_found(event: str, **_: str | int) -> None:
    if event == FOUND:
        _found.append(event)


class Compilations:
    """`made` programs in all, `repeated` of them for a shape that had been compiled already, `found`
    of them in the cache on disk. `say` takes a line before each wait."""

    _is_listening = False

    def __init__(self, say: Callable[[str], object] = lambda line: None) -> None:
        self._say = say
        if not Compilations._is_listening:
            jax.monitoring.register_event_duration_secs_listener(_listen)
            jax.monitoring.register_event_listener(_hear_found)
            Compilations._is_listening = True
        self.made = self.repeated = self.found = 0
        self._known: set[Hashable] = set()

    @contextmanager
    def over(self, shape: Hashable) -> Iterator[None]:
        """Around a step over a batch of `shape`."""
        if shape not in self._known:
            self._say(f"compiling the step for {shape}")
        before, found = len(_seen), len(_found)
        yield
        made = len(_seen) - before
        self.found += len(_found) - found
        self.made += made
        self.repeated += made if shape in self._known else 0
        self._known.add(shape)

    def describe(self) -> dict[str, int]:
        """As the progress lines have it."""
        return {
            "compilations": self.made,
            "recompilations": self.repeated,
            "compiled_before": self.found,
        }
