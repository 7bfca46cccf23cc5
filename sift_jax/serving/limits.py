"""What a server takes, at most."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    # requests whose answers are being written
    slots: int
    # and that wait for a slot
    queue: int
    # of prompt and answer together
    positions: int
    # of an answer, where the request says nothing
    new_tokens: int
    # of a request
    body_bytes: int
    # in which a body must have come, and in which a client must take what it is sent
    body_seconds: float
    send_seconds: float
    # of prefixes that are kept, and of recordings that were heard
    kept_bytes: int

    def __post_init__(self) -> None:
        for name, least in (
            ("slots", 1),
            ("queue", 0),
            ("positions", 2),
            ("new_tokens", 1),
            ("body_bytes", 1024),
            ("kept_bytes", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} is too few; give {least} or more")
        for name in ("body_seconds", "send_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}; give more than 0")

    def count_requests(self, models: int) -> int:
        """At once, running and waiting; each model has slots of its own."""
        return models * self.slots + self.queue

    @property
    def letters(self) -> int:
        """Of all texts of a request: more would take long to split into tokens, only to be
        refused."""
        return 64 * self.positions
