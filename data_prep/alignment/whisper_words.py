"""From first frames of tokens to the times of words, for the Whisper aligner.

tokens   Ġ-O  ù  Ġ-est  Ġ-l  '  eau  Ġ-?  end       first frames   6  9  14  19  22  24  38  52
words    Où 0.12–0.28   est 0.28–0.38   l'eau 0.38–0.76      the mark takes the pause ─► borders moved to pauses
"""

import dataclasses

import numpy as np

from data_prep.alignment.whisper_text import Text
from data_prep.alignment.word_edges import move_to_pauses, shorten_ends
from data_prep.alignment.word_time import WordTime

FRAME_SECONDS = 0.02
# Attention goes to a token before it is said. Whisper-base was this much ahead of two hundred words
# of the synthesizer, in five languages, of other clips than those of benchmarks.word_times.
_AHEAD_SECONDS = 0.04


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """A text in its recording: attention [n + 1, frames], of rows that listen for tokens 0 … n − 1
    and the end; log probabilities of the tokens [n], and of the end in the place of each and behind
    them [n + 1]."""

    matrix: np.ndarray
    log_probs: np.ndarray
    ends: np.ndarray


def place_words(text: Text, first: np.ndarray) -> np.ndarray:
    """Start and end of each word in seconds [words, 2], of the first frame of each token and of the
    end [n + 1].

    A word lasts from its first token to what follows its last one, be that a mark or the next word.
    """
    place = np.arange(len(text.ids))
    begin = np.array([place[text.owners == word][0] for word in range(len(text.words))])
    end = np.array([place[text.owners == word][-1] + 1 for word in range(len(text.words))])
    return np.stack([first[begin], first[end]], axis=1) * FRAME_SECONDS


def make_times(text: Text, spans: np.ndarray, heard: Heard, pauses: np.ndarray) -> list[WordTime]:
    """The words, no longer ahead of the sound, with borders at pauses where some are near, and
    their scores."""
    seconds = heard.matrix.shape[1] * FRAME_SECONDS
    moved = move_to_pauses(widen(np.minimum(spans + _AHEAD_SECONDS, seconds)), pauses)
    moved = shorten_ends(moved, pauses)
    log_probs = heard.log_probs[: len(text.ids)]
    scores = [
        float(np.exp(log_probs[text.owners == word].mean())) for word in range(len(text.words))
    ]
    return [
        WordTime(
            word=word, start=round(float(start), 3), end=round(float(end), 3), score=round(score, 4)
        )
        for word, (start, end), score in zip(text.words, moved, scores, strict=True)
    ]


def widen(spans: np.ndarray) -> np.ndarray:
    """Words of no length get a frame: of the pause behind them, or of the word before or after that
    has more."""
    wide = np.array(spans, np.float64)
    for i in range(len(wide)):
        if i and wide[i, 0] < wide[i - 1, 1]:
            wide[i] = np.maximum(wide[i], wide[i - 1, 1])
        if wide[i, 1] - wide[i, 0] < FRAME_SECONDS:
            wide[i, 1] = wide[i, 0] + FRAME_SECONDS
    return wide
