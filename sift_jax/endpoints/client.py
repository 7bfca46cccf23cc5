"""Calls to any OpenAI-compatible server, chat completions first of all, with the standard library
alone.

    messages ─► POST {url}/chat/completions ─► 200, a whole answer                       ─► Reply
                     ▲                          429, 5xx, cut off, slow, nothing, no JSON ─► wait, again,
                     └── as long as Retries say ◄──┘                                         or CallError
                                                400, 413, 422, …           ─► CallError: this call's own
                                                401, 403, 404, …, moved    ─► EndpointError: the run stops

A connection serves one call: a completion takes seconds, connecting takes milliseconds, and no
stale one is met.
"""

import collections
import concurrent.futures
import dataclasses
import email.utils
import functools
import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

from sift_jax.endpoints.secret import Secret, check_address

Message = dict[str, str]
_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_RETRIED = (408, 409, 425, 429)
_FATAL = {
    401: "it refuses the key; set ${key}",
    402: "it wants to be paid; see to the account",
    403: "it refuses the key; set ${key}",
    404: "it has no such path or model; check {address} (…/v1) and {model}",
    405: "it takes no POST there; check {address} (…/v1)",
}
_MOST_BYTES = 16 * 2**20
# of what a failing server says
_MOST_LOOKED_AT = 2**16
# So many items ahead of the oldest unfinished one, for each call that runs at once, so that a call
# that waits for its next attempt leaves none idle.
_AHEAD = 16


class EndpointError(RuntimeError):
    """The endpoint is of no use to any call; one line with the remedy."""

    # the user can fix it: sift_jax.exits
    exit_code = 2


