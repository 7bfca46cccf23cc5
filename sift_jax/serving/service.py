"""A model that is served: requests are made into jobs of its engine, and what comes of them into
answers.

    ChatRequest ─prepare (a thread)─► Prompt, digests ─► Job ─► engine
                                                          └─ Token … Ended ─► TextPieces ─► pieces
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.kept_prefixes import digest_clip
from sift_jax.decoding.slots import Choice, NotFiniteError, SlotDecoder
from sift_jax.decoding.text_answers import make_prompt, make_speech_rules
from sift_jax.decoding.text_pieces import TextPieces
from sift_jax.pretrained import Model
from sift_jax.serving.audio_parts import read_audio_part
from sift_jax.serving.chat_requests import ChatRequest
from sift_jax.serving.engine import Ended, Engine, Event, Failed, Job, StoppedError, Token
from sift_jax.serving.errors import RequestError
from sift_jax.serving.limits import Limits
from sift_jax.serving.metrics import Metrics

T = TypeVar("T")


class ClientGoneError(Exception):
    """Nobody reads the answer any more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """A prompt with how many tokens its answer may have."""

    prompt: Prompt
    digests: tuple[bytes, ...]
    new: int


class Answering:
    """A job as the event loop sees it: its events in order, until it has ended or the client is
    gone."""

    def __init__(self, submit: Callable[[Job], None], job: dict[str, Any]):
        loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

        def tell(event: Event) -> None:
            # a loop that is closed, perhaps just now, has nobody left to tell
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._events.put_nowait, event)

        self._job = Job(tell=tell, **job)
        self.prompt_tokens = len(self._job.prompt.tokens)
        self.audio_tokens = int((self._job.prompt.clip >= 0).sum())
        self.ids: list[int] = []
        self.reason, self.reused = "stop", 0
        self._is_gone = False
        submit(self._job)

    async def list_ids(self) -> AsyncIterator[list[int]]:
        """All ids so far, after each of them."""
        while True:
            event = await self._events.get()
            # tokens that came before it was noticed are nobody's either
            if event is None or self._is_gone:
                raise ClientGoneError
            if isinstance(event, Failed):
                raise explain(event.error)
            if isinstance(event, Ended):
                self.reason, self.reused = event.reason, event.reused
                return
            assert isinstance(event, Token)
            self.ids.append(event.id)
            yield self.ids

    def stop(self) -> None:
        """A stop string has ended it, and what would come is not waited for."""
        if self._job.seat is not None:
            self.reused = self._job.seat.reused
        self.cancel()
        self.reason = "stop"

    def cancel(self) -> None:
        self._job.cancel()

    def lose_client(self) -> None:
        """From the event loop: the slot is freed, and whoever waits for events stops."""
        self.cancel()
        self._is_gone = True
        self._events.put_nowait(None)


