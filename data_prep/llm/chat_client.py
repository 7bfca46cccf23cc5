"""The endpoint of a writer, a filter, a voice or a recogniser, and how patiently it is asked.

attempt 1 ─ failed ─► wait 0…1 s ─► 2 ─ failed ─► 0…2 s ─► 3 … attempts     ─► CallError, it is skipped
            └ Retry-After: all calls wait so long                retries spent  ─► EndpointError, the run stops
"""

import dataclasses
import random
import threading
import time

from sift_jax.endpoints.client import CallError, Client, EndpointError, Passing, Retries, Server
from sift_jax.endpoints.secret import Secret

_FIRST_WAIT = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint(Server):
    """Where to ask, and how patiently. `retries` is the limit over all calls of a run."""

    key_variable: str = "SIFT_LLM_KEY"
    concurrency: int = 16
    seconds: float = 120.0
    attempts: int = 8
    retries: int = 10_000
    longest_wait: float = 120.0
    # Templates of some models, Mixtral's among them, know no system message: then it begins the
    # user's.
    use_system_role: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
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


class ChatClient(Client):
    """All calls share the waiting and the limit of retries."""

    def __init__(self, endpoint: Endpoint, secret: Secret, *, seed: int = 0):
        super().__init__(endpoint, secret, LimitedRetries(endpoint, seed))
        self.endpoint = endpoint


class LimitedRetries(Retries):
    """So many attempts at a call, and so many retries at all calls together."""

    def __init__(self, endpoint: Endpoint, seed: int):
        self._endpoint, self._retries = endpoint, 0
        self._rng, self._lock = random.Random(seed), threading.Lock()

    def plan(self, failure: Passing, attempt: int, began: float) -> float:
        """The wait doubles, with jitter; what the server asks for holds the other calls back
        too."""
        endpoint = self._endpoint
        if attempt == endpoint.attempts:
            raise CallError(failure.reason, f"{failure.detail}, at attempt {attempt}") from None
        with self._lock:
            self._retries += 1
            is_spent = self._retries > endpoint.retries
            draw = self._rng.random()
        if is_spent:
            raise EndpointError(
                f"{endpoint.retries} retries are spent, the last for {failure.reason} "
                f"({failure.detail}); see to the endpoint and start again: finished calls are kept"
            ) from None
        longest = endpoint.longest_wait
        if failure.wait is None:
            return draw * min(longest, _FIRST_WAIT * 2**attempt)
        asked = min(failure.wait, longest)
        with self._lock:
            self.resume_at = max(self.resume_at, time.monotonic() + asked)
        # not all at once when the time has come
        return asked + draw * _FIRST_WAIT
