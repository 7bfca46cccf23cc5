"""Windows with the text carried along, by an aligner whose attention is known: it listens where
each token is said."""

import numpy as np
import pytest
from whisper_folder import write_whisper

from data_prep.alignment.long_recordings import align_long
from data_prep.alignment.whisper_text import WhisperText
from data_prep.alignment.whisper_words import Heard
from data_prep.alignment.word_time import AlignmentError

RATE = 16_000


@pytest.fixture(scope="module")
def text_reader(tmp_path_factory):
    return WhisperText(write_whisper(tmp_path_factory.mktemp("whisper")), 263)


class KnowingListener:
    """Attention as the spans of the words [n, 2] make it; words that are not in a window are heard
    nowhere."""

    window_seconds, most_tokens = 30.0, 440

    def __init__(self, text, spans, wave):
        self.text, self.spans, self.wave, self.begins = text, spans, wave, []

    def hear(self, texts):
        ((window, part, _),) = texts
        begin = (
            window.__array_interface__["data"][0] - self.wave.__array_interface__["data"][0]
        ) // 4
        self.begins.append(begin / RATE)
        frames = len(window) // 320
        rng = np.random.default_rng(len(self.begins))
        matrix = 0.05 * rng.standard_normal((len(part.ids) + 1, frames)) - 0.1
        log_probs = np.full(len(part.ids), -6.0)
        # no word comes twice
        first = self.text.words.index(part.words[0])
        for token, owner in enumerate(part.owners):
            word = first + (owner if owner >= 0 else part.owners[:token].max(initial=0))
            start, end = (
                self.spans[word] if owner >= 0 else (self.spans[word][1], self.spans[word][1] + 0.1)
            )
            own = np.flatnonzero(part.owners == owner) if owner >= 0 else np.array([token])
            share = (end - start) / len(own)
            a = start + share * (token - own[0]) - begin / RATE
            lo, hi = round(a * 50) - 2, round((a + share) * 50) - 2
            if hi > 0 and lo < frames:
                matrix[token, max(lo, 0) : hi] += 2.0
                log_probs[token] = -0.7
        return [Heard(matrix=matrix, log_probs=log_probs, ends=np.full(len(part.ids) + 1, -9.0))]


def speak(words, rng, gap=0.25, lead=0.3, tail=1.0):
    """Spans of words [n, 2], a pause after each fifth, and a wave that is loud where they are."""
    spans, now = [], lead
    for i in range(words):
        length = rng.uniform(0.15, 0.5)
        spans.append((round(now, 2), round(now + length, 2)))
        now += length + (rng.uniform(gap, 3 * gap) if i % 5 == 4 else 0.0)
    wave = 1e-4 * rng.standard_normal(round((now + tail) * RATE)).astype(np.float32)
    for start, end in spans:
        wave[round(start * RATE) : round(end * RATE)] += 0.1 * rng.standard_normal(
            round(end * RATE) - round(start * RATE)
        ).astype(np.float32)
    return np.array(spans), wave


def name_words(count):
    """Words that are all different, so that a window knows its place."""
    letters = "bcdfghklmnprstvw"
    return " ".join(
        f"{letters[i // 256]}{letters[i // 16 % 16]}a{letters[i % 16]}"
        + ("." if i % 10 == 9 else "")
        for i in range(count)
    )


@pytest.mark.parametrize("count, lead, tail", [(300, 0.3, 1.0), (700, 0.3, 50.0), (200, 45.0, 1.0)])
def test_all_words_of_minutes_are_found_in_their_places(text_reader, count, lead, tail):
    spans, wave = speak(count, np.random.default_rng(count), lead=lead, tail=tail)
    text = text_reader.encode(name_words(count))
    listener = KnowingListener(text, spans, wave)
    times = align_long(listener, wave, text, "en")
    assert tuple(time.word for time in times) == text.words
    found = np.array([(time.start, time.end) for time in times])
    assert np.abs(found - spans).max() < 0.06
    # windows begin in pauses
    for begin in listener.begins[1:]:
        assert not ((spans[:, 0] < begin - 0.02) & (begin + 0.02 < spans[:, 1])).any()


def test_text_that_the_recording_has_not_is_an_error(text_reader):
    spans, wave = speak(200, np.random.default_rng(0))
    text = text_reader.encode(name_words(200))
    half = wave[: round(spans[100, 0] * RATE)]
    with pytest.raises(AlignmentError, match="words before the end of the text|lose each other"):
        align_long(
            KnowingListener(text, spans, half), half, text_reader.encode(name_words(1500)), "en"
        )


def test_words_that_nobody_believes_in_are_an_error(text_reader):
    spans, wave = speak(500, np.random.default_rng(0))
    text = text_reader.encode(name_words(500))

    class Doubting(KnowingListener):
        def hear(self, texts):
            (heard,) = super().hear(texts)
            return [Heard(matrix=heard.matrix, log_probs=heard.log_probs - 8, ends=heard.ends)]

    with pytest.raises(AlignmentError, match="lose each other near") as caught:
        align_long(Doubting(text, spans, wave), wave, text, "en")
    assert caught.value.reason == "not of this recording"
