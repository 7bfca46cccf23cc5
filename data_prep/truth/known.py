"""What is known of an utterance from elsewhere than the measures that its labels are from.

    corpus        text, gender, age, accent, language, emotion as the corpus states them utterances.jsonl
    Praat         F0, from where to where its deviation is, the level, where parselmouth is installed
    synthesizer   noise, room, pitch, level as the embedded corpus was told to make them
    word times    rate, where the corpus gives times of its words
    added         noise or a room that was just added (`conditions`)
    unchanged     what of the two was not added, within the bounds of the measure from before (`absolute.find_bounds`)

Of a value it is known to which classes it may belong: those within a tolerance of it, which is what
listeners do not notice, or what two sound ways of measuring differ by. Classes of the recording
itself are those of `metadata.absolute`, whatever the build's own edges are; how somebody speaks is
a place within the corpus, by the build's edges.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.metadata.absolute import ABSOLUTE_KEYS, NOTICED_DB, find_edges
from data_prep.metadata.bins import BY_GENDER, NOT_ASKED, Bins
from data_prep.metadata.fields import CORPUS
from data_prep.metadata.rate import count_phones
from data_prep.truth import praat
from data_prep.truth.texts import (
    MOOD,
    ORDER,
    REASON,
    SAME_GENDER,
    SPOKEN_WORD,
    TRANSCRIPT,
    VERDICT,
    Claim,
)
from sift_jax.sift.labels import ACOUSTIC_LABELS, GENDERS, LANGUAGE_NAMES

_SEMITONE = 2 ** (1 / 12)
# How far a true value may lie outside of a class that is still no error: added, or of frequencies a
# factor.
_TOLERANCES = {
    "noise_level": NOTICED_DB,
    "reverberation": NOTICED_DB,
    "average_intensity": 1.5,
    "speaking_rate": 0.5,
    "pitch_variation": 0.5,
    "average_pitch": _SEMITONE,
}
# Of seven places in a corpus neighbours are not told apart by ear: no question asks for that
# either.
_STEPS = {"average_pitch": 1, "pitch_variation": 1, "speaking_rate": 1}
# What the embedded synthesizer is asked for is the middle of a contour that it makes itself.
_ASKED_SEMITONES = 4.0
# Which moods an acted emotion is compatible with.
_MOODS = {
    "angry": ("lively",),
    "anger": ("lively",),
    "happy": ("lively",),
    "happiness": ("lively",),
    "surprised": ("lively",),
    "surprise": ("lively",),
    "fearful": ("lively",),
    "fear": ("lively",),
    "disgust": ("lively",),
    "disgusted": ("lively",),
    "excited": ("lively",),
    "anxious": ("lively",),
    "sad": ("tired",),
    "sadness": ("tired",),
    "bored": ("tired",),
    "boredom": ("tired",),
    "neutral": ("calm",),
    "calm": ("calm",),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """Values in the units of the measures, labels of what the corpus states, and who says so; of a
    value that two sound ways put differently, or that is known within bounds alone, from where to
    where it is."""

    values: Mapping[str, float]
    labels: Mapping[str, str]
    sources: Mapping[str, str]
    tolerances: Mapping[str, float]
    gender: str | None
    corpus: str | None
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


def read_stated(build: Path, names: set[str]) -> dict[str, dict[str, Any]]:
    """The corpus's own lines of these utterances, before anything was measured or guessed."""
    found = {}
    with (build / "utterances.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["id"] in names:
                found[row["id"]] = row
    return found


def find_known(row: Mapping[str, Any], stated: Mapping[str, Any], wave: np.ndarray | None) -> Known:
    """`row` is the utterance's metadata; `wave` may be left out where Praat is not to be asked."""
    labels = {
        key: stated[key] for key in ("gender", "age_category", "accent", "topic") if stated.get(key)
    }
    if stated.get("transcript"):
        labels[TRANSCRIPT] = stated["transcript"]
    labels["language"] = LANGUAGE_NAMES[stated["language"]]
    told = row.get("fields", {}).get("emotion", {})
    emotion = str(
        stated.get("emotion") or (told.get("label") if told.get("source") == CORPUS else "")
    ).lower()
    sources = dict.fromkeys(labels, "corpus")
    truth = {
        key: value
        for key, value in stated.get("truth", {}).items()
        if key not in ("speaking_rate", "pitch_variation")
    }
    values, tolerances = dict(truth), dict(_TOLERANCES)
    ranges: dict[str, tuple[float, float]] = {}
    sources |= dict.fromkeys(values, "synthesizer")
    tolerances["average_pitch"] = _SEMITONE**_ASKED_SEMITONES
    if wave is not None and praat.is_installed():
        words = row["words"]
        first, last = (
            (words[0]["start"], words[-1]["end"]) if words else (0.0, len(wave) / praat.RATE)
        )
        ranges = praat.measure_voice(wave, first, last)
        tolerances["average_pitch"] = _SEMITONE
        values |= {key: (low + high) / 2 for key, (low, high) in ranges.items()}
        sources |= dict.fromkeys(ranges, "Praat")
    if stated.get("words") and stated.get("phonemes"):
        seconds = stated["words"][-1]["end"] - stated["words"][0]["start"]
        if seconds > 0:
            values["speaking_rate"] = count_phones(stated["phonemes"]) / seconds
            sources["speaking_rate"] = "word times"
    if emotion in _MOODS:
        labels[MOOD] = emotion
        sources[MOOD] = "corpus"
    gender = row["gender"] if row["gender"] in GENDERS else None
    return Known(
        values=values,
        labels=labels,
        sources=sources,
        tolerances=tolerances,
        gender=gender,
        corpus=row.get("collection"),
        ranges=ranges,
    )


def judge(claim: Claim, known: list[Known], bins: Bins) -> bool | None:
    """Whether a claim about one clip or two is true; None where nothing is known of it."""
    if claim.key in (REASON, VERDICT):
        return claim.labels == ("true",)
    if claim.key.startswith(ORDER):
        key = claim.key.removeprefix(ORDER)
        if len(known) < 2 or not all(key in found.values for found in known):
            return None
        first, second = (_find_range(key, found) for found in known)
        # 2.1 … 2.6 is no less than 2.5 … 3.0, nor is it more.
        return second[1] > first[0] if claim.labels == ("high",) else second[0] < first[1]
    if claim.key == SAME_GENDER:
        genders = [found.labels.get("gender") for found in known]
        if len(genders) < 2 or not all(genders):
            return None
        return claim.labels == ("same" if genders[0] == genders[1] else "different",)
    if claim.clip >= len(known):
        return None
    found = known[claim.clip]
    if claim.key in (TRANSCRIPT, SPOKEN_WORD):
        return _judge_words(claim, found.labels.get(TRANSCRIPT))
    if claim.key == MOOD:
        return claim.labels[0] in _MOODS[found.labels[MOOD]] if MOOD in found.labels else None
    if claim.key in found.labels:
        return found.labels[claim.key] in claim.labels
    if claim.key not in found.values:
        return None
    possible = list_possible(claim.key, found, bins)
    return None if possible is None else bool(possible & set(claim.labels))


def _judge_words(claim: Claim, transcript: str | None) -> bool | None:
    """By the corpus's text, in letters alone: "Rain falls!" is "rain falls"."""
    if transcript is None:
        return None
    told, spoken = (re.findall(r"\w+", text.casefold()) for text in (claim.labels[0], transcript))
    if claim.key == TRANSCRIPT:
        return told == spoken
    places = range(len(spoken) - len(told) + 1)
    is_said = any(spoken[place : place + len(told)] == told for place in places)
    return claim.labels[1] == str(is_said).lower()


def _find_range(key: str, found: Known) -> tuple[float, float]:
    return found.ranges.get(key, (found.values[key], found.values[key]))


def list_possible(key: str, found: Known, bins: Bins) -> set[str] | None:
    """The classes that a true value may be told as; None where this build has no edges for it."""
    if key in ABSOLUTE_KEYS:
        meanings = find_edges(key)
    else:
        tables = bins.get(key, {})
        group = found.corpus if found.corpus in tables else "all"
        table = tables.get((found.gender if key in BY_GENDER else group) or "")
        meanings = (table["edges"],) if table and table.get("method") != NOT_ASKED else ()
    if not meanings:
        return None
    tolerance, step = found.tolerances[key], _STEPS.get(key, 0)
    low, high = _find_range(key, found)
    low, high = (
        (low / tolerance, high * tolerance)
        if key == "average_pitch"
        else (low - tolerance, high + tolerance)
    )
    near = {
        place
        for edges in meanings
        for place, (lower, upper) in enumerate(
            zip([-math.inf, *edges], [*edges, math.inf], strict=True)
        )
        if lower < upper and low < upper and high >= lower
    }
    return {
        label
        for place, label in enumerate(ACOUSTIC_LABELS[key])
        if any(abs(place - other) <= step for other in near)
    }
