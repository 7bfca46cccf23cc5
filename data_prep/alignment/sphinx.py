"""The aligner out of the box for English: pocketsphinx, whose wheel carries model and dictionary.

    "Dr. Ngata's 2 dogs" ─► dictionary words; unknown ones spoken letter by letter ─► forced alignment, 10 ms frames

Its model is old and small: fine for words in quiet speech, not for phones. The pronunciation of a
word that the dictionary lacks is a guess from English spelling, good enough to hold its place.
Means of the features are taken over each recording, so that an answer does not depend on what was
aligned before.
"""

import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from data_prep.alignment.word_time import RATE, AlignmentError, WordTime, split_transcript
from sift_jax.extras import is_installed, say_install

if TYPE_CHECKING:
    import pocketsphinx

_FRAME_SECONDS = 0.01
# Narrower ones lose the path of a word that sounds unlike its pronunciation, and then everything.
_BEAMS = {"beam": 1e-120, "pbeam": 1e-120, "wbeam": 1e-100}
# The longest spelling that fits is spoken first.
_SOUNDS = {
    "tch": "CH",
    "sch": "SH",
    "igh": "AY",
    "eau": "OW",
    "ch": "CH",
    "sh": "SH",
    "th": "TH",
    "ph": "F",
    "wh": "W",
    "ck": "K",
    "ng": "NG",
    "qu": "K W",
    "gh": "G",
    "kn": "N",
    "wr": "R",
    "ee": "IY",
    "ea": "IY",
    "oo": "UW",
    "ou": "AW",
    "ow": "OW",
    "ai": "EY",
    "ay": "EY",
    "ey": "IY",
    "oi": "OY",
    "oy": "OY",
    "au": "AO",
    "aw": "AO",
    "er": "ER",
    "ar": "AA R",
    "or": "AO R",
    "a": "AE",
    "b": "B",
    "c": "K",
    "d": "D",
    "e": "EH",
    "f": "F",
    "g": "G",
    "h": "HH",
    "i": "IH",
    "j": "JH",
    "k": "K",
    "l": "L",
    "m": "M",
    "n": "N",
    "o": "AA",
    "p": "P",
    "q": "K",
    "r": "R",
    "s": "S",
    "t": "T",
    "u": "AH",
    "v": "V",
    "w": "W",
    "x": "K S",
    "y": "IY",
    "z": "Z",
    "0": "Z IH R OW",
    "1": "W AH N",
    "2": "T UW",
    "3": "TH R IY",
    "4": "F AO R",
    "5": "F AY V",
    "6": "S IH K S",
    "7": "S EH V AH N",
    "8": "EY T",
    "9": "N AY N",
}
_SPELLING = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))


class SphinxAligner:
    """English words in 16 kHz speech; scores are 1, for pocketsphinx gives none that compares
    between recordings."""

    def __init__(self) -> None:
        if not is_installed("pocketsphinx"):
            raise AlignmentError(
                f"pocketsphinx is not installed; {say_install('align')}, or give another aligner"
            )
        self._decoder = _make_decoder()

    def align(
        self, wave: np.ndarray, transcript: str, language: str | None = None
    ) -> list[WordTime]:
        """The words of the transcript in order."""
        words = split_transcript(transcript)
        if not words:
            raise AlignmentError("the transcript has no words; leave the utterance out")
        spoken = [self._find_pronounceable(word) for word in words]
        found = self._find_segments(wave, " ".join(spoken))
        if len(found) != len(words):
            raise AlignmentError(
                f"{len(found)} of {len(words)} words were found; check that transcript and "
                "recording belong together"
            )
        return [
            WordTime(
                word=word,
                start=round(start * _FRAME_SECONDS, 2),
                end=round((end + 1) * _FRAME_SECONDS, 2),
                score=1.0,
            )
            for word, (start, end) in zip(words, found, strict=True)
        ]

    def _find_pronounceable(self, word: str) -> str:
        """The dictionary's form of a word, which is put there if need be."""
        plain = unicodedata.normalize("NFKD", word.lower().replace("’", "'"))
        plain = "".join(
            letter for letter in plain if letter in "abcdefghijklmnopqrstuvwxyz0123456789'-"
        )
        for form in (plain, plain.strip("'-"), plain.replace("-", "")):
            if form and self._decoder.lookup_word(form):
                return form
        parts = [part for part in plain.split("-") if part]
        phones = " ".join(
            self._decoder.lookup_word(part) or guess_phones(part) for part in parts
        ).strip()
        if not phones:
            raise AlignmentError(
                f"word {word!r} has no letters that English can say; use another aligner"
            )
        self._decoder.add_word(plain, phones)
        return plain

    def _find_segments(self, wave: np.ndarray, text: str) -> list[tuple[int, int]]:
        """First and last frame of each word; fillers are left out."""
        decoder = self._decoder
        samples = np.round(np.clip(wave, -1.0, 1.0) * 32767).astype("<i2")
        try:
            decoder.set_align_text(text)
            decoder.start_utt()
            decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
            decoder.end_utt()
        except RuntimeError as error:
            # It may be left in the middle of an utterance, and then refuses the next.
            self._decoder = _make_decoder()
            raise AlignmentError(
                f"pocketsphinx fails on {text[:60]!r} ({error}); leave the utterance out"
            ) from None
        return [
            (segment.start_frame, segment.end_frame)
            for segment in decoder.seg() or ()
            if segment.word[0] not in "<[+" and segment.word != "(NULL)"
        ]


def _make_decoder() -> "pocketsphinx.Decoder":
    import pocketsphinx

    # Its second pass, the best path through a lattice, drops words of a path that the first has
    # found whole.
    return pocketsphinx.Decoder(
        samprate=RATE, lm=None, cmn="batch", bestpath=False, loglevel="FATAL", **_BEAMS
    )


def guess_phones(word: str) -> str:
    """ARPAbet by the commonest English sounds of the spelling; digits are said one by one."""
    # a silent e at the end
    spelling = (
        word[:-1] if len(word) > 3 and word.endswith("e") and word[-2] not in "aeiou" else word
    )
    return " ".join(_SOUNDS[match] for match in _SPELLING.findall(spelling))