class CallError(RuntimeError):
    """One call that came to nothing; `reason` is a short name to count by."""

    # the user can fix it: sift_jax.exits
    exit_code = 2

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Passing(Exception):
    """A failure that another attempt may not meet; `wait` is what the server asks for."""

    def __init__(self, reason: str, detail: str, wait: float | None = None):
        super().__init__(reason)
        self.reason, self.detail, self.wait = reason, detail, wait


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """Where to ask, what for, and how long an answer may take."""

    url: str
    model: str
    key_variable: str
    # calls at once
    concurrency: int
    seconds: float
    # Laid over each request body, for servers with ways of their own; None takes a parameter out.
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    # What errors call it, and where its user gives its address and model.
    CALLED: ClassVar[str] = "the endpoint"
    SETTINGS: ClassVar[dict[str, str]] = {"address": "--endpoint", "model": "--model"}

    def __post_init__(self) -> None:
        check_address(self.url, self.key_variable)

    def make_body(self, parameters: Mapping[str, Any], **content: Any) -> dict[str, Any]:
        """A request: the parameters with `extra` over them, and content that nothing replaces."""
        body = {"model": self.model, **parameters, **self.extra, **content}
        return {name: value for name, value in body.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model said; token counts are None where the endpoint does not tell."""

    text: str
    finish: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Retries:
    """When a failed call is tried again; all calls of a client share it."""

    # by the client's clock: no attempt begins before
    resume_at = float("-inf")

    def plan(self, failure: Passing, attempt: int, began: float) -> float:
        """Seconds until the next attempt at a call that began then; CallError where there is none
        for it, EndpointError where there is none for any."""
        raise NotImplementedError

    def succeed(self) -> None:
        """A call was answered."""


class Client:
    """Safe to use from many threads. `clock` and `wait` stand for time in tests."""

    def __init__(
        self,
        server: Server,
        key: Secret,
        retries: Retries,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Any] | None = None,
    ):
        self.server, self._key, self._retries = server, key, retries
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._clock, self._wait = clock, wait or self._stopped.wait

    def stop(self) -> None:
        """Ends all waiting: calls under way get no further attempt."""
        self._stopped.set()

    def complete(self, body: dict[str, Any], *, may_be_empty: bool = False) -> Reply:
        """The answer to a request body."""
        payload = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        parse = functools.partial(parse_completion, may_be_empty=may_be_empty)
        reply = self.call("/chat/completions", payload, "application/json", parse)
        return dataclasses.replace(
            reply, text=self._key.scrub(reply.text), finish=self._key.scrub(reply.finish)
        )

    def call(
        self, path: str, payload: bytes, content_type: str, parse: Callable[[bytes], _Answer]
    ) -> _Answer:
        """What `parse` makes of the answer, after as many attempts as it takes or the retries
        allow.

        An answer over which `parse` raises Passing is worth another attempt.
        """
        began, attempt = self._clock(), 0
        while True:
            attempt += 1
            self._wait_for_turn()
            try:
                answer = parse(self._post(path, payload, content_type))
            except Passing as failure:
                self._count(failure.reason)
                failure.detail = self._tidy(failure.detail)
                self._wait(self._retries.plan(failure, attempt, began))
            else:
                self._count("ok")
                self._retries.succeed()
                return answer

    def map(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """The results in the order of the items, as many at once as the server takes, and not too
        far ahead."""
        concurrency = self.server.concurrency
        waiting: collections.deque[concurrent.futures.Future[_Result]] = collections.deque()
        pool, is_done = concurrent.futures.ThreadPoolExecutor(concurrency), False
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= _AHEAD * concurrency:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            is_done = True
        finally:
            if not is_done:
                self.stop()
            pool.shutdown(cancel_futures=True)

    def _wait_for_turn(self) -> None:
        while not self._stopped.is_set() and (left := self._retries.resume_at - self._clock()) > 0:
            self._wait(left)
        if self._stopped.is_set():
            raise CallError("stopped", "the run was stopped")

    def _post(self, path: str, body: bytes, content_type: str) -> bytes:
        seconds, parts = self.server.seconds, urllib.parse.urlsplit(self.server.url)
        path = parts.path.rstrip("/") + path + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": content_type,
            "Accept": "*/*",
            "Connection": "close",
            "User-Agent": "sift_jax",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        deadline = time.monotonic() + seconds
        connection = _connect(parts, seconds)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            payload = _read_before(response, deadline)
        except TimeoutError:
            raise Passing("slow", f"no whole answer in {seconds:g} s") from None
        # these print what they were given, so that only their names go on
        except http.client.HTTPException as error:
            raise Passing("broken answer", type(error).__name__) from None
        except OSError as error:
            raise Passing("no connection", error.strerror or type(error).__name__) from None
        finally:
            connection.close()
        if response.status != 200:
            self._raise_status(response, payload)
        return payload

    def _raise_status(self, response: http.client.HTTPResponse, payload: bytes) -> None:
        status, said = response.status, self._tidy(payload.decode("utf-8", "replace"))
        if status in _RETRIED or status >= 500:
            raise Passing(
                f"http {status}", said, parse_retry_after(response.getheader("Retry-After"))
            )
        self._count(f"http {status}")
        server = self.server
        if 300 <= status < 400:
            raise EndpointError(
                f"{server.CALLED} has moved (http {status}); give its new "
                f"{server.SETTINGS['address']}"
            )
        if status in _FATAL:
            remedy = _FATAL[status].format(key=server.key_variable, **server.SETTINGS)
            raise EndpointError(f"{server.CALLED} says http {status} ({said}): {remedy}")
        raise CallError(f"http {status}", said)

    def _tidy(self, text: str) -> str:
        # of so much a line is left, whatever is masked
        return " ".join(self._key.scrub(text[:_MOST_LOOKED_AT]).split())[:200]

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


def _connect(parts: urllib.parse.SplitResult, seconds: float) -> http.client.HTTPConnection:
    """Of an address that was checked: it names a server."""
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=seconds)


def _read_before(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole body; one that drips for ever is given up, though each of its pieces comes in
    time."""
    body = b""
    while piece := response.read1(65536):
        body += piece
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > _MOST_BYTES:
            raise Passing("too large", f"more than {_MOST_BYTES} bytes")
    if response.length:
        raise http.client.IncompleteRead(body)
    return body


def parse_completion(payload: bytes, *, may_be_empty: bool = False) -> Reply:
    """The reply in a response body; whatever is not one is worth another attempt."""
    try:
        value = json.loads(payload)
        choice = value["choices"][0]
        text, finish = choice["message"]["content"], str(choice.get("finish_reason"))
        usage = value.get("usage") or {}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # whole: whoever shows it scrubs it before it is cut
        detail = f"no completion ({type(error).__name__}) in {payload.decode(errors='replace')}"
        raise Passing("broken answer", detail) from None
    if not isinstance(text, str | None):
        raise Passing("broken answer", "a completion that is not text")
    # half of a surrogate pair cannot be written to any file
    text = (text or "").encode("utf-8", "replace").decode()
    if not text.strip() and not may_be_empty:
        raise Passing("empty answer", f"the completion is empty, its end is {finish!r}")
    counts = [
        usage.get(name) if isinstance(usage, dict) else None
        for name in ("prompt_tokens", "completion_tokens")
    ]
    prompt, completion = (count if type(count) is int and count >= 0 else None for count in counts)
    return Reply(text=text, finish=finish, prompt_tokens=prompt, completion_tokens=completion)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a header that says seconds or a date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds == seconds else None
