"""Gender where a corpus does not tell: asked of a part with one interface, the default a plain rule on pitch.

    median F0 [Hz]   … 145 ── male ──│── unknown ──│── female ── 185 …

The paper fills gaps by a speaker-recognition network (98.7 % right). A part like that is any function from a wave and
its F0 track to a label. The rule here knows nothing but pitch: it declines where women and men overlap, and is wrong
about low-voiced women, high-voiced men and children. Where speakers are known, let it judge by all their recordings.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from sift_jax.data.labels import GENDERS

FEMALE, MALE = GENDERS
UNKNOWN = "unknown"
# Adults who read: men mostly speak at 85–155 Hz, women at 165–255 Hz; the middle is left open.
_MALE_BELOW_HZ, _FEMALE_ABOVE_HZ = 145.0, 185.0
_FEWEST_VOICED = 10


class GenderClassifier(Protocol):
    def __call__(self, wave: np.ndarray, track: np.ndarray) -> str:
        """female, male or unknown, of a 16 kHz wave and its F0 track."""
        ...


def classify_by_pitch(wave: np.ndarray, track: np.ndarray) -> str:
    """The default: by the median of the voiced frames."""
    voiced = track[np.isfinite(track)]
    return name_by_pitch(float(np.median(voiced))) if len(voiced) >= _FEWEST_VOICED else UNKNOWN


def name_by_pitch(hz: float) -> str:
    """By a median F0."""
    if hz < _MALE_BELOW_HZ:
        return MALE
    return FEMALE if hz > _FEMALE_ABOVE_HZ else UNKNOWN


def classify_speakers(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of measured rows {"speaker", "values"}: a gender for each speaker, by the median over the recordings' medians."""
    pitches: dict[str, list[float]] = {}
    for row in rows:
        pitches.setdefault(row["speaker"], []).append(row["values"]["average_pitch"])
    return {speaker: name_by_pitch(float(np.median(values))) for speaker, values in pitches.items()}


def fill_genders(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Measured rows with the gender that the rule is sure of where none was given; None where it is not.

    What a corpus says of one recording of a speaker holds for all of them.
    """
    given = {row["speaker"]: row["gender"] for row in rows if row["speaker"] and row["gender"] in GENDERS}
    guessed = classify_speakers(row for row in rows if row["speaker"] and row["speaker"] not in given)
    filled = []
    for row in rows:
        gender = row["gender"] if row["gender"] in GENDERS else given.get(row["speaker"])
        if gender is None:
            gender = guessed[row["speaker"]] if row["speaker"] else name_by_pitch(row["values"]["average_pitch"])
        filled.append({**row, "gender": gender if gender in GENDERS else None})
    return filled
