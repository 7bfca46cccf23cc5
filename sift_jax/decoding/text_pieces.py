"""An answer in pieces while its tokens come: what they do not tell for certain yet waits.

ids so far    "Gr"   "Gr\\ufffd"   "Grün"   "Grün "   "Grün ist"      half a letter waits, and a blank
pieces        "Gr"                 "ün"               " ist"        that may be the last

stop "END"    "Grün E"  waits for what follows; "Grün END of" has ended, with "Grün"

Only the last tokens are decoded each time: what stands before them is settled, as text.
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.decoding.speech_constraints import SpeechRules
from sift_jax.text.tokenizers import SpeechTokenizer

# what bytes are decoded to that begin a letter and do not end it
_HALF_LETTER = "\ufffd"
# of so many tokens that are not settled, the last few stay so: what they are decoded to may depend
# on what comes behind
_MOST_OPEN, _LEFT_OPEN = 48, 16


def write_answer(tokenizer: SpeechTokenizer, speech: SpeechRules | None, ids: Sequence[int]) -> str:
    """The text of a whole answer, without the token that ended it; of units it says how many there
    are."""
    text = tokenizer.decode(ids).strip()
    if speech is None or speech.begin not in ids:
        return text
    units = sum(int(i) >= speech.ids.first for i in ids)
    return f"{text} [speech, {units} units]".strip()


class TextPieces:
    """Pieces that join to the answer; one of `stops` ends it, and is not part of it."""

    def __init__(
        self,
        tokenizer: SpeechTokenizer,
        speech: SpeechRules | None = None,
        stops: Sequence[str] = (),
    ):
        self._tokenizer, self._speech, self._stops = tokenizer, speech, tuple(stops)
        self.text, self.is_stopped = "", False
        # the first tokens, and what they are decoded to
        self._settled, self._settled_text = 0, ""

    def add(self, ids: Sequence[int]) -> str:
        """What is certain of all ids so far and was not told before; once stopped, nothing."""
        text = self._decode(ids).lstrip()
        found = self._find_stop(text)
        if found >= 0:
            self.is_stopped = True
            return self._tell(text[:found].rstrip())
        text = text.rstrip(_HALF_LETTER)
        return self._tell(text[: len(text) - self._count_open(text)].rstrip())

    def end(self, ids: Sequence[int]) -> str:
        """What was held back, and how much speech there is."""
        if self.is_stopped:
            return ""
        text = write_answer(self._tokenizer, self._speech, ids)
        found = self._find_stop(text)
        self.is_stopped = found >= 0
        rest = (text[:found].rstrip() if found >= 0 else text)[len(self.text) :]
        self.text += rest
        return rest

    def _decode(self, ids: Sequence[int]) -> str:
        """The text of all ids so far; the first ones are settled where that changes nothing."""
        open_ids = ids[self._settled :]
        text = self._tokenizer.decode(open_ids)
        if len(open_ids) > _MOST_OPEN:
            rest = self._tokenizer.decode(open_ids[-_LEFT_OPEN:])
            # Not where a letter lies across the border, nor where a tokenizer leaves out the blank
            # that its first token begins with and text would be lost: "a b" is "a" and " b".
            if rest and rest[0] != _HALF_LETTER and text.endswith(rest):
                before = self._settled_text + text
                self._settled += len(open_ids) - _LEFT_OPEN
                self._settled_text += text[: len(text) - len(rest)]
                return before
        return self._settled_text + text

    def _tell(self, text: str) -> str:
        if len(text) <= len(self.text) or not text.startswith(self.text):
            return ""
        piece = text[len(self.text) :]
        self.text = text
        return piece

    def _find_stop(self, text: str) -> int:
        places = [text.find(stop) for stop in self._stops]
        return min((place for place in places if place >= 0), default=-1)

    def _count_open(self, text: str) -> int:
        """Letters at the end that may begin a stop."""
        sizes = (
            size
            for stop in self._stops
            for size in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:size])
        )
        return max(sizes, default=0)
