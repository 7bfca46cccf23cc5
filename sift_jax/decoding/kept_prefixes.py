"""What prompts begin with, as the cache of the decoder holds it, so that a recording is heard once
for all of its questions.

    <user> ♪ ♪ ♪ ♪ │ How fast? …         a prefix ends behind the last position of audio
    <user> ♪ ♪ ♪ ♪ │ How loud? …         the same tokens and the same samples: the same key

The keys are digests of tokens and samples; the oldest prefix goes first where the bytes are at
their bound.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import jax
import numpy as np

from sift_jax.decoding.cached_decoder import Cache
from sift_jax.decoding.generate import Prompt


def digest_clip(samples: np.ndarray) -> bytes:
    """By what it sounds like, and not by where it came from."""
    return hashlib.blake2b(np.ascontiguousarray(samples).data, digest_size=20).digest()


def count_prefix(prompt: Prompt) -> int:
    """Positions up to the last one of audio; none without audio."""
    heard = np.flatnonzero(prompt.clip >= 0)
    return int(heard[-1]) + 1 if len(heard) else 0


def digest_prefix(prompt: Prompt, digests: Sequence[bytes]) -> bytes:
    """Of the tokens and, at positions of audio, of the clip and the frame that stand there."""
    count = count_prefix(prompt)
    found = hashlib.blake2b(digest_size=20)
    for part in (prompt.tokens, prompt.clip, prompt.frame):
        found.update(np.asarray(part[:count], np.int64).tobytes())
    for digest in digests:
        found.update(digest)
    return found.digest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prefix:
    """`positions` of them count; the last part of the cache may hold a few more."""

    positions: int
    parts: Sequence[Cache]

    @property
    def nbytes(self) -> int:
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self.parts))


class KeptPrefixes:
    """At most `most_bytes` of prefixes, those used last."""

    def __init__(self, most_bytes: int):
        self.most_bytes, self.nbytes = most_bytes, 0
        self._kept: OrderedDict[bytes, Prefix] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes) -> Prefix | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: bytes, prefix: Prefix) -> None:
        """One that is larger than all there may be is not kept."""
        if key in self._kept or prefix.nbytes > self.most_bytes:
            return
        self._kept[key] = prefix
        self.nbytes += prefix.nbytes
        while self.nbytes > self.most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.nbytes -= oldest.nbytes

    def drop(self, key: bytes) -> None:
        """One that is worth nothing, if it is kept."""
        if key in self._kept:
            self.nbytes -= self._kept.pop(key).nbytes

    def clear(self) -> None:
        self._kept.clear()
        self.nbytes = 0
