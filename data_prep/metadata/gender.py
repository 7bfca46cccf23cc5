"""Gender where a corpus does not tell: by a plain rule on pitch, or by a network.

    median F0 [Hz]        … 145 ── male ──│── nobody knows ──│── female ── 185 …
    P(female) of a voice  0 …0.1 ── male ─│── nobody knows ──│─ female ── 0.9 … 1

The paper fills gaps by a speaker-recognition network (98.7 % right); gender_network.py takes any
classifier. The rule knows nothing but pitch: it declines where women and men overlap, and is wrong
about low-voiced women, high-voiced men and children. Where speakers are known, all their recordings
judge together, and what the corpus says of one of them holds for all. A gender that a corpus states
is never overruled; where the rule is sure of the other one, `check_stated` says so, for labels do
get swapped.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from data_prep.metadata.gender_network import FEMALE_SHARE
from sift_jax.sift.labels import GENDERS

OWN, BY_PITCH, BY_NETWORK = "own", "pitch", "network"
CHOICES = (OWN, BY_PITCH, BY_NETWORK)
FEMALE, MALE = GENDERS
# Adults who read: men mostly speak at 85–155 Hz, women at 165–255 Hz; the middle is left open.
_MALE_BELOW_HZ, _FEMALE_ABOVE_HZ = 145.0, 185.0
_SURE = 0.9

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
    """What of a measured row tells the gender, and which gender such numbers of one speaker
    tell."""

    read: Callable[[Row], float | None]
    decide: Callable[[float], str | None]

    def judge(self, numbers: Iterable[float | None]) -> str | None:
        """By the median of a speaker's recordings; None where nobody is sure."""
        known = [number for number in numbers if number is not None]
        return self.decide(float(np.median(known))) if known else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genders:
    """What is known of speakers: from the corpus itself, and by ear of the others."""

    given: Mapping[str, str]
    guessed: Mapping[str, str | None]
    judge: Judge

    def find(self, row: Row) -> str | None:
        """The gender of a measured row; None where nobody is sure."""
        speaker = row["speaker"]
        if row["gender"] in GENDERS or speaker in self.given:
            return row["gender"] if row["gender"] in GENDERS else self.given[speaker]
        return self.guessed[speaker] if speaker else self.judge.judge([self.judge.read(row)])


def name_by_pitch(hz: float) -> str | None:
    """By a median F0."""
    if hz < _MALE_BELOW_HZ:
        return MALE
    return FEMALE if hz > _FEMALE_ABOVE_HZ else None


def name_by_share(share: float) -> str | None:
    """By a network's P(female)."""
    if share >= _SURE:
        return FEMALE
    return MALE if share <= 1 - _SURE else None


JUDGES: Mapping[str, Judge] = {
    BY_PITCH: Judge(read=lambda row: row["values"]["average_pitch"], decide=name_by_pitch),
    BY_NETWORK: Judge(read=lambda row: row.get(FEMALE_SHARE), decide=name_by_share),
}


def learn_genders(rows: Iterable[Row], judge: Judge) -> Genders:
    """Of measured rows {"speaker", "gender", "values", …}: the gender of each speaker, given or by
    all recordings."""
    given: dict[str, str] = {}
    heard: dict[str, list[float | None]] = {}
    for row in rows:
        if row["speaker"] and row["gender"] in GENDERS:
            given.setdefault(row["speaker"], row["gender"])
        elif row["speaker"]:
            heard.setdefault(row["speaker"], []).append(judge.read(row))
    guessed = {speaker: judge.judge(numbers) for speaker, numbers in heard.items()}
    return Genders(given=given, guessed=guessed, judge=judge)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doubt:
    """A voice, by its speaker or else its recording, whose pitch is plainly that of the other
    gender."""

    id: str
    language: str
    detail: str


def check_stated(rows: Iterable[Row]) -> tuple[int, list[Doubt]]:
    """Of measured rows, how many voices have a stated gender and a pitch, and those of them where
    the two differ."""
    voices: dict[str, tuple[str, str, list[float]]] = {}
    checked, doubts = 0, []

    def check(voice: str, gender: str, language: str, pitches: Sequence[float]) -> None:
        hz = float(np.median(pitches))
        if name_by_pitch(hz) not in (gender, None):
            detail = (
                f"{gender}, at {hz:.0f} Hz over {len(pitches)} "
                f"recording{'s' if len(pitches) > 1 else ''}"
            )
            doubts.append(Doubt(id=voice, language=language, detail=detail))

    for row in rows:
        hz = row["values"].get("average_pitch")
        if row["gender"] not in GENDERS or hz is None:
            continue
        if row["speaker"]:
            voices.setdefault(row["speaker"], (row["gender"], row["language"], []))[2].append(hz)
        else:
            checked += 1
            check(row["id"], row["gender"], row["language"], [hz])
    for voice, found in voices.items():
        check(voice, *found)
    return checked + len(voices), doubts
