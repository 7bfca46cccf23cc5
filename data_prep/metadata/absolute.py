"""What a class means of any recording, and not only beside the others of its corpus.

    noise_level    measured 12.3 dB ─► between 10 and 18 dB, and not within the doubt of either ─► "slightly noisy"
                            17.5 dB ─► may be 18 as well ─► no class, and nothing is asked

A sentence about noise, distance, distortion or quality says something of the recording itself, so its classes have edges
in units of the world: SNR and C50 in dB. What our measures say of real voices under added noise and in simulated rooms
is in calibration.json, which `python -m data_prep.calibrate` writes; the doubts are what is read too high, or too low,
in all but one of a hundred clips, less what a listener does not notice (`NOTICED_DB`). Two equal edges leave out the
label between them: it would be told from its neighbours by luck.

How high, fast, lively or loud somebody speaks has no such edges here. Those classes are places within the corpus, as in
SIFT-50M.
"""

import dataclasses
from collections.abc import Iterable

# A smaller change of SNR or of C50 goes unnoticed in speech by many listeners.
NOTICED_DB = 3.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """Inner edges of a key's labels; a value is no proof of what lies above an edge until it is `above` beyond it, nor
    of what lies below until it is `below` short of it. `basis` says where the edges are from."""

    edges: tuple[float, ...]
    above: float
    below: float
    basis: str

    def find_place(self, value: float) -> int | None:
        """The class that a measured value proves; None in doubt."""
        return find_place(value, self.edges, (self.below, self.above))


# SNR: noise as loud as soft speech · in the way of listening · heard all the time · heard in the pauses · faint · none.
_SNR = (5.0, 10.0, 18.0, 25.0, 25.0, 35.0)
# The same with a place for the label that is left out.
_SNR_OF_ALL_LABELS = (5.0, 10.0, 18.0, 22.0, 28.0, 35.0)
# C50: words run together · clearly far · a room is heard · a room is felt · as if beside the ear.
_C50 = (2.0, 7.0, 13.0, 20.0)
_CALIBRATED = "known noise and rooms added to real voices: calibration.json"
_PUBLISHED = "data-speech's edges for this network (v02); not tried here"
# ITU-T P.800 calls 1 bad, 2 poor, 3 fair, 4 good and 5 excellent; DNSMOS hardly gives more than 4.
_OPINION = "opinion scores of ITU-T P.800; not tried here"
_SCALES: dict[tuple[str, str], Scale] = {
    ("noise_level", "gaps"): Scale(edges=_SNR, above=2.0, below=0.0, basis=_CALIBRATED),
    ("noise_level", "inside"): Scale(edges=_SNR, above=3.0, below=1.0, basis=_CALIBRATED),
    ("noise_level", "brouhaha"): Scale(edges=_SNR, above=2.0, below=2.0, basis="defined alike; not tried here"),
    ("reverberation", "ridge"): Scale(edges=_C50, above=2.0, below=1.0, basis=_CALIBRATED),
    ("reverberation", "brouhaha"): Scale(edges=_C50, above=2.0, below=2.0, basis="defined alike; not tried here"),
    ("distortion_level", "squim"): Scale(edges=(-0.41, 10.0, 20.0, 25.0, 28.0), above=0.0, below=0.0,
                                         basis=_PUBLISHED),
    ("speech_quality", "squim"): Scale(edges=(1.7, 2.4, 3.1, 3.6, 4.0), above=0.0, below=0.0, basis=_PUBLISHED),
    ("speech_quality", "dnsmos"): Scale(edges=(1.5, 2.0, 2.5, 3.0, 3.5), above=0.0, below=0.0, basis=_OPINION),
}
# What is said of these is said of the recording.
ABSOLUTE_KEYS = ("noise_level", "reverberation", "distortion_level", "speech_quality")


def find_scales(chosen: Iterable[tuple[str, str]]) -> dict[str, Scale | None]:
    """The scale of each absolute key that is measured, by who measures it; None where nothing supports one.

    `distortion_level=energy` has none: it hears lasting noise alone, so that neither "no audible distortion" nor
    "extreme distortion" follows from it.
    """
    return {key: _SCALES.get((key, name)) for key, name in chosen if key in ABSOLUTE_KEYS}


def find_place(value: float, edges: Iterable[float], doubt: tuple[float, float]) -> int | None:
    """The class between whose edges a value lies, `doubt` = (below, above) away from both."""
    below, above = doubt
    edges = tuple(edges)
    lower, upper = (sum(value + shift >= edge for edge in edges) for shift in (-above, below))
    return lower if lower == upper else None


def find_edges(key: str) -> tuple[float, ...] | None:
    """The edges in the key's own units, whoever measures it; None of keys that have none."""
    return {"noise_level": _SNR_OF_ALL_LABELS, "reverberation": _C50}.get(key)