def explain(error: Exception) -> RequestError:
    """What a client is told of an error."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, StoppedError):
        return RequestError(503, f"{error}; ask again later", code="stopping", retry_after=5)
    if isinstance(error, NotFiniteError):
        said = f"{error}: the model cannot answer this request, however often it is asked"
        return RequestError(500, said, code="not_finite")
    return RequestError(500, f"the model failed ({type(error).__name__}); ask again")


class Service:
    """One checkpoint under one name."""

    def __init__(self, name: str, model: Model, limits: Limits, metrics: Metrics, *, seed: int = 0):
        self.name, self.model, self.limits = name, model, limits
        self.created = int(time.time())
        positions = min(limits.positions, model.config.decoder.max_positions)
        self._decoder = SlotDecoder(
            model, slots=limits.slots, positions=positions, kept_bytes=limits.kept_bytes
        )
        self._speech = make_speech_rules(model)
        self.engine = Engine(self._decoder, metrics, name=name)
        # one: a recording is decoded at a time, whoever sends how many
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"reading {name}")
        self._seeds = itertools.count(seed)

    @property
    def window_seconds(self) -> float:
        return self.model.config.longest_seconds

    @property
    def positions(self) -> int:
        return self._decoder.positions

    def start(self, *, is_warm: bool) -> None:
        """Compiles, where that is wanted, and begins to answer."""
        if is_warm:
            self._decoder.warm_up()
        self.engine.start()

    def stop(self) -> None:
        self.engine.stop()
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def read(self, function: Callable[[], T]) -> T:
        """Runs what takes longer than an event loop may wait; errors are a client's."""
        stopping = explain(StoppedError("the server is stopping"))
        try:
            reading = self._reader.submit(function)
        # the thread takes nothing more
        except RuntimeError:
            raise stopping from None
        try:
            return await asyncio.wrap_future(reading)
        except asyncio.CancelledError:
            # it had not been begun when the server was stopped
            if reading.cancelled():
                raise stopping from None
            raise

    def choose_seed(self, seed: int | None) -> int:
        """A request without one has one of its own."""
        return next(self._seeds) % 2**32 if seed is None else seed

    def prepare(self, request: ChatRequest) -> Prepared:
        """Decodes the audio and lays out the prompt; what does not fit is refused."""
        clips, taken = {}, 0
        for name, data in request.audio.items():
            clips[name] = read_audio_part(data, name, window_seconds=self.window_seconds)
            taken += self._count_positions(clips[name])
            # before the next one is decoded: a kilobyte of FLAC can be half a minute of silence
            if taken > self.positions:
                raise RequestError(
                    400,
                    f"{name} and the recordings before it take {taken} positions, more than the "
                    f"{self.positions} that this server takes; send fewer",
                    param="messages",
                    code="context_length_exceeded",
                )
        try:
            prompt = make_prompt(self.model, request.messages, clips.__getitem__)
        # also what a template says of roles that it does not take
        except ValueError as error:
            raise RequestError(400, " ".join(str(error).split()), param="messages") from None
        return self.fit(prompt, request.new_tokens)

    def _count_positions(self, clip: np.ndarray) -> int:
        front_end = FRONT_ENDS[self.model.config.encoder.front_end]
        return self.model.config.count_frames(front_end.count_frames(len(clip)))

    def fit(self, prompt: Prompt, new: int | None) -> Prepared:
        """How many tokens an answer may have: what was asked for, or what there is room for."""
        count, room = len(prompt.tokens), self.positions - len(prompt.tokens)
        if room < (new or 1):
            raise RequestError(
                400,
                f"{count} positions of text and audio with an answer of up to {new or 1} are more "
                f"than the {self.positions} that this server takes; shorten them or lower "
                "max_tokens",
                param="messages",
                code="context_length_exceeded",
            )
        return Prepared(
            prompt=prompt,
            digests=tuple(digest_clip(np.asarray(clip)) for clip in prompt.clips),
            new=new or min(self.limits.new_tokens, room),
        )

    def answer(self, prepared: Prepared, request: ChatRequest) -> Answering:
        return self.begin(
            prepared,
            Choice(
                temperature=request.temperature,
                top_p=request.top_p,
                seed=self.choose_seed(request.seed),
            ),
            self.model.tokenizer.stop_ids,
        )

    def begin(self, prepared: Prepared, choice: Choice, stop_ids: tuple[int, ...]) -> Answering:
        try:
            return Answering(
                self.engine.submit,
                {
                    "prompt": prepared.prompt,
                    "digests": prepared.digests,
                    "choice": choice,
                    "new": prepared.new,
                    "stop_ids": stop_ids,
                },
            )
        except StoppedError as error:
            raise explain(error) from None

    def make_pieces(self, request: ChatRequest) -> TextPieces:
        return TextPieces(self.model.tokenizer, self._speech, request.stops)


async def write_pieces(answering: Answering, pieces: TextPieces) -> AsyncIterator[str]:
    """The text of an answer as it comes; a stop within it ends the job, too."""
    async for ids in answering.list_ids():
        if piece := pieces.add(ids):
            yield piece
        if pieces.is_stopped:
            answering.stop()
            return
    if rest := pieces.end(answering.ids):
        yield rest
    if pieces.is_stopped:
        answering.reason = "stop"
