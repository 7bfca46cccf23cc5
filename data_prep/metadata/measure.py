"""One utterance measured from its wave; nothing here reads the synthesizer's settings.

    wave [n], Utterance  ─►  {… the utterance …, "values": {key: number}, "words": [{…, "average_pitch": …}, …]}
                         or  the name of the key whose value is not feasible: the utterance is to be dropped
"""

import dataclasses
from typing import Any

import numpy as np

from data_prep.corpora.utterance import Utterance
from data_prep.metadata import intensity, noise, pitch, rate, reverberation, words

# Outside of these a value says that measuring failed, not that the speech is special.
FEASIBLE: dict[str, tuple[float, float]] = {
    "average_pitch": (65.0, 450.0),
    "pitch_variation": (0.0, 9.0),
    "speaking_rate": (2.0, 35.0),
    "average_intensity": (-70.0, 0.0),
    "noise_level": (-5.0, 80.0),
    "reverberation": (-10.0, 60.0),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A metadata row without labels, or the key that was infeasible."""

    row: dict[str, Any] | None
    rejected: str | None


def measure_utterance(wave: np.ndarray, utterance: Utterance) -> Measured:
    """The six acoustic values and those of each word; no rate where no phones are known."""
    track = pitch.track_pitch(wave)
    power = intensity.frame_power(wave)
    first, last = _find_speech(utterance, power)
    speech = pitch.slice_track(track, first, last)
    values = {
        "average_pitch": pitch.average_pitch(speech),
        "pitch_variation": pitch.pitch_variation(speech),
        **({"speaking_rate": rate.speaking_rate(utterance.phonemes, first, last)} if utterance.phonemes else {}),
        "average_intensity": intensity.average_intensity(power),
        "noise_level": noise.noise_level(power, first),
        "reverberation": reverberation.reverberation(wave, first, last),
    }
    for key, value in values.items():
        low, high = FEASIBLE[key]
        if value is None or not low <= value <= high:
            return Measured(row=None, rejected=key)
    row = dataclasses.asdict(utterance)
    truth = row.pop("truth")
    row["words"] = words.measure_words(track, power, utterance.words)
    row["values"] = {key: round(value, 3) for key, value in values.items()}
    row["truth"] = truth
    return Measured(row=row, rejected=None)


def _find_speech(utterance: Utterance, power: np.ndarray) -> tuple[float, float]:
    """Seconds from the first word to the last; without word times, from the first frame that is loud to the last."""
    if utterance.words:
        return utterance.words[0].start, utterance.words[-1].end
    active = np.flatnonzero(intensity.find_active(power))
    return active[0] * intensity.STEP_SECONDS, (active[-1] + 2) * intensity.STEP_SECONDS
