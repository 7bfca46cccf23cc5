"""The aligner of many languages: a Whisper reads the transcript along with its recording, and where
it listens is when.

    waves ─► log-mel ─► encoder ─┐
    transcripts ─► tokens ───────┴─► decoder ─► attention of some heads ─► first frame of each token   attention_path.py
        ─► words, without the marks between them ─► borders moved to pauses                            word_edges.py

Recordings are heard several at once, in windows of ten, twenty or thirty seconds, whichever holds
them. Longer ones go through in windows of which each takes up the text where the one before left it
(long_recordings.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_prep.alignment.attention_path import blend_heads, find_first_frames, sum_costs
from data_prep.alignment.long_recordings import align_long
from data_prep.alignment.whisper_text import Text, WhisperText
from data_prep.alignment.whisper_words import FRAME_SECONDS, Heard, make_times, place_words
from data_prep.alignment.word_edges import find_pauses
from data_prep.alignment.word_time import RATE, AlignmentError, Speech, WordTime
from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.weights.whisper import Whisper, load_whisper

if TYPE_CHECKING:
    from sift_jax.models.whisper_decoder import Reading

# of the median over frames, as OpenAI's
_MEDIAN_FRAMES = 7
_SAMPLES_PER_FRAME = round(FRAME_SECONDS * RATE)
# A window or a text is padded to a multiple: each size is compiled for itself.
_WINDOW_STEP_SECONDS, _TOKEN_STEP = 10, 32


class WhisperAligner:
    """Aligns with one Whisper, `batch` recordings at once."""

    batch = 8

    def __init__(self, whisper: Whisper, text: WhisperText):
        import jax

        self._whisper = whisper
        self._text = text
        self._params = jax.device_put(whisper.params)

    @classmethod
    def read(cls, folder: str | Path) -> "WhisperAligner":
        """The aligner of a folder in the layout of the hub."""
        try:
            whisper = load_whisper(folder)
        except ValueError as error:
            raise AlignmentError(str(error)) from None
        return cls(whisper, WhisperText(Path(folder), whisper.decoder.vocab_size))

    @property
    def window_seconds(self) -> float:
        return self._whisper.encoder.window_seconds

    def align(
        self, wave: np.ndarray, transcript: str, language: str | None = None
    ) -> list[WordTime]:
        """The words of the transcript in order; a score is the geometric mean probability of a
        word's tokens."""
        found = self.align_batch([Speech(wave=wave, transcript=transcript, language=language)])[0]
        if isinstance(found, AlignmentError):
            raise found
        return found

    def align_batch(self, speeches: Sequence[Speech]) -> list[list[WordTime] | AlignmentError]:
        """The words of each, or why they cannot be had."""
        found: dict[int, list[WordTime] | AlignmentError] = {}
        waiting: dict[int, tuple[Speech, Text]] = {}
        for place, speech in enumerate(speeches):
            try:
                seconds = len(speech.wave) / RATE
                if len(speech.wave) < _SAMPLES_PER_FRAME:
                    raise AlignmentError(
                        f"{len(speech.wave)} samples make no frame; leave the recording out"
                    )
                text = self._text.encode(speech.transcript)
                self._text.make_prompt(speech.language)
                if len(speech.wave) > self.window_seconds * RATE:
                    found[place] = align_long(self, speech.wave, text, speech.language)
                elif len(text.ids) > self.most_tokens:
                    raise AlignmentError(
                        f"{len(text.ids)} tokens of text in {seconds:.0f} s, and at most "
                        f"{self.most_tokens} are read; check that they belong together"
                    )
                else:
                    waiting[place] = speech, text
            except AlignmentError as error:
                found[place] = error
        heard = self.hear(
            [(speech.wave, text, speech.language) for speech, text in waiting.values()]
        )
        for (place, (speech, text)), one in zip(waiting.items(), heard, strict=True):
            spans = place_words(text, find_first_frames(sum_costs(one.matrix), len(text.ids)))
            found[place] = make_times(text, spans, one, find_pauses(speech.wave))
        return [found[place] for place in range(len(speeches))]

    @property
    def most_tokens(self) -> int:
        """Of a text, the prompt and the end not counted."""
        return self._whisper.decoder.positions - 5

    def hear(self, texts: Sequence[tuple[np.ndarray, Text, str | None]]) -> list[Heard]:
        """Each text along with its wave, of one window at most; those of a size together."""
        found: dict[int, Heard] = {}
        groups: dict[tuple[int, int], list[int]] = {}
        rows = [
            [*self._text.make_prompt(language), *text.ids.tolist(), self._text.end]
            for _, text, language in texts
        ]
        for place, (wave, _, _) in enumerate(texts):
            groups.setdefault(self._find_size(len(wave), len(rows[place])), []).append(place)
        for (frames, tokens), places in groups.items():
            for first in range(0, len(places), self.batch):
                part = places[first : first + self.batch]
                # one that is alone need not wait for seven that are empty
                count = self.batch if len(part) > 1 else 1
                mel = np.zeros((count, frames, self._whisper.encoder.mel_bins), np.float32)
                ids = np.full((count, tokens), self._text.end, np.int32)
                for row, place in enumerate(part):
                    fill_log_mel(texts[place][0], mel[row])
                    ids[row, : len(rows[place])] = rows[place]
                reading = self._read(mel, ids)
                weights, log_probs, ends = map(
                    np.asarray, (reading.weight_bhts, reading.log_prob_bt, reading.end_bt)
                )
                for row, place in enumerate(part):
                    wave, text, _ = texts[place]
                    begin = len(rows[place]) - len(text.ids) - 2
                    end = begin + len(text.ids)
                    own = weights[
                        row, :, begin : end + 1, : max(len(wave) // _SAMPLES_PER_FRAME, 1)
                    ]
                    found[place] = Heard(
                        matrix=blend_heads(own, _MEDIAN_FRAMES),
                        log_probs=log_probs[row, begin:end],
                        ends=ends[row, begin : end + 1],
                    )
        return [found[place] for place in range(len(texts))]

    def _find_size(self, samples: int, tokens: int) -> tuple[int, int]:
        """Mel frames and tokens of the smallest row that holds them."""
        step = _WINDOW_STEP_SECONDS * 100
        frames = min(-(-samples * 100 // (RATE * step)) * step, self._whisper.encoder.mel_frames)
        return frames, min(-(-tokens // _TOKEN_STEP) * _TOKEN_STEP, self._whisper.decoder.positions)

    def _read(self, mel: np.ndarray, ids: np.ndarray) -> "Reading":
        from sift_jax.models.whisper_decoder import encode_speech, read_along

        speech = encode_speech(self._whisper.encoder, self._params["encoder"], mel)
        return read_along(
            self._whisper.decoder,
            self._params["decoder"],
            ids,
            speech,
            heads=self._whisper.alignment_heads,
            end=self._text.end,
        )
