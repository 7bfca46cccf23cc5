"""What changes within an utterance: pitch, its variation and intensity of each word.

    F0 track [t], frame power [t], word times  ─►  [{"word", "position", "start", "end", "average_pitch", …}, …]

A word without at least three voiced frames has no pitch: the value is null.
"""

from collections.abc import Sequence

import numpy as np

from data_prep.corpora.utterance import WordSpan
from data_prep.metadata.pitch import slice_track

_FEWEST_VOICED = 3


def measure_words(
    track: np.ndarray, power: np.ndarray, words: Sequence[WordSpan], lead: float = 0.0
) -> list[dict[str, object]]:
    """One row a word, in order; track and power begin `lead` seconds into the recording whose times
    the words have."""
    rows = []
    for span in words:
        start, end = span.start - lead, span.end - lead
        voiced = slice_track(track, start, end)
        voiced = voiced[np.isfinite(voiced)]
        is_voiced = len(voiced) >= _FEWEST_VOICED
        first = max(int(start / 0.01), 0)
        piece = power[first : max(int(end / 0.01), first + 1)]
        rows.append(
            {
                "word": span.word,
                "position": span.position,
                "start": span.start,
                "end": span.end,
                "average_pitch": round(float(np.median(voiced)), 2) if is_voiced else None,
                "pitch_variation": round(float(np.std(12 * np.log2(voiced))), 3)
                if is_voiced
                else None,
                "average_intensity": round(10 * float(np.log10(piece.mean())), 2)
                if len(piece)
                else None,
            }
        )
    return rows
