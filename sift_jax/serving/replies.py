"""How answers go out: JSON whole, or server-sent events one by one; and how it is noticed that a
client has gone.

    whole      {"id": …, "choices": [{"message": {…}, "finish_reason": "stop"}], "usage": {…}}
    stream     data: {"id": …, "choices": [{"delta": {"content": "Slow"}}]}⏎⏎ … data: [DONE]⏎⏎
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sift_jax.serving.errors import RequestError
from sift_jax.serving.service import Answering, ClientGoneError

# nobody reads it; the status that servers log for a client that went away
GONE = 499


def describe_usage(answering: Answering) -> dict[str, Any]:
    prompt, said = answering.prompt_tokens, len(answering.ids)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {
            "audio_tokens": answering.audio_tokens,
            "cached_tokens": answering.reused,
        },
    }


@contextlib.contextmanager
def watch_client(receive: Receive, answering: Answering) -> Iterator[None]:
    """Within, a client that goes away frees its slot; so does whatever else ends it."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        answering.lose_client()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        answering.cancel()


def write_event(value: Any) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


class EventStream(Response):
    """Events as they come; what is `held` is let go behind the last one.

    A client that takes none for `send_seconds` is let go; an error behind the first event is an
    event, too. How it ended is told to `tell_end` as a status, whatever it began with."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: Callable[[], AsyncIterator[Any]],
        answering: Answering,
        *,
        send_seconds: float,
        held: contextlib.ExitStack,
    ):
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        # its length is not known
        del self.headers["content-length"]
        self._events, self._answering, self._send_seconds = events, answering, send_seconds
        self._held = held
        self.tell_end: Callable[[int], object] = lambda status: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # whoever goes away, or is let go, has not been answered
        self._ended_with = GONE
        try:
            await self._send_all(receive, send)
        finally:
            self.tell_end(self._ended_with)

    async def _send_all(self, receive: Receive, send: Send) -> None:
        async def write(body: bytes, *, is_last: bool = False) -> None:
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": not is_last})

        with (
            self._held,
            contextlib.suppress(ClientGoneError, TimeoutError),
            watch_client(receive, self._answering),
        ):
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            status = self.status_code
            try:
                async for event in self._events():
                    await write(write_event(event))
            except RequestError as error:
                status = error.status
                await write(write_event(error.describe()))
            await write(b"data: [DONE]\n\n", is_last=True)
            self._ended_with = status
