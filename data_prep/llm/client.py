"""Calls to any OpenAI-compatible endpoint, chat completions first of all, with the standard library
alone.

    messages ─► POST {url}/chat/completions ─► 200, a whole answer                         ─► Reply
                     ▲                          429, 5xx, cut off, slow, nothing, no JSON   ─► wait, again
                     └── the wait doubles, with jitter; Retry-After holds all calls back ◄──┘
                                                400, 413, 422, … or out of attempts   ─► CallError, it is skipped
                                                401, 403, 404, moved, out of retries  ─► EndpointError, the run stops

A connection serves one call: a completion takes seconds, connecting takes milliseconds, and no
stale one is met.
"""

import collections
import dataclasses
import email.utils
import http.client
import json
import random
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sift_jax.endpoints.secret import Secret, check_address

Message = dict[str, str]
_Answer = TypeVar("_Answer")

_RETRIED = (408, 409, 425, 429)
_FATAL = {
    401: "it refuses the key; set ${key}",
    402: "it wants to be paid; see to the account",
    403: "it refuses the key; set ${key}",
    404: "it has no such path or model; see --endpoint (…/v1) and --model",
    405: "it takes no POST there; see --endpoint (…/v1)",
}
_MOST_BYTES = 16 * 2**20
# of what a failing server says
_MOST_LOOKED_AT = 2**16
_FIRST_WAIT = 0.5


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
    """A failure that another attempt may not meet."""

    def __init__(self, reason: str, detail: str, wait: float | None = None):
        super().__init__(reason)
        self.reason, self.detail, self.wait = reason, detail, wait


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to ask, and how patiently. `retries` is the limit over all calls of a run."""

    url: str
    model: str
    key_variable: str = "SIFT_LLM_KEY"
    concurrency: int = 16
    seconds: float = 120.0
    attempts: int = 8
    retries: int = 10_000
    longest_wait: float = 120.0
    # Templates of some models, Mixtral's among them, know no system message: then it begins the
    # user's.
    use_system_role: bool = True
    # Laid over each request body, for servers with ways of their own; None takes a parameter out.
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_address(self.url, self.key_variable)
        if not self.model:
            raise ValueError("no model; give the name under which the endpoint serves it")
        for name, least in {
            "concurrency": 1,
            "attempts": 1,
            "retries": 0,
            "seconds": 0.01,
            "longest_wait": 0,
        }.items():
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}={getattr(self, name)} is too small; give at least {least}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model said; token counts are None where the endpoint does not tell."""

    text: str
    finish: str
    prompt_tokens: int | None
    completion_tokens: int | None


class ChatClient:
    """Safe to use from many threads; they share the waiting and the limit of retries."""

    def __init__(self, endpoint: Endpoint, secret: Secret, *, seed: int = 0):
        self.endpoint, self._secret = endpoint, secret
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._rng, self._lock = random.Random(seed), threading.Lock()
        self._stopped, self._resume_at, self._retries = threading.Event(), 0.0, 0

    def stop(self) -> None:
        """Ends all waiting: calls under way get no further attempt."""
        self._stopped.set()

    def complete(self, body: dict[str, Any]) -> Reply:
        """The answer to a request body."""
        payload = json.dumps(body, ensure_ascii=False).encode()
        reply = self.call("/chat/completions", payload, "application/json", parse_completion)
        return dataclasses.replace(
            reply, text=self._secret.scrub(reply.text), finish=self._secret.scrub(reply.finish)
        )

    def call(
        self, path: str, payload: bytes, content_type: str, parse: Callable[[bytes], _Answer]
    ) -> _Answer:
        """What `parse` makes of the answer, after as many attempts as it takes or the endpoint's
        limits allow.

        An answer over which `parse` raises Passing is worth another attempt.
        """
        for attempt in range(1, self.endpoint.attempts + 1):
            self._wait_for_turn()
            try:
                answer = parse(self._post(path, payload, content_type))
                self._count("ok")
                return answer
            except Passing as failure:
                self._count(failure.reason)
                detail = self._tidy(failure.detail)
                if attempt == self.endpoint.attempts:
                    raise CallError(failure.reason, f"{detail}, at attempt {attempt}") from None
                self._plan_wait(failure, attempt, detail)
        raise AssertionError("unreachable")

    def _wait_for_turn(self) -> None:
        while not self._stopped.is_set() and (wait := self._resume_at - time.monotonic()) > 0:
            self._stopped.wait(wait)
        if self._stopped.is_set():
            raise CallError("stopped", "the run was stopped")

    def _plan_wait(self, failure: Passing, attempt: int, detail: str) -> None:
        """Sleeps before the next attempt; what the server asks for holds the other calls back
        too."""
        with self._lock:
            self._retries += 1
            is_spent = self._retries > self.endpoint.retries
            draw = self._rng.random()
        if is_spent:
            raise EndpointError(
                f"{self.endpoint.retries} retries are spent, the last for {failure.reason} "
                f"({detail}); see to the endpoint and start again: finished calls are kept"
            )
        longest = self.endpoint.longest_wait
        if failure.wait is not None:
            with self._lock:
                self._resume_at = max(
                    self._resume_at, time.monotonic() + min(failure.wait, longest)
                )
            # not all at once when the time has come
            self._stopped.wait(min(failure.wait, longest) + draw * _FIRST_WAIT)
        else:
            self._stopped.wait(draw * min(longest, _FIRST_WAIT * 2**attempt))

    def _post(self, path: str, body: bytes, content_type: str) -> bytes:
        parts = urllib.parse.urlsplit(self.endpoint.url)
        path = parts.path.rstrip("/") + path + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": content_type,
            "Accept": "*/*",
            "Connection": "close",
            "User-Agent": "sift_jax",
        }
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        if parts.hostname is None:
            raise EndpointError(f"the endpoint {self.endpoint.url!r} names no server")
        deadline = time.monotonic() + self.endpoint.seconds
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname,
                parts.port,
                timeout=self.endpoint.seconds,
                context=ssl.create_default_context(),
            )
        else:
            connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=self.endpoint.seconds
            )
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            payload = _read_before(response, deadline)
        except TimeoutError:
            raise Passing("slow", f"no whole answer in {self.endpoint.seconds:g} s") from None
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
        if 300 <= status < 400:
            raise EndpointError(f"the endpoint has moved (http {status}); give its new address")
        if status in _FATAL:
            remedy = _FATAL[status].replace("{key}", self.endpoint.key_variable)
            raise EndpointError(f"the endpoint says http {status} ({said}): {remedy}")
        raise CallError(f"http {status}", said)

    def _tidy(self, text: str) -> str:
        # of so much a line is left, whatever is masked
        return " ".join(self._secret.scrub(text[:_MOST_LOOKED_AT]).split())[:200]

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


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
    return body


def parse_completion(payload: bytes) -> Reply:
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
    if not isinstance(text, str) or not text.strip():
        raise Passing("empty answer", f"the completion is empty, its end is {finish!r}")
    # half of a surrogate pair cannot be written to any file
    text = text.encode("utf-8", "replace").decode()
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
