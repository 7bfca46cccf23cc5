"""One utterance measured from its wave; nothing here reads the synthesizer's settings.

    wave [n], Utterance  ─►  {… the utterance …, "values": {key: number}, "words": [{…, "average_pitch": …}, …]}
                         or  the name of the key whose value is not feasible, "samples" where they are no numbers:
                             the utterance is to be dropped

Where no words were aligned, speech begins and ends where it is loud enough.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_prep.corpora.utterance import Utterance
from data_prep.metadata import intensity, words
from data_prep.metadata.experts import Expert, Recording, make_experts
from data_prep.metadata.feasible import is_feasible

_DEFAULT = make_experts()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A metadata row without labels, or the key that was infeasible."""

    row: dict[str, Any] | None
    rejected: str | None


def measure_utterance(
    wave: np.ndarray, utterance: Utterance, experts: Mapping[str, Expert] = _DEFAULT
) -> Measured:
    """The acoustic values, by default six, and those of each word; no rate where no phones are known."""
    if not np.isfinite(wave).all():
        return Measured(row=None, rejected="samples")
    if utterance.words:
        first, last = utterance.words[0].start, utterance.words[-1].end
    else:
        first, last = intensity.find_speech(intensity.frame_power(wave))
    recording = Recording(wave=wave, phonemes=utterance.phonemes or "", first_word=first, last_word=last)
    values = {}
    for key, expert in experts.items():
        if key == "speaking_rate" and not utterance.phonemes:
            continue
        values[key] = expert(recording)
        if not is_feasible(key, values[key]):
            return Measured(row=None, rejected=key)
    row = dataclasses.asdict(utterance)
    truth = row.pop("truth")
    row["words"] = words.measure_words(recording.track, recording.power, utterance.words)
    row["values"] = {key: round(value, 3) for key, value in values.items()}
    row["truth"] = truth
    return Measured(row=row, rejected=None)
