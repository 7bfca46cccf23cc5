"""What follows from which classes: the only inferences that open questions draw.

    place      C50: far in an echoing room · at some distance · close to the microphone
    improve    less noise, nearer to the microphone; or that these are well
    audiobook  the sound of a recording is good enough, or hardly
    learner    a beginner could follow, or hardly

Each stands on absolute classes (`metadata.absolute`), or on a value in units of the world beside
the class; those that are places within a corpus support none. What lies between "yes" and "no" is
not asked about.
"""

import dataclasses
from collections.abc import Mapping

from sift_jax.sift.labels import ACOUSTIC_LABELS

Measures = Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grounds:
    """The classes of a key from `low` to `high` that support an inference, where the value is in
    `values`, too."""

    low: int
    high: int
    values: tuple[float, float] | None = None

    def support(self, key: str, label: str, values: Measures) -> bool:
        """Whether this label does, and the value if that has a say."""
        if not self.low <= ACOUSTIC_LABELS[key].index(label) <= self.high:
            return False
        if self.values is None:
            return True
        return key in values and self.values[0] <= values[key] <= self.values[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inference:
    """One conclusion of a form: from any of its grounds, or from all of them together."""

    grounds: Mapping[str, Grounds]
    needs_all: bool = True

    def find_support(self, labels: Mapping[str, str], values: Measures) -> tuple[str, ...]:
        """The keys whose labels support it; none where it does not follow."""
        found = tuple(
            key
            for key, grounds in self.grounds.items()
            if key in labels and grounds.support(key, labels[key], values)
        )
        return found if len(found) == len(self.grounds) or not self.needs_all else ()


# Phones a second. Read at a normal speed the five languages have some 13 to 17.
_UNHURRIED, _HURRIED = (0.0, 12.0), (18.0, 40.0)
_NOISY, _CLEAN, _VERY_CLEAN = Grounds(low=0, high=2), Grounds(low=5, high=6), Grounds(low=6, high=6)
_FAR, _AT_SOME_DISTANCE = Grounds(low=0, high=1), Grounds(low=2, high=2)
_NEAR, _BESIDE = Grounds(low=3, high=4), Grounds(low=4, high=4)

# By form, in the order in which the templates have them.
INFERENCES: dict[str, tuple[Inference, ...]] = {
    "place": (
        Inference(grounds={"reverberation": _FAR}),
        Inference(grounds={"reverberation": _AT_SOME_DISTANCE}),
        Inference(grounds={"reverberation": _NEAR}),
    ),
    "audiobook": (
        Inference(grounds={"noise_level": _NOISY, "reverberation": _FAR}, needs_all=False),
        # What an audiobook's publisher asks for is a floor of -60 dBFS under speech of some -20.
        Inference(grounds={"noise_level": _VERY_CLEAN, "reverberation": _BESIDE}),
    ),
    "learner": (
        Inference(
            grounds={
                "speaking_rate": Grounds(low=5, high=6, values=_HURRIED),
                "noise_level": _NOISY,
            },
            needs_all=False,
        ),
        Inference(
            grounds={
                "speaking_rate": Grounds(low=0, high=2, values=_UNHURRIED),
                "noise_level": _CLEAN,
            }
        ),
    ),
}
# By key: what is a fault, and what is well.
IMPROVEMENTS: dict[str, tuple[Inference, Inference]] = {
    "noise_level": (
        Inference(grounds={"noise_level": _NOISY}),
        Inference(grounds={"noise_level": _CLEAN}),
    ),
    "reverberation": (
        Inference(grounds={"reverberation": Grounds(low=0, high=2)}),
        Inference(grounds={"reverberation": _NEAR}),
    ),
}


def list_keys(form: str) -> tuple[str, ...]:
    """All that a form's inferences rest on."""
    return tuple(dict.fromkeys(key for inference in INFERENCES[form] for key in inference.grounds))


def infer(
    form: str, labels: Mapping[str, str], values: Measures
) -> tuple[int, tuple[str, ...]] | None:
    """(which inference, the keys that support it), or None where none follows."""
    for place, inference in enumerate(INFERENCES[form]):
        keys = inference.find_support(labels, values)
        if keys:
            return place, keys
    return None


def judge_recording(labels: Mapping[str, str]) -> dict[str, bool | None]:
    """Of each key that can be improved and is known: True where it is well, False where it is a
    fault, else None."""
    judged: dict[str, bool | None] = {}
    for key, (fault, well) in IMPROVEMENTS.items():
        if key in labels:
            is_fault, is_well = (
                bool(inference.find_support(labels, {})) for inference in (fault, well)
            )
            judged[key] = None if not is_fault and not is_well else is_well
    return judged
