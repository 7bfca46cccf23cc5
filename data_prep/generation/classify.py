"""From what was measured to classes: the build's bins, and on whose scale a pitch is high.

    Spoken + measured row, bins ─► Outcome(key, asked 5, found 4) or Outcome(key, asked 5, found None, "silence")

A pitch is high or low for a woman or a man: for the gender that was asked for, else for the one
that is heard. Where neither is known (by pitch alone nobody tells between 145 and 185 Hz) there is
no class, and the reason is counted.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.generation.requests import MEASURED
from data_prep.generation.spoken_folder import Spoken
from data_prep.instructions.templates import SPEECH_KEYS
from data_prep.metadata.bins import Bins, label_values, read_bins
from data_prep.metadata.gender import name_by_pitch, name_by_share
from data_prep.metadata.gender_network import FEMALE_SHARE
from sift_jax.sift.labels import ACOUSTIC_LABELS, LABELS

UNSURE = "no sure gender"
Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One key of one recording; classes are places in the labels, `reason` says why there is
    none."""

    id: str
    # recordings of one text stand and fall together
    text: str
    language: str
    sample: int
    key: str
    asked: int
    found: int | None
    reason: str | None


def read_build_bins(build: Path) -> Bins:
    """The corpus's own bins."""
    return read_bins(build / "bins.json", ACOUSTIC_LABELS)


def classify(lines: Sequence[Spoken], rows: Sequence[Row], bins: Bins) -> list[Outcome]:
    """An outcome for each measurable key that each recording was asked for."""
    outcomes = []
    for line, row in zip(lines, rows, strict=True):
        request = line.request
        labels, reasons = find_labels(row, bins, request.asked.get("gender"))
        for key in MEASURED:
            if key in request.asked:
                label = labels.get(key)
                outcomes.append(
                    Outcome(
                        id=request.id,
                        text=request.text,
                        language=request.language,
                        sample=line.sample,
                        key=key,
                        asked=LABELS[key].index(request.asked[key]),
                        found=None if label is None else LABELS[key].index(label),
                        reason=reasons.get(key),
                    )
                )
    return outcomes


def find_labels(row: Row, bins: Bins, gender: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The label of each key of a measured row, or the reason why there is none; `gender` is the one
    asked for."""
    labels, reasons = {}, dict(row["missing"])
    heard = hear_gender(row)
    if heard is not None:
        labels["gender"] = heard
    else:
        reasons["gender"] = (
            row["missing"].get("average_pitch", UNSURE) if row[FEMALE_SHARE] is None else UNSURE
        )
    for key in SPEECH_KEYS:
        if key not in row["values"]:
            continue
        scale = gender or heard
        if key not in bins:
            reasons[key] = "the build has no bins for it"
        elif "all" not in bins[key] and scale not in bins[key]:
            reasons[key] = UNSURE if scale is None else "the build has no bins for this gender"
        else:
            told = {"id": row["id"], "gender": scale, "values": {key: row["values"][key]}}
            labels |= label_values(told, bins, ACOUSTIC_LABELS)
    return labels, reasons


def hear_gender(row: Row) -> str | None:
    """By the classifier where one listened, else by pitch; None where that is not sure."""
    if row[FEMALE_SHARE] is not None:
        return name_by_share(row[FEMALE_SHARE])
    hz = row["values"].get("average_pitch")
    return None if hz is None else name_by_pitch(hz)
