"""What a class means of any recording, and not only beside the others of its corpus.

    noise_level    measured 14.3 dB ─► between 10 and 18 dB, and not within the doubt of either ─► "slightly noisy"
                            18.5 dB ─► may be less than 18 as well ─► no class, and nothing is asked
                            14.3 dB, and a C50 of 6 dB ─► may be the room, which fills the pauses ─► no class

A sentence about noise, distance, distortion or quality says something of the recording itself, so
its classes have edges in units of the world: SNR and C50 in dB. What our measures say of real
voices under added noise and in simulated rooms is in calibration.json, which `python -m
benchmarks.calibration` writes; the doubts are what is read too high, or too low, in all but one of
a hundred clips, less what a listener does not notice (`NOTICED_DB`). Two equal edges leave out the
label between them: it would be told from its neighbours by luck.

A room fills the pauses of a recording that was cut close to its words, and reads as noise there;
noise hides the decays that a room is known by. So each of the two is told where the other is read
as good enough. Where no pause is left, speech that dies away reads as noise, too, but not as one
that lasts; and a word by itself, or a letter, may end as slowly as if in a room: so noise takes a
floor that is even, and distance a recording of some length (`Need`).

Two recordings need no class to be compared. Each has bounds (`find_bounds`), so wide that of two whose
bounds do not overlap the order is wrong in one of a hundred at most; calibration.json has how often:

    14.3 dB ─► 11.3 … 17.3      19.0 dB ─► 16 … 22      29.0 dB in a room ─► 26 … any
    the third is cleaner than either of the others; of these two nobody can tell

How high, fast, lively or loud somebody speaks has no such edges here. Those classes are places
within the corpus, as in SIFT-50M.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

ABSOLUTE = "absolute"
# How long a recording is: no measure, but what some classes need.
SECONDS = "seconds"
# How even the floor of its noise is (`noise.measure_evenness`), in dB.
EVENNESS = "evenness"

# A smaller change of SNR or of C50 goes unnoticed in speech by many listeners.
NOTICED_DB = 3.0

# At least, and at most; None where nothing says how much at most.
Bounds = tuple[float, float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Need:
    """Another key, SECONDS or EVENNESS, that must be `least` or more for the classes below `classes` to be
    told."""

    key: str
    least: float
    classes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """Inner edges of a key's labels; a value is no proof of what lies above an edge until it is
    `above` beyond it, nor of what lies below until it is `below` short of it. Two values have a
    sure order from twice `error` on. `basis` says where the edges are from."""

    edges: tuple[float, ...]
    above: float
    below: float
    basis: str
    needs: tuple[Need, ...] = ()
    error: float | None = None

    def describe(self) -> dict[str, Any]:
        """As bins.json has it."""
        table: dict[str, Any] = {
            "edges": list(self.edges),
            "method": ABSOLUTE,
            "doubt": [self.below, self.above],
        }
        if self.error is not None:
            table["error"] = self.error
        if self.needs:
            table["needs"] = [dataclasses.asdict(need) for need in self.needs]
        return {**table, "basis": self.basis}


# SNR: noise as loud as soft speech · in the way of listening · heard all the time · heard in the
# pauses · faint · none.
_SNR = (5.0, 10.0, 18.0, 25.0, 25.0, 35.0)
# The same with a place for the label that is left out; and what is very clean is clean, too.
_SNR_OF_ALL_LABELS, _SNR_AT_LEAST = (
    (5.0, 10.0, 18.0, 22.0, 28.0, 35.0),
    (5.0, 10.0, 18.0, 25.0, 25.0, 1e9),
)
# C50: a room is heard below 10 dB, from 20 on hardly any. The first and the fourth label are told
# of nothing: the blind estimate is off by up to seven decibels.
_C50 = (-20.0, 10.0, 20.0, 20.0)
_C50_OF_ALL_LABELS = (3.0, 10.0, 15.0, 20.0)
_NOT_A_ROOM = Need(key="reverberation", least=25.0, classes=4)
# Noise that lasts, of five kinds, was above -8 dB in all clips, babble in five of six; of studio
# recordings that read as less than 25 dB for want of pauses two of a hundred were.
_EVEN = Need(key=EVENNESS, least=-8.0, classes=4)
_NOT_IN_NOISE = Need(key="noise_level", least=20.0, classes=5)
# Of single words and letters spoken close to the microphone one in thirty was read as a room; of
# longer ones none.
_NOT_A_WORD = Need(key=SECONDS, least=1.5, classes=4)
_CALIBRATED = "known noise and rooms added to real voices: calibration.json"
_PUBLISHED = "data-speech's edges for this network (v02); not tried here"
# ITU-T P.800 calls 1 bad, 2 poor, 3 fair, 4 good and 5 excellent; DNSMOS hardly gives more than 4.
_OPINION = "opinion scores of ITU-T P.800; not tried here"
_SCALES: dict[tuple[str, str], Scale] = {
    ("noise_level", "gaps"): Scale(
        edges=_SNR,
        above=2.0,
        below=1.0,
        basis=_CALIBRATED,
        needs=(_NOT_A_ROOM, _EVEN),
        error=3.0,
    ),
    ("noise_level", "brouhaha"): Scale(
        edges=_SNR, above=2.0, below=2.0, basis="defined alike; not tried here"
    ),
    ("reverberation", "ridge"): Scale(
        edges=_C50,
        above=3.5,
        below=5.0,
        basis=_CALIBRATED,
        needs=(_NOT_IN_NOISE, _NOT_A_WORD),
        error=5.0,
    ),
    ("reverberation", "brouhaha"): Scale(
        edges=_C50, above=2.0, below=2.0, basis="defined alike; not tried here"
    ),
    ("distortion_level", "squim"): Scale(
        edges=(-0.41, 10.0, 20.0, 25.0, 28.0), above=0.0, below=0.0, basis=_PUBLISHED
    ),
    ("speech_quality", "squim"): Scale(
        edges=(1.7, 2.4, 3.1, 3.6, 4.0), above=0.0, below=0.0, basis=_PUBLISHED
    ),
    ("speech_quality", "dnsmos"): Scale(
        edges=(1.5, 2.0, 2.5, 3.0, 3.5), above=0.0, below=0.0, basis=_OPINION
    ),
}
# What is said of these is said of the recording.
ABSOLUTE_KEYS = ("noise_level", "reverberation", "distortion_level", "speech_quality")


def find_scales(chosen: Iterable[tuple[str, str]]) -> dict[str, Scale | None]:
    """The scale of each absolute key that is measured, by who measures it; None where nothing
    supports one.

    `distortion_level=energy` has none: it hears lasting noise alone, so that neither "no audible
    distortion" nor "extreme distortion" follows from it. `noise_level=inside` has none either: it
    reads the best recordings as 25 dB.
    """
    return {key: _SCALES.get((key, name)) for key, name in chosen if key in ABSOLUTE_KEYS}


def find_place(key: str, values: Mapping[str, float], table: Mapping[str, Any]) -> int | None:
    """The class that the values of a recording prove; None in doubt. `table` is a key's in
    bins.json, and `values` have SECONDS and EVENNESS, too."""
    below, above = table.get("doubt", (0.0, 0.0))
    lower, upper = (
        sum(values[key] + shift >= edge for edge in table["edges"]) for shift in (-above, below)
    )
    for need in table.get("needs", ()):
        if lower < need["classes"] and values.get(need["key"], -1e9) < need["least"]:
            return None
    return lower if lower == upper else None


def find_bounds(key: str, values: Mapping[str, float], table: Mapping[str, Any]) -> Bounds | None:
    """Between which the true value of a recording lies; None where that is not known.

    What a class needs (`Need`), the upper bound needs, too: a room or a single word makes a
    recording read as worse than it is, never as better. Nor is there an upper bound from the class
    on that asks for nothing: cut close to its words, a recording reads as 25 dB however clean it
    is. Where a need of all classes is not met, there are no bounds.
    """
    if "error" not in table:
        return None
    value, edges = values[key], table["edges"]
    below, _ = table.get("doubt", (0.0, 0.0))
    place = sum(value + below >= edge for edge in edges)
    is_open = False
    for need in table.get("needs", ()):
        is_met = values.get(need["key"], -1e9) >= need["least"]
        if not is_met and need["classes"] > len(edges):
            return None
        is_open = is_open or not is_met or need["classes"] <= place
    return value - table["error"], None if is_open else value + table["error"]


def find_edges(key: str) -> tuple[tuple[float, ...], ...]:
    """What the labels mean in the key's own units, whoever measures it: as they are told here, and
    with a place for those that are left out; nothing of keys that have no such units."""
    meanings = {
        "noise_level": (_SNR, _SNR_OF_ALL_LABELS, _SNR_AT_LEAST),
        "reverberation": (_C50, _C50_OF_ALL_LABELS),
    }
    return meanings.get(key, ())
