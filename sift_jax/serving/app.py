"""The paths of the server, as an ASGI application.

    POST /v1/chat/completions    questions about recordings, whole or streamed
    POST /v1/audio/speech        a text said, by models that speak
    GET  /v1/models              what is served, and whether it speaks
    GET  /health /metrics        for whoever watches over it; without a key
    GET  /                       a page to try it on (demo_page.py); without a key

Every request ends in an answer or in a RequestError's status; what is neither is a 500 and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sift_jax.endpoints.secret import Secret
from sift_jax.flags import suggest
from sift_jax.serving.access import Gate, check_key, read_host
from sift_jax.serving.chat_requests import (
    ChatRequest,
    check_object,
    read_chat_request,
    read_text,
)
from sift_jax.serving.demo_page import draw_log_mel, send_file
from sift_jax.serving.errors import RequestError
from sift_jax.serving.limits import Limits
from sift_jax.serving.metrics import Metrics
from sift_jax.serving.replies import GONE, EventStream, describe_usage, watch_client
from sift_jax.serving.service import Answering, ClientGoneError, Prepared, Service, write_pieces
from sift_jax.serving.spoken_replies import SpeechRequest, Voice, read_speech_request

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]
# of a body that is refused, so many times what one may have
_MOST_DROPPED = 8


class Application:
    """Services by name, behind one gate."""

    def __init__(
        self,
        services: Sequence[Service],
        limits: Limits,
        metrics: Metrics,
        *,
        keys: Sequence[Secret] = (),
        voices: dict[str, Voice] | None = None,
        hosts: frozenset[str] | None = None,
    ):
        self.services = {service.name: service for service in services}
        self.limits, self.metrics, self._keys = limits, metrics, keys
        self.voices = voices or {}
        # by which it may be asked; None: by any
        self._hosts = hosts
        self.gate = Gate(limits.count_requests(len(services)))

    def make(self) -> Starlette:
        """What an ASGI server runs."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._wrap(self.complete), methods=["POST"]),
                Route("/v1/audio/speech", self._wrap(self.speak), methods=["POST"]),
                Route("/v1/models", self._wrap(self.list_models)),
                Route("/v1/models/{name:path}", self._wrap(self.show_model)),
                Route("/health", self._wrap(self.tell_health, is_open=True)),
                Route("/metrics", self._wrap(self.tell_metrics, is_open=True)),
                Route("/", self._wrap(send_file, is_open=True)),
                Route("/demo/log_mel", self._wrap(self.draw), methods=["POST"]),
                Route("/demo/{name}", self._wrap(send_file, is_open=True)),
            ],
            exception_handlers={HTTPException: _refuse_path},
        )

    def stop_taking(self) -> None:
        """What is running goes on; nothing more comes in."""
        self.gate.is_closed = True

    def stop(self) -> None:
        for service in self.services.values():
            service.stop()

    def _wrap(self, handle: Handler, *, is_open: bool = False) -> Handler:
        """A handler whose errors are answers, counted and timed until its reply is made, or where
        it is a stream until that has ended."""

        async def run(request: Request) -> Response:
            begun = time.perf_counter()
            try:
                self._check_host(request.headers.get("host", ""))
                if not is_open:
                    check_key(self._keys, request.headers.get("authorization", ""))
                response = await handle(request)
            except RequestError as error:
                response = _refuse(error)
            except (ClientDisconnect, ClientGoneError):
                response = Response(status_code=GONE)
            # a request must not take the server down with it
            except Exception:
                traceback.print_exc(file=sys.stderr)
                response = _refuse(RequestError(500, "an error of the server's; it was logged"))
            path = request.scope["route"].path

            def count(status: int) -> None:
                self.metrics.requests.add(1, path=path, status=str(status))
                self.metrics.request_seconds.observe(time.perf_counter() - begun, path=path)

            if isinstance(response, EventStream):
                response.tell_end = count
            else:
                count(response.status_code)
            return response

        return run

    def _check_host(self, host: str) -> None:
        """A page of another site may have its own name point at this machine; then a browser lets
        it read what is answered, and the name is what gives it away."""
        name = read_host(host)
        if name and self._hosts is not None and name not in self._hosts:
            raise RequestError(
                421,
                f"this server is not called {name[:64]!r}; ask it as 127.0.0.1, or start it with "
                "--allow_host=NAME",
                code="unknown_host",
            )

    async def complete(self, request: Request) -> Response:
        """A chat completion. A place at the gate is held until the last event has gone out."""
        begun = time.perf_counter()
        place = contextlib.ExitStack()
        with place:
            place.enter_context(self.gate.enter(self._estimate_wait()))
            body = await self._read_body(request)
            service, asked, prepared = await self._prepare(body)
            del body
            answering = service.answer(prepared, asked)
            pieces = self._time_first(
                write_pieces(answering, service.make_pieces(asked)), service.name, begun
            )
            head = {
                "id": f"chatcmpl-{uuid.uuid4().hex}",
                "created": int(time.time()),
                "model": service.name,
            }
            if not asked.is_stream:
                with watch_client(request.receive, answering):
                    text = "".join([piece async for piece in pieces])
                return JSONResponse(_describe_whole(head, text, answering))
            return EventStream(
                lambda: _list_chunks(head, pieces, answering, asked),
                answering,
                send_seconds=self.limits.send_seconds,
                held=place.pop_all(),
            )

    async def speak(self, request: Request) -> Response:
        """A text said aloud."""
        with self.gate.enter(self._estimate_wait()):
            body = await self._read_body(request)
            asked = await self._read_apart(lambda: read_speech_request(_parse(body)))
            service = self._find_service(asked.model)
            voice = self.voices.get(service.name)
            if voice is None:
                raise RequestError(
                    400, f"{service.name} answers in text alone; it has no voice", param="model"
                )
            return await self._say(request, service, voice, asked)

    async def _say(
        self, request: Request, service: Service, voice: Voice, asked: SpeechRequest
    ) -> Response:
        prepared = await service.read(lambda: voice.prepare(service, asked))
        answering = voice.begin(service, prepared, asked)
        with watch_client(request.receive, answering):
            async for _ in answering.list_ids():
                pass
        content = await service.read(lambda: voice.write(answering.ids, asked))
        return Response(content, media_type=asked.media_type)

    async def draw(self, request: Request) -> Response:
        """What the model hears of a recording."""
        with self.gate.enter(self._estimate_wait()):
            raw = await self._read_body(request)
            body = await self._read_apart(lambda: check_object(_parse(raw)))
            service = self._find_service(read_text(body, "model"))
            data = read_text(body, "data")
            return JSONResponse(await service.read(lambda: draw_log_mel(service, data)))

    async def list_models(self, request: Request) -> Response:
        models = [self._describe_model(service) for service in self.services.values()]
        return JSONResponse({"object": "list", "data": models})

    async def show_model(self, request: Request) -> Response:
        return JSONResponse(self._describe_model(self._find_service(request.path_params["name"])))

    async def tell_health(self, request: Request) -> Response:
        """200 where requests are taken and answered, and 503 otherwise."""
        dead = [s.name for s in self.services.values() if not s.engine.is_alive]
        status = "stopping" if self.gate.is_closed else "failed" if dead else "ok"
        return JSONResponse(
            {"status": status, "requests": self.gate.inside},
            status_code=200 if status == "ok" else 503,
        )

    async def tell_metrics(self, request: Request) -> Response:
        return PlainTextResponse(
            self.metrics.write(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    def _estimate_wait(self) -> int:
        return max(service.engine.estimate_wait() for service in self.services.values())

    def _find_service(self, name: str) -> Service:
        if name not in self.services:
            raise RequestError(
                404,
                f"no model {name[:64]!r}{suggest(name, self.services) or ''}; /v1/models lists them",
                param="model",
                code="model_not_found",
            )
        return self.services[name]

    def _describe_model(self, service: Service) -> dict[str, Any]:
        return {
            "id": service.name,
            "object": "model",
            "created": service.created,
            "owned_by": "sift_jax",
            "window_seconds": service.window_seconds,
            "max_positions": service.positions,
            "speaks": service.name in self.voices,
        }

    async def _read_body(self, request: Request) -> bytes:
        """The body within its bounds; a page of another site can send no JSON without asking."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(415, "the body must be JSON; send Content-Type: application/json")
        most, count, body = self.limits.body_bytes, 0, bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for chunk in request.stream():
                    count += len(chunk)
                    # what is too much is taken and dropped: a client that is cut off while it
                    # sends does not read the answer
                    if count <= most:
                        body += chunk
                    elif count > _MOST_DROPPED * most:
                        break
        except TimeoutError:
            if count <= most:
                raise RequestError(
                    408, f"the body did not come within {self.limits.body_seconds:g} s"
                ) from None
        if count > most:
            raise RequestError(413, f"the body has more than {most} bytes; send less at once")
        return bytes(body)

    async def _prepare(self, body: bytes) -> tuple[Service, ChatRequest, Prepared]:

        def read() -> tuple[Service, ChatRequest]:
            asked = read_chat_request(_parse(body), most_letters=self.limits.letters)
            return self._find_service(asked.model), asked

        service, asked = await self._read_apart(read)
        return service, asked, await service.read(lambda: service.prepare(asked))

    async def _read_apart(self, read: Callable[[], T]) -> T:
        """In the thread of some service: large bodies take long to read."""
        return await next(iter(self.services.values())).read(read)

    async def _time_first(
        self, pieces: AsyncIterator[str], model: str, begun: float
    ) -> AsyncIterator[str]:
        is_first = True
        async for piece in pieces:
            if is_first:
                self.metrics.first_seconds.observe(time.perf_counter() - begun, model=model)
                is_first = False
            yield piece


def _parse(body: bytes) -> Any:
    try:
        parsed = json.loads(body)
        # half of a letter beyond 16 bits, which JSON can escape and no tokenizer reads
        if b"\\ud" in body.lower():
            json.dumps(parsed, ensure_ascii=False).encode()
        return parsed
    # a body of brackets alone goes deeper than Python does
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {' '.join(str(error).split())}") from None


def _refuse(error: RequestError) -> Response:
    return JSONResponse(error.describe(), status_code=error.status, headers=error.headers)


async def _refuse_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    return _refuse(RequestError(error.status_code, f"no {where}; see the guide for what there is"))


def _describe_whole(head: dict[str, Any], text: str, answering: Answering) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
        "finish_reason": answering.reason,
    }
    usage = describe_usage(answering)
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


async def _list_chunks(
    head: dict[str, Any], pieces: AsyncIterator[str], answering: Answering, asked: ChatRequest
) -> AsyncIterator[dict[str, Any]]:
    """The role, the pieces, why it ended, and the usage where it was asked for."""
    head = {**head, "object": "chat.completion.chunk"}
    # with usage asked for, every chunk says that it has none but the last
    none = {"usage": None} if asked.has_usage else {}

    def make(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], **none}

    yield make({"role": "assistant", "content": ""})
    async for piece in pieces:
        yield make({"content": piece})
    yield make({}, answering.reason)
    if asked.has_usage:
        yield {**head, "choices": [], "usage": describe_usage(answering)}
