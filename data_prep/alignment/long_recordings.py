"""Word times of recordings longer than what an aligner hears: window by window, the text carried
along.

    recording   ├── window 1 ───────────┤                 a window is given more of the text than it can hold, and the
    text          w0 w1 … w61 │ w62 … w66                 path may end in any token: here it is in w66
    recording                 ├── window 2 ───────────┤   kept are the words up to a pause in its second half; there
    text                        w62 w63 …                 the next window begins

The last window is the one that holds all of the rest, of text and recording: there the path ends
with the text. A window in which no word is found is passed over. Words in which the network does
not believe, window after window, mean that text and recording have lost each other: the recording
is skipped.
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
# Of a window: the part from which on a pause is looked for, and what lies too near its end to be
# trusted.
_TRUSTED_FROM, _UNTRUSTED_SECONDS = 0.5, 1.0
# What a window that is passed over shares with the next, and what is left of a silence at the
# beginning of one.
_SHARED_SECONDS, _SILENCE_SECONDS = 2.0, 0.3
# The mean log probability of tokens that are not said in a window; those that are have −0.5 to
# −2.5.
_STRANGE = -4.0
_MOST_MISSES = 3


class Hearing(Protocol):
    """What is needed of an aligner."""

    @property
    def window_seconds(self) -> float: ...

    @property
    def most_tokens(self) -> int: ...

    def hear(self, texts: Sequence[tuple[np.ndarray, Text, str | None]]) -> list[Heard]: ...


def align_long(
    aligner: Hearing, wave: np.ndarray, text: Text, language: str | None
) -> list[WordTime]:
    """The words of the text in order, with their times in the whole wave."""
    samples = round(aligner.window_seconds * RATE)
    tokens = min(aligner.most_tokens, round(aligner.window_seconds * _MOST_TOKENS_PER_SECOND))
    times: list[WordTime] = []
    begin = misses = 0
    while len(times) < len(text.words):
        window = wave[begin : begin + samples]
        if len(window) < RATE // 10:
            raise AlignmentError(
                f"the recording ends before the word {text.words[len(times)]!r}, "
                f"{len(text.words) - len(times)} words before the end of the text; check that "
                "transcript and recording belong together",
                "not of this recording",
            )
        if silence := _find_silence(window):
            begin += silence
            continue
        part = text.cut(len(times), text.count_fitting(len(times), tokens))
        heard = aligner.hear([(window, part, language)])[0]
        is_last = begin + len(window) == len(wave) and len(times) + len(part.words) == len(
            text.words
        )
        found, next_begin = _take_words(window, part, heard, is_last)
        if not found or heard.log_probs[: part.starts[len(found)]].mean() < _STRANGE:
            misses += 1
            if misses == _MOST_MISSES or is_last:
                raise AlignmentError(
                    f"text and recording lose each other near {begin / RATE:.0f} s, at the word "
                    f"{part.words[0]!r}; check that they belong together",
                    "not of this recording",
                )
            begin += max(len(window) - round(_SHARED_SECONDS * RATE), RATE)
            continue
        misses = 0
        times += [
            WordTime(
                word=time.word,
                start=round(begin / RATE + time.start, 3),
                end=round(begin / RATE + time.end, 3),
                score=time.score,
            )
            for time in found
        ]
        begin += next_begin
    return times


def _find_silence(window: np.ndarray) -> int:
    """The samples of silence at the beginning that need not be heard."""
    pauses = find_pauses(window)
    quiet = pauses[0, 1] if len(pauses) and pauses[0, 0] == 0 else 0.0
    return round((quiet - _SILENCE_SECONDS) * RATE) if quiet > 3 * _SILENCE_SECONDS else 0


def _take_words(
    window: np.ndarray, part: Text, heard: Heard, is_last: bool
) -> tuple[list[WordTime], int]:
    """The words of a window that are kept, and the sample at which the next window begins."""
    costs = sum_costs(heard.matrix)
    # the path ends in a row in which a word begins
    last = len(part.ids) if is_last else int(part.starts[costs[part.starts + 1, -1].argmin()])
    first = find_first_frames(costs, last)
    count = int(np.searchsorted(part.starts, last, side="right")) - 1
    if count == 0:
        return [], 0
    kept_part = part.cut(0, count)
    times = make_times(kept_part, place_words(kept_part, first), heard, find_pauses(window))
    if is_last:
        return times, len(window)
    seconds = len(window) / RATE
    gaps = [
        (after.start - before.end, i)
        for i, (before, after) in enumerate(zip(times, times[1:], strict=False), 1)
        if before.end > _TRUSTED_FROM * seconds and after.start < seconds - _UNTRUSTED_SECONDS
    ]
    if gaps:
        _, kept = max(gaps)
        return times[:kept], round((times[kept - 1].end + times[kept].start) / 2 * RATE)
    kept = max(sum(time.end < seconds - _UNTRUSTED_SECONDS for time in times), 1)
    return times[:kept], round(times[kept - 1].end * RATE)
