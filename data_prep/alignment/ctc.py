"""The CTC aligner: any wav2vec2-type checkpoint places the words of a transcript in a recording.

    wave ─► log p [t, v]      "Où est L'eau?" ─► ou|est|l'eau as symbols ─► Viterbi ─► first, last frame of each word

A letter that the vocabulary lacks is tried in the other case, then without its accent; a word of
which nothing is left (a number, another script) is a wildcard, which takes the frames that no other
word explains. CTC models speak in short spikes, so a word ends with the last spike of its last
letter, which may be some ten milliseconds early.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.alignment.ctc_checkpoint import Checkpoint, read_checkpoint
from data_prep.alignment.forced_alignment import align_symbols, score_spans
from data_prep.alignment.word_time import RATE, AlignmentError, WordTime, split_transcript
from sift_jax.codecs.hubert.network import compute_log_probs

# Attention grows with the square of a recording: beyond the first of these it is heard in windows
# of the second, each with a margin on either side that is thrown away.
_LONGEST_SECONDS, _WINDOW_SECONDS, _MARGIN_SECONDS = 60, 30, 3
_PLAIN = {"ß": "ss", "œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "’": "'", "‘": "'"}


class CtcAligner:
    """Aligns with one checkpoint; compiled once for each whole number of seconds."""

    def __init__(self, checkpoint: Checkpoint):
        import jax

        self._checkpoint = checkpoint
        self._params = jax.device_put(checkpoint.params)

    @classmethod
    def read(cls, folder: str | Path) -> "CtcAligner":
        """The aligner of a checkpoint folder."""
        return cls(read_checkpoint(folder))

    def align(
        self, wave: np.ndarray, transcript: str, language: str | None = None
    ) -> list[WordTime]:
        """The words of the transcript in order; a score is the geometric mean probability of a
        word's letters."""
        words = split_transcript(transcript)
        if not words:
            raise AlignmentError("the transcript has no words; leave the utterance out")
        log_probs = self.compute_log_probs(wave)
        wildcard = log_probs.shape[1]
        symbols, owners = spell_words(
            words, self._checkpoint.vocabulary, self._checkpoint.delimiter, wildcard
        )
        blank = self._checkpoint.blank
        # What the wildcard hears: whatever is likeliest but silence and the gap between words.
        no_letters = [blank, self._checkpoint.vocabulary.get(self._checkpoint.delimiter, blank)]
        letters = np.delete(log_probs, no_letters, axis=1).max(axis=1, keepdims=True)
        wide = np.concatenate([log_probs, letters], axis=1)
        spans = align_symbols(wide, symbols, blank)
        scores = score_spans(wide, symbols, spans)
        seconds = self._checkpoint.config.stride / RATE
        return [
            _join(word, spans[owners == i], scores[owners == i], seconds)
            for i, word in enumerate(words)
        ]

    def compute_log_probs(self, wave: np.ndarray) -> np.ndarray:
        """Log probabilities [t, v] of one 16 kHz wave; a long one is heard in windows that
        overlap."""
        config = self._checkpoint.config
        total = config.count_frames(len(wave))
        if total < 1:
            raise AlignmentError(f"{len(wave)} samples make no frame; leave the recording out")
        if self._checkpoint.is_normalised:
            wave = _normalise(wave)
        if len(wave) <= _LONGEST_SECONDS * RATE:
            return self._hear(wave)
        inner, margin = (
            seconds * RATE // config.stride for seconds in (_WINDOW_SECONDS, _MARGIN_SECONDS)
        )
        parts = []
        for first in range(0, total, inner):
            begin = max(first - margin, 0)
            heard = self._hear(
                wave[begin * config.stride : (first + inner + margin) * config.stride]
            )
            parts.append(heard[first - begin : first - begin + inner])
        return np.concatenate(parts)[:total]

    def _hear(self, wave: np.ndarray) -> np.ndarray:
        """One window, in a row of whole seconds: a length of its own would be compiled for
        itself."""
        row = np.zeros((1, max(math.ceil(len(wave) / RATE), 1) * RATE), np.float32)
        row[0, : len(wave)] = wave
        log_probs = compute_log_probs(
            self._checkpoint.config, self._params, row, np.array([len(wave)])
        )
        return np.asarray(log_probs[0])[: self._checkpoint.config.count_frames(len(wave))]


def spell_words(
    words: Sequence[str], vocabulary: Mapping[str, int], delimiter: str, wildcard: int
) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of all words, and for each the index of its word; −1 for the delimiters between
    them."""
    symbols: list[int] = []
    owners: list[int] = []
    for i, word in enumerate(words):
        if i and delimiter in vocabulary:
            symbols.append(vocabulary[delimiter])
            owners.append(-1)
        spelt = [place for letter in word for place in _spell_letter(letter, vocabulary)] or [
            wildcard
        ]
        symbols += spelt
        owners += [i] * len(spelt)
    return np.array(symbols), np.array(owners)


def _spell_letter(letter: str, vocabulary: Mapping[str, int]) -> list[int]:
    bare = unicodedata.normalize("NFD", letter)[0]
    for spelling in (letter, _PLAIN.get(letter.lower(), bare)):
        for form in (spelling, spelling.lower(), spelling.upper()):
            if all(part in vocabulary for part in form):
                return [vocabulary[part] for part in form]
    return []


def _normalise(wave: np.ndarray) -> np.ndarray:
    wave = wave.astype(np.float64)
    return (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)


def _join(word: str, spans: np.ndarray, scores: np.ndarray, seconds: float) -> WordTime:
    start, end = spans[0, 0] * seconds, spans[-1, 1] * seconds
    return WordTime(
        word=word,
        start=round(float(start), 4),
        end=round(float(end), 4),
        score=round(float(np.exp(scores.mean())), 4),
    )
