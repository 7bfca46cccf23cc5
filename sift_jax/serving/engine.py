"""The one thread that decodes: jobs wait, take a slot, are fed, go on with all others, and leave.

    submit(job) ─► waiting ─► fed in pieces ─► running ─► Ended("stop" | "length")
                      └───────────────┴────────────┴────► cancelled: the slot is free at the next turn
                                                           failed: Failed(why), and no other is lost

    a turn    prompts are fed, up to FED_A_TURN positions, while slots are free; then one step for all

What comes of a job is told by its `tell`, in this thread: Token, …, and then Ended or Failed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.slot_programs import BROKEN
from sift_jax.decoding.slots import Choice, NotFiniteError, Seat, SlotDecoder
from sift_jax.serving.errors import RequestError
from sift_jax.serving.metrics import Metrics

# Those that are being answered wait so long, and no longer, while others are fed.
FED_A_TURN = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Token:
    id: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """Why: "stop" or "length"; `reused` positions of the prompt had been computed before."""

    reason: str
    reused: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failed:
    error: Exception


Event = Token | Ended | Failed


@dataclasses.dataclass(eq=False, kw_only=True)
class Job:
    """A prompt to be answered with at most `new` tokens, up to one of the stop ids."""

    prompt: Prompt
    digests: Sequence[bytes]
    choice: Choice
    new: int
    stop_ids: tuple[int, ...]
    tell: Callable[[Event], object]
    is_cancelled: bool = False
    # what the engine knows of it
    seat: Seat | None = None
    said: int = 0

    def cancel(self) -> None:
        """Nobody waits for it any more; from any thread."""
        self.is_cancelled = True


class StoppedError(RuntimeError):
    """The engine has been stopped, or its thread has died."""


class Engine:
    """Runs the jobs of one model in a thread of its own."""

    def __init__(self, decoder: SlotDecoder, metrics: Metrics, *, name: str):
        self._decoder, self._metrics, self._name = decoder, metrics, name
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._is_stopped = False
        # of the latest jobs, from their slot on
        self._job_seconds = 1.0
        self._begun: dict[Job, float] = {}
        self._thread = threading.Thread(target=self._run, name=f"decoding {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        with self._changed:
            if self._is_stopped:
                raise StoppedError("the server is stopping")
            self._waiting.append(job)
            self._changed.notify()

    def stop(self) -> None:
        """Ends the thread; what is not answered yet is told so."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def estimate_wait(self) -> int:
        """Whole seconds until a slot will be free for one more, about."""
        with self._changed:
            ahead = len(self._waiting) + 1
        return max(1, round(self._job_seconds * ahead / self._decoder.slots))

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._take_turns()
        finally:
            # also where the thread dies: who waits is told, and nobody waits for it any more
            with self._changed:
                self._is_stopped = True
                left = [*self._running, *self._waiting]
                self._running, self._waiting = [], deque()
            for job in left:
                with contextlib.suppress(Exception):
                    job.tell(Failed(error=StoppedError("the server is stopping")))

    def _take_turns(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._running or self._is_stopped):
                    self._changed.wait()
                if self._is_stopped:
                    return
            try:
                self._take_turn()
            # whatever it was, others must be answered
            except Exception as error:
                self._begin_anew(error)
            self._report()

    def _take_turn(self) -> None:
        self._drop_cancelled()
        self._feed()
        if not any(job.seat is not None and job.seat.is_fed for job in self._running):
            return
        begun = time.perf_counter()
        found = self._decoder.step()
        self._metrics.step_seconds.observe(time.perf_counter() - begun, model=self._name)
        for job in list(self._running):
            if job.seat is not None and job.seat in found:
                self._hear(job, found[job.seat])

    def _drop_cancelled(self) -> None:
        with self._changed:
            gone = [job for job in self._waiting if job.is_cancelled]
            if gone:
                self._waiting = deque(job for job in self._waiting if not job.is_cancelled)
        for job in [*gone, *(job for job in self._running if job.is_cancelled)]:
            self._leave(job)
            self._metrics.cancelled.add(1, model=self._name)

    def _feed(self) -> None:
        """Those that have a slot first, then who has waited longest."""
        fed = 0
        while fed < FED_A_TURN:
            job = next((j for j in self._running if j.seat and not j.seat.is_fed), None)
            if job is None and (job := self._seat_next()) is None:
                return
            seat = job.seat
            assert seat is not None
            before = seat.fed
            try:
                first = self._decoder.feed(seat)
            except NotFiniteError as error:
                self._break_off(job, error)
                continue
            except Exception as error:
                if not self._decoder.is_whole:
                    raise
                # as of a recording that the encoder does not take: nobody else's affair
                self._log(error)
                self._end(job, Failed(error=error))
                continue
            if not before:
                self._metrics.reused.add(seat.reused, model=self._name)
                before = seat.reused
            fed += seat.fed - before
            self._metrics.fed.add(seat.fed - before, model=self._name)
            if first is not None:
                self._hear(job, first)

    def _seat_next(self) -> Job | None:
        """A waiting job in a free slot, if there are both."""
        while self._decoder.free:
            with self._changed:
                if not self._waiting:
                    return None
                job = self._waiting.popleft()
            try:
                job.seat = self._decoder.take(job.prompt, job.choice, job.digests)
            except ValueError as error:
                said = " ".join(str(error).split())
                self._end(job, Failed(error=RequestError(400, said)))
                continue
            self._running.append(job)
            self._begun[job] = time.perf_counter()
            return job
        return None

    def _hear(self, job: Job, token: int) -> None:
        """The next token of a job, which may be its last."""
        assert job.seat is not None
        if token == BROKEN:
            self._break_off(job, NotFiniteError("the logits of the next token are not finite"))
            return
        if token in job.stop_ids:
            self._end(job, Ended(reason="stop", reused=job.seat.reused))
            return
        job.said += 1
        self._metrics.tokens.add(1, model=self._name)
        job.tell(Token(id=token))
        if job.said == job.new:
            self._end(job, Ended(reason="length", reused=job.seat.reused))

    def _leave(self, job: Job) -> None:
        if job.seat is not None:
            self._decoder.leave(job.seat)
        if job in self._running:
            self._running.remove(job)
        begun = self._begun.pop(job, None)
        if begun is not None:
            self._job_seconds += 0.1 * (time.perf_counter() - begun - self._job_seconds)

    def _end(self, job: Job, event: Event) -> None:
        self._leave(job)
        job.tell(event)

    def _break_off(self, job: Job, error: NotFiniteError) -> None:
        """A job whose numbers are not finite; those beside it have rows of their own."""
        self._metrics.not_finite.add(1, model=self._name)
        print(f"{self._name}: an answer was broken off: {error}", file=sys.stderr)
        self._end(job, Failed(error=error))

    def _begin_anew(self, error: Exception) -> None:
        """A program that fails takes the state of all slots along."""
        self._log(error)
        for job in list(self._running):
            self._end(job, Failed(error=error))
        self._decoder.reset()

    def _log(self, error: Exception) -> None:
        self._metrics.failures.add(1, model=self._name)
        traceback.print_exception(error, file=sys.stderr)

    def _report(self) -> None:
        with self._changed:
            waiting = len(self._waiting)
        self._metrics.waiting.set(waiting, model=self._name)
        self._metrics.running.set(len(self._running), model=self._name)
        self._metrics.kept_bytes.set(self._decoder.prefixes.nbytes, model=self._name)
