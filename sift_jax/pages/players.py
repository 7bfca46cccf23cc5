"""Recordings inside a page, as far as they find room: a page is one file, which loads nothing.

bytes of FLAC, MP3, … ─► base64, a third longer ─► <audio src="data:audio/flac;base64,…">; beyond the budget, a sentence
"""

from __future__ import annotations

import base64

from sift_jax.pages.document import say
from sift_jax.pages.templating import render_part

# of base64 text: with everything else a page stays under 6 MB
BUDGET_BYTES = 4_000_000


class Players:
    """Players of one page, until its budget of base64 text is spent, or `most` of them are made."""

    def __init__(self, budget: int = BUDGET_BYTES, most: int | None = None):
        self._left = self._limit = budget
        self._most = most

    def grant(self, share: float) -> None:
        """Of what is left, the next recordings may take this share: a long part of a page leaves
        something to the others."""
        self._limit = int(self._left * share)

    def embed(self, kind: str, data: bytes, *, name: str, label: str, above: str = "") -> str:
        """HTML of a player for a file of that MIME type; `above` is HTML that comes with it."""
        # 3 bytes become 4 letters
        size = -(-len(data) // 3) * 4
        if size > min(self._left, self._limit) or self._most == 0:
            return say(f"The recording {name} is left out to keep the page small.")
        self._left, self._limit = self._left - size, self._limit - size
        if self._most is not None:
            self._most -= 1
        audio = render_part("player", kind, base64.b64encode(data).decode("ascii"), label)
        return f'<div class="player">{above}{audio}</div>'
