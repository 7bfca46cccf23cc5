"""Replies of a judge behind an OpenAI-compatible server, by the standard library alone.

messages ─► POST {url}/chat/completions ─► 200                                    ─► text
                 ▲                          408, 429, 5xx, cut off, slow, no JSON ─► again, while patience lasts
                 └── the wait doubles ◄────┘
                                            400, 413, 422, …                      ─► CallError: this question's own
                                            401, 403, 404, …; down for too long   ─► JudgeError: the run stops
"""

from __future__ import annotations

import collections
import email.utils
import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from sift_jax.endpoints.secret import Secret
from sift_jax.evaluation.judges.config import JudgeConfig, JudgeError
from sift_jax.evaluation.judges.progress import tell

_RETRIED = (408, 409, 425, 429)
_FATAL = {
    401: "it refuses the key; set ${key}",
    402: "it wants to be paid; see to the account",
    403: "it refuses the key; set ${key}",
    404: "it has no such path or model; check url (…/v1) and model",
    405: "it takes no POST there; check the url (…/v1)",
}
_MOST_BYTES = 8 * 2**20
# of what a failing server says
_MOST_LOOKED_AT = 2**16
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_TOKENS = {"prompt_tokens": "in", "completion_tokens": "out"}


class CallError(RuntimeError):
    """One question that came to nothing, whatever others come to."""

    # the user can fix it: sift_jax.exits
    exit_code = 2


