"""Clips of records made ahead of their turn, by several processes: a record needs its audio decoded
and packed.

    groups ─ look_ahead ─►  names of the next groups ─► processes ─►  pack(name), in the order of the groups

The order and the bytes are those that one process would give. Held are the clips of the groups that
are waited for.
"""

import collections
import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from data_prep.engine.chunks import BuildError
from data_prep.engine.interrupts import end_silently, hold_interrupts
from sift_jax.audio.files import AudioError
from sift_jax.data.records.record_audio import pack_file

# Groups that are made ahead, for each process.
_AHEAD = 8

Group = tuple[str, list[dict[str, Any]]]
_Clip = concurrent.futures.Future[bytes]


class Packer:
    """Makes the clips of utterances; `find` gives the path of one, or None."""

    def __init__(self, find: Callable[[str], str | None], compression: str, workers: int):
        self._find, self.compression, self._workers = find, compression, workers
        self._waiting: dict[str, collections.deque[_Clip]] = {}
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def __enter__(self) -> "Packer":
        if self._workers > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self._workers, mp_context=context, initializer=end_silently
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def pack(self, name: str) -> bytes:
        """The clip of an utterance, from the process that made it ahead if one did."""
        futures = self._waiting.get(name)
        if not futures:
            return pack_file(self._locate(name), self.compression)
        future = futures.popleft()
        if not futures:
            del self._waiting[name]
        try:
            return future.result()
        except BrokenProcessPool:
            raise _tell_death(name) from None

    def look_ahead(
        self, groups: Iterable[Group], list_names: Callable[[Group], list[str]]
    ) -> Iterator[Group]:
        """The same groups; while one is written, the clips of the next are made."""
        if self._pool is None:
            yield from groups
            return
        coming: collections.deque[tuple[Group, dict[str, _Clip]]] = collections.deque()
        for group in groups:
            coming.append(
                (group, {name: clip for name in list_names(group) if (clip := self._start(name))})
            )
            if len(coming) > _AHEAD * self._workers:
                yield from self._hand_out(*coming.popleft())
        while coming:
            yield from self._hand_out(*coming.popleft())

    def _start(self, name: str) -> _Clip | None:
        path = self._find(name)
        if path is None or self._pool is None:
            return None
        try:
            with hold_interrupts():
                clip = self._pool.submit(pack_file, Path(path), self.compression)
        except BrokenProcessPool:
            raise _tell_death(name) from None
        self._waiting.setdefault(name, collections.deque()).append(clip)
        return clip

    def _hand_out(self, group: Group, clips: dict[str, _Clip]) -> Iterator[Group]:
        yield group
        # Of a group that was skipped for one clip, the others were not asked for.
        for name, clip in clips.items():
            if clip in self._waiting.get(name, ()):
                self._waiting[name].remove(clip)
                if not self._waiting[name]:
                    del self._waiting[name]

    def _locate(self, name: str) -> Path:
        path = self._find(name)
        if path is None:
            raise AudioError(
                f"{name}: no audio file of that name; point --audio to the folder that holds it"
            )
        return Path(path)


def _tell_death(name: str) -> BuildError:
    return BuildError(
        f"a process that packed {name} or its neighbours died, of memory or of a file that no "
        "decoder can bear; start again with --workers=1 to see which"
    )
