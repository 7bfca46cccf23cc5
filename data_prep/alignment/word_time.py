"""When each word was said: the one form in which all aligners and all files of word times answer.

    wave [n] 16 kHz, transcript ── align_each ───►  [WordTime("Why", 0.13, 0.28, score 0.93), …]
    TextGrid, CTM, word list ─── read_entries ───►  (utterance id, WordTime), …
                    └─ use_spelling, make_word_spans ─► Utterance.words, to be measured

A score is between 0 and 1; 1 where a file gives times without one.
"""

import dataclasses
import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from data_prep.corpora.utterance import WordSpan

RATE = 16_000
# A word list made from another decoding of the same recording may end this much later than ours
# does.
_SLACK_SECONDS = 0.25
_SHORTEST_SECONDS = 0.01
# How aligners write a word that their dictionary lacks.
_UNKNOWN = frozenset({"<unk>", "[unk]", "unk", "spn", "<spn>"})


class AlignmentError(ValueError):
    """Word times that cannot be had; the message is one line for the user, the reason a name to
    count by."""

    def __init__(self, message: str, reason: str = "not aligned"):
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordTime:
    word: str
    start: float
    end: float
    score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speech:
    """A 16 kHz wave, what is said in it, and in which language, where that is known."""

    wave: np.ndarray
    transcript: str
    language: str | None


class Aligner(Protocol):
    def align(
        self, wave: np.ndarray, transcript: str, language: str | None = None
    ) -> list[WordTime]:
        """The words of the transcript in order, with their times in the 16 kHz wave."""
        ...


@runtime_checkable
class BatchAligner(Protocol):
    """An aligner that is quicker with several at once."""

    batch: int

    def align_batch(
        self, speeches: Sequence[Speech]
    ) -> list["list[WordTime] | AlignmentError"]: ...


def align_each(
    aligner: Aligner, speeches: Iterable[Speech]
) -> Iterator["list[WordTime] | AlignmentError"]:
    """The words of each, or why they cannot be had; no more of the waves are held at once than are
    aligned at once."""
    if isinstance(aligner, BatchAligner):
        waiting = iter(speeches)
        while group := list(itertools.islice(waiting, aligner.batch)):
            yield from aligner.align_batch(group)
        return
    for speech in speeches:
        try:
            yield aligner.align(speech.wave, speech.transcript, speech.language)
        except AlignmentError as error:
            yield error


def split_transcript(transcript: str) -> list[str]:
    """The words without the marks around them; what has no letter and no digit is not a word."""
    words = []
    for token in transcript.split():
        places = [i for i, letter in enumerate(token) if letter.isalnum()]
        if places:
            words.append(token[places[0] : places[-1] + 1])
    return words


def use_spelling(times: Sequence[WordTime], transcript: str) -> list[WordTime]:
    """The words as the transcript spells them; if an aligner has parted them otherwise ("l'",
    "eau"), as it does.

    Capitals and marks do not matter, a word that it does not know is the transcript's; others are
    an error.
    """
    words = split_transcript(transcript)
    is_same = len(words) == len(times) and all(
        list_letters(time.word) == list_letters(word) or time.word.casefold() in _UNKNOWN
        for time, word in zip(times, words, strict=True)
    )
    if is_same:
        return [
            dataclasses.replace(time, word=word) for time, word in zip(times, words, strict=True)
        ]
    if not times or list_letters("".join(time.word for time in times)) != list_letters(transcript):
        said = " ".join(time.word for time in times)
        raise AlignmentError(
            (
                f"the times are of {said[:60]!r}, the transcript is {transcript[:60]!r}; take the "
                "times of this recording"
            ),
            "other words",
        )
    return list(times)


def list_letters(text: str) -> str:
    """What is compared of a word: letters and digits, without regard to capitals."""
    return "".join(
        letter for letter in unicodedata.normalize("NFC", text).casefold() if letter.isalnum()
    )


def make_word_spans(times: Sequence[WordTime], duration: float) -> tuple[WordSpan, ...]:
    """Spans as the metadata has them: positions from 1, in order, inside the recording."""
    spans: list[WordSpan] = []
    for time in times:
        if time.end > duration + _SLACK_SECONDS:
            raise AlignmentError(
                f"word {time.word!r} ends at {time.end:.2f} s but the recording at {duration:.2f} "
                "s; check that times and audio belong together",
                "times beyond the end",
            )
        start, end = round(min(time.start, duration), 4), round(min(time.end, duration), 4)
        if end - start < _SHORTEST_SECONDS or spans and start < spans[-1].start:
            raise AlignmentError(
                f"word {time.word!r} has no place of its own ({start:g} to {end:g} s); align "
                "the recording again"
            )
        spans.append(WordSpan(word=time.word, position=len(spans) + 1, start=start, end=end))
    return tuple(spans)
