"""Word times of recordings longer than what an aligner hears: window by window, the text carried along.

    recording   ├── window 1 ───────────┤                 a window is given more of the text than it can hold, and the
    text          w0 w1 … w61 │ w62 … w66                 path may end in any token: here it is in w66
    recording                 ├── window 2 ───────────┤   kept are the words up to a pause in its second half; there
    text                        w62 w63 …                 the next window begins

The last window is the one that holds all of the rest, of text and recording: there the path ends with the text. A
window in which no word is found is passed over. Words in which the network does not believe, window after window, mean
that text and recording have lost each other: the recording is set aside.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from data_prep.alignment.attention_path import find_first_frames, sum_costs
from data_prep.alignment.whisper_text import Text
from data_prep.alignment.whisper_words import Heard, make_times, place_words
from data_prep.alignment.word_edges import find_pauses
from data_prep.alignment.word_time import RATE, AlignmentError, WordTime

# Nobody says more in a second.
_MOST_TOKENS_PER_SECOND = 12
# Of a window: the part from which on a pause is looked for, and what lies too near its end to be trusted.
_TRUSTED_FROM, _UNTRUSTED_SECONDS = 0.5, 1.0
# The mean log probability of a window's tokens that are not of its recording.
_LOST = -5.0


class Hearing(Protocol):
    """What is needed of an aligner."""

    window_seconds: float
    most_tokens: int

    def hear(self, texts: Sequence[tuple[np.ndarray, Text, str | None]]) -> list[Heard]: ...


def align_long(aligner: Hearing, wave: np.ndarray, text: Text, language: str | None) -> list[WordTime]:
    """The words of the text in order, with their times in the whole wave."""
    samples = round(aligner.window_seconds * RATE)
    tokens = min(aligner.most_tokens, round(aligner.window_seconds * _MOST_TOKENS_PER_SECOND))
    times: list[WordTime] = []
    begin, trusts = 0, []
    while len(times) < len(text.words):
        window = wave[begin : begin + samples]
        if len(window) < RATE // 10:
            raise AlignmentError(f"the recording ends before the word {text.words[len(times)]!r}, "
                                 f"{len(text.words) - len(times)} words before the end of the text; check that "
                                 "transcript and recording belong together")
        part = text.cut(len(times), text.count_fitting(len(times), tokens))
        heard = aligner.hear([(window, part, language)])[0]
        is_last = begin + len(window) == len(wave) and len(times) + len(part.words) == len(text.words)
        found, next_begin = _take_words(window, part, heard, is_last)
        trusts += [heard.log_probs[: part.starts[len(found)]].mean()] if found else []
        if len(trusts) >= 3 and max(trusts[-3:]) < _LOST:
            raise AlignmentError(f"text and recording lose each other near {begin / RATE:.0f} s, at the word "
                                 f"{part.words[0]!r}; check that they belong together", "not of this recording")
        times += [WordTime(word=time.word, start=round(begin / RATE + time.start, 3),
                           end=round(begin / RATE + time.end, 3), score=time.score) for time in found]
        begin += next_begin
    return times


def _take_words(window: np.ndarray, part: Text, heard: Heard, is_last: bool) -> tuple[list[WordTime], int]:
    """The words of a window that are kept, and the sample at which the next window begins."""
    costs = sum_costs(heard.matrix)
    last = len(part.ids) if is_last else _find_end(costs, heard, part)
    first = find_first_frames(costs, last)
    count = int(np.searchsorted(part.starts, last, side="right")) - 1
    if count == 0:
        return [], max(len(window) - 2 * RATE, RATE)
    heard_part = part.cut(0, count)
    times = make_times(heard_part, place_words(heard_part, first), heard, find_pauses(window))
    if is_last:
        return times, len(window)
    seconds = len(window) / RATE
    gaps = [(after.start - before.end, i) for i, (before, after) in enumerate(zip(times, times[1:], strict=False), 1)
            if before.end > _TRUSTED_FROM * seconds and after.start < seconds - _UNTRUSTED_SECONDS]
    if gaps:
        _, kept = max(gaps)
        return times[:kept], round((times[kept - 1].end + times[kept].start) / 2 * RATE)
    kept = max(sum(time.end < seconds - _UNTRUSTED_SECONDS for time in times), 1)
    return times[:kept], round(times[kept - 1].end * RATE)


def _find_end(costs: np.ndarray, heard: Heard, part: Text) -> int:
    """The row in which the path ends: one in which a word begins, or the last."""
    rows = part.starts
    return int(rows[costs[rows + 1, -1].argmin()])
