"""Who may ask, and how many at once.

Authorization: Bearer KEY ─► one of the keys of $SIFT_SERVE_KEYS?      401
Host: NAME                ─► a name of this machine, or one given?     421
requests at once          ─► a slot or a place in the queue?           429, Retry-After
the server is stopping    ─►                                           503
"""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Iterator, Sequence

from sift_jax.endpoints.secret import Secret
from sift_jax.serving.errors import RequestError

KEYS = "SIFT_SERVE_KEYS"


def read_keys() -> list[Secret]:
    """The keys, parted by commas or blanks; none where everybody may ask."""
    words = os.environ.get(KEYS, "").replace(",", " ").split()
    if KEYS in os.environ and not words:
        raise ValueError(
            f"${KEYS} is set and holds no key; set it to keys, or unset it to let all in"
        )
    for word in words:
        if not word.isascii() or not word.isprintable():
            raise ValueError(f"${KEYS} holds a letter beyond ASCII; set it to keys with commas")
    return [Secret(word) for word in words]


def check_key(keys: Sequence[Secret], authorization: str) -> None:
    """Takes as long for a key that is nearly right as for any other."""
    if not keys:
        return
    scheme, _, given = authorization.partition(" ")
    is_known = [hmac.compare_digest(given.strip().encode(), k.reveal().encode()) for k in keys]
    if scheme.lower() != "bearer" or not any(is_known):
        raise RequestError(
            401, "no valid key; send Authorization: Bearer KEY", code="invalid_api_key"
        )


def read_host(header: str) -> str:
    """The name in a Host header, without its port: of "[::1]:8000" "::1"."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


class Gate:
    """Counts the requests that are inside."""

    def __init__(self, most: int):
        self.most, self.inside, self.is_closed = most, 0, False

    @contextlib.contextmanager
    def enter(self, wait_seconds: int) -> Iterator[None]:
        """A place, or an error that says when to come again."""
        if self.is_closed:
            raise RequestError(
                503, "the server is stopping; ask again later", code="stopping", retry_after=5
            )
        if self.inside >= self.most:
            raise RequestError(
                429,
                f"{self.inside} requests are being answered or wait, and no more may; ask again "
                f"in {wait_seconds} s",
                code="queue_full",
                retry_after=wait_seconds,
            )
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