class _Passing(Exception):
    """A failure that another attempt may not meet."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class JudgeClient:
    """Safe to use from many threads. `clock` and `wait` stand for time in tests."""

    def __init__(
        self,
        config: JudgeConfig,
        key: Secret,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Any] | None = None,
    ):
        self.config, self._key, self._clock = config, key, clock
        self._stopped, self._answered_at = threading.Event(), float("-inf")
        self._lock, self._is_told = threading.Lock(), False
        # what the server says that its replies took
        self._cost = collections.Counter[str]()
        self._wait = wait or self._stopped.wait

    def stop(self) -> None:
        """Ends all waiting: calls under way get no further attempt."""
        self._stopped.set()

    def complete(self, messages: list[dict[str, str]]) -> str:
        """The judge's reply at temperature 0, after as many attempts as patience allows."""
        config = self.config
        body = {
            "model": config.model,
            "temperature": 0.0,
            "max_tokens": config.max_tokens,
            **config.extra,
        }
        body = {name: value for name, value in body.items() if value is not None}
        payload = json.dumps({**body, "messages": messages}, ensure_ascii=False).encode(
            "utf-8", "replace"
        )
        failed_at, pause = None, _FIRST_WAIT
        while not self._stopped.is_set():
            began = self._clock()
            try:
                found = self._post(payload)
                text = _read_reply(found)
            except JudgeError:
                self.stop()
                raise
            except _Passing as failure:
                failed_at = began if failed_at is None else failed_at
                left = failed_at + config.patience - self._clock()
                if left <= 0:
                    self._give_up(failure, failed_at)
                self._tell_waiting(failure, left)
                self._wait(min(max(pause, failure.wait), max(left, 0.01)))
                pause = min(2 * pause, _LONGEST_WAIT)
            else:
                self._answered_at = self._clock()
                self._count(found)
                return self._key.scrub(text)
        raise CallError("the run was stopped")

    def describe_cost(self) -> str:
        """Calls and tokens so far, for people."""
        with self._lock:
            cost = dict(self._cost)
        if not cost:
            return ""
        tokens = [f"{cost[name]:,} tokens {way}" for name, way in _TOKENS.items() if name in cost]
        return ", ".join([f"{cost['calls']:,} calls", *tokens])

    def _count(self, found: bytes) -> None:
        usage = json.loads(found).get("usage") or {}
        with self._lock:
            self._cost["calls"] += 1
            for name in _TOKENS:
                if isinstance(count := usage.get(name) if isinstance(usage, dict) else None, int):
                    self._cost[name] += count

    def _tell_waiting(self, failure: _Passing, left: float) -> None:
        """One line, at once, where nobody has answered yet: whoever waits ten minutes should know
        what for."""
        with self._lock:
            is_told, self._is_told = self._is_told or self._answered_at > float("-inf"), True
        if not is_told:
            tell(
                f"the judge does not answer yet: {failure.reason}; it is tried for another "
                f"{left:,.0f} s"
            )

    def _give_up(self, failure: _Passing, failed_at: float) -> None:
        said = f"waited {self.config.patience:g} s, and the last try met: {failure.reason}"
        # where others were answered meanwhile, the server is not down
        if self._answered_at > failed_at:
            raise CallError(said)
        self.stop()
        raise JudgeError(
            f"the judge does not answer: {said}; see to its server and start again, verdicts are "
            "kept"
        )

    def _post(self, payload: bytes) -> bytes:
        config = self.config
        parts = urllib.parse.urlsplit(config.url)
        path = (
            parts.path.rstrip("/")
            + "/chat/completions"
            + (f"?{parts.query}" if parts.query else "")
        )
        headers = {
            "Content-Type": "application/json",
            "Connection": "close",
            "User-Agent": "sift_jax",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        if parts.hostname is None:
            raise JudgeError(f"JudgeConfig.url {config.url!r} names no server")
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname,
                parts.port,
                timeout=config.seconds,
                context=ssl.create_default_context(),
            )
        else:
            connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=config.seconds
            )
        try:
            connection.request("POST", path, payload, headers)
            response = connection.getresponse()
            found = _read_before(response, time.monotonic() + config.seconds)
        except TimeoutError:
            raise _Passing(f"no whole reply in {config.seconds:g} s") from None
        # these print what they were given, so that only their names go on
        except http.client.HTTPException as error:
            raise _Passing(f"a broken reply ({type(error).__name__})") from None
        except OSError as error:
            raise _Passing(f"no connection ({error.strerror or type(error).__name__})") from None
        finally:
            connection.close()
        if response.status != 200:
            self._raise_status(response, found)
        return found

    def _raise_status(self, response: http.client.HTTPResponse, found: bytes) -> None:
        status = response.status
        said = " ".join(
            self._key.scrub(found[:_MOST_LOOKED_AT].decode("utf-8", "replace")).split()
        )[:200]
        if status in _RETRIED or status >= 500:
            raise _Passing(
                f"http {status} ({said})", _parse_retry_after(response.getheader("Retry-After"))
            )
        if 300 <= status < 400:
            raise JudgeError(f"the judge has moved (http {status}); give its new url")
        if status in _FATAL:
            remedy = _FATAL[status].replace("{key}", self.config.key_variable)
            raise JudgeError(f"the judge's server says http {status} ({said}): {remedy}")
        raise CallError(f"http {status}: {said}")


def _read_before(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole body; one that drips for ever is given up, though each of its pieces comes in
    time."""
    body = b""
    while piece := response.read1(65536):
        body += piece
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > _MOST_BYTES:
            raise _Passing(f"a reply of more than {_MOST_BYTES} bytes")
    if response.length:
        raise http.client.IncompleteRead(body)
    return body


def _read_reply(payload: bytes) -> str:
    """The text in a response body; empty where the model said nothing, which is an answer of a
    kind."""
    try:
        content = json.loads(payload)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise _Passing(f"no completion in the reply ({type(error).__name__})") from None
    if content is not None and not isinstance(content, str):
        raise _Passing("a completion that is not text")
    return (content or "").encode("utf-8", "replace").decode()


def _parse_retry_after(value: str | None) -> float:
    """Seconds to wait, from a header that says seconds or a date."""
    try:
        seconds = float(value or 0)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value or "").timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return min(max(0.0, seconds), 3600.0) if seconds == seconds else 0.0
