"""The server of a judge, which is waited for as long as patience lasts.

failed ─► wait 0.5 s ─► failed ─► 1 s ─► … 30 s ─► patience is over, others were answered meanwhile ─► CallError
                                                                     nobody was                     ─► JudgeError
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from typing import Any

from sift_jax.endpoints.client import (
    CallError,
    Client,
    EndpointError,
    Message,
    Passing,
    Reply,
    Retries,
    Server,
)
from sift_jax.endpoints.secret import Secret
from sift_jax.evaluation.judges.config import JudgeConfig, JudgeError
from sift_jax.evaluation.judges.progress import tell

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_TOKENS = {"prompt_tokens": "in", "completion_tokens": "out"}


class JudgeServer(Server):
    """One that a JudgeConfig names."""

    CALLED = "the judge's server"
    SETTINGS = {"address": "url", "model": "model"}


class JudgeClient(Client):
    """Its errors are a judge's. `clock` and `wait` stand for time in tests."""

    def __init__(
        self,
        config: JudgeConfig,
        key: Secret,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Any] | None = None,
    ):
        server = JudgeServer(
            url=config.url,
            model=config.model,
            key_variable=config.key_variable,
            concurrency=config.concurrency,
            seconds=config.seconds,
            extra=config.extra,
        )
        super().__init__(
            server, key, PatientRetries(config.patience, clock), clock=clock, wait=wait
        )
        self.config = config
        # what the server says that its replies took
        self._cost = collections.Counter[str]()

    def ask(self, messages: list[Message]) -> str:
        """The judge's reply at temperature 0; empty where it said nothing, which is an answer of a
        kind."""
        parameters = {"temperature": 0.0, "max_tokens": self.config.max_tokens}
        body = self.server.make_body(parameters, messages=messages)
        try:
            reply = self.complete(body, may_be_empty=True)
        except EndpointError as error:
            self.stop()
            raise JudgeError(str(error)) from None
        self._count_cost(reply)
        return reply.text

    def describe_cost(self) -> str:
        """Calls and tokens so far, for people."""
        with self._lock:
            cost = dict(self._cost)
        if not cost:
            return ""
        tokens = [f"{cost[name]:,} tokens {way}" for name, way in _TOKENS.items() if name in cost]
        return ", ".join([f"{cost['calls']:,} calls", *tokens])

    def _count_cost(self, reply: Reply) -> None:
        with self._lock:
            self._cost["calls"] += 1
            for name in _TOKENS:
                if (count := getattr(reply, name)) is not None:
                    self._cost[name] += count


class PatientRetries(Retries):
    """A call is tried for so many seconds; where nobody is answered in them, no call is."""

    def __init__(self, patience: float, clock: Callable[[], float]):
        self._patience, self._clock = patience, clock
        self._answered_at = float("-inf")
        self._lock, self._is_told = threading.Lock(), False

    def plan(self, failure: Passing, attempt: int, began: float) -> float:
        """The wait doubles; what the server asks for is waited for, too, as far as patience
        reaches."""
        left = began + self._patience - self._clock()
        met = f"{failure.reason} ({failure.detail})"
        if left <= 0:
            self._give_up(met, began)
        self._tell_waiting(met, left)
        pause = min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT)
        return min(max(pause, failure.wait or 0.0), max(left, 0.01))

    def succeed(self) -> None:
        self._answered_at = self._clock()

    def _tell_waiting(self, met: str, left: float) -> None:
        """One line, at once, where nobody has answered yet: whoever waits ten minutes should know
        what for."""
        with self._lock:
            is_told, self._is_told = self._is_told or self._answered_at > float("-inf"), True
        if not is_told:
            tell(f"the judge does not answer yet: {met}; it is tried for another {left:,.0f} s")

    def _give_up(self, met: str, began: float) -> None:
        said = f"waited {self._patience:g} s, and the last try met: {met}"
        # where others were answered meanwhile, the server is not down
        if self._answered_at > began:
            raise CallError("no answer", said) from None
        raise EndpointError(
            f"the judge does not answer: {said}; see to its server and start again, verdicts are "
            "kept"
        ) from None
