"""How many calls in a row may come to nothing before an endpoint is given up.

    ok  failed  failed  ok  failed × 3 for each call that runs at once ─►  EndpointError: the run stops, nothing is lost

A server that is down would else have everything skipped that is asked of it.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from data_prep.llm.chat_client import ChatClient
from sift_jax.endpoints.client import CallError, EndpointError

_Answer = TypeVar("_Answer")
_HOPELESS = 3


class Patience:
    """Safe to use from many threads."""

    def __init__(self, concurrency: int):
        self._most, self._in_a_row, self._lock = _HOPELESS * concurrency, 0, threading.Lock()

    def call(
        self,
        client: ChatClient,
        path: str,
        payload: bytes,
        content_type: str,
        parse: Callable[[bytes], _Answer],
    ) -> _Answer:
        """A call of the client that counts."""
        try:
            answer = client.call(path, payload, content_type, parse)
        except CallError as error:
            self.fail(error)
            raise
        self.succeed()
        return answer

    def succeed(self) -> None:
        with self._lock:
            self._in_a_row = 0

    def fail(self, error: CallError) -> None:
        """Counts a call that came to nothing; of those that were stopped it is not the endpoint's
        fault."""
        with self._lock:
            self._in_a_row += error.reason != "stopped"
            row = self._in_a_row
        if row >= self._most:
            raise EndpointError(
                f"{row} calls in a row came to nothing, the last for {error}; see to the endpoint "
                "and start again: finished calls are kept"
            ) from None
