"""Whether a recording comes out in the class of a free field that was asked for, as an expert of
the field hears it.

    request {"emotion": "angry"}, heard {"emotion": {"ang": 0.6, "sad": 0.4}} ─►  Outcome("emotion", asked 5, found 5)

The classes have no order, so of the figures only the share in the class asked for is kept. Without
an expert there is no outcome: what was asked for is counted as not measured.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.generation.classify import Outcome
from data_prep.generation.figures import Cell, make_cell, score_outcomes, score_permuted
from data_prep.generation.spoken_folder import Spoken
from data_prep.metadata.fields import HEARD, find_surest
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.ordinal_scores import MOST_CLASSES
from sift_jax.sift.fields import Field, Fields

EXACT = "exact"
_UNKNOWN = "heard as no class of the table"


def list_heard(fields: Fields, heard: Sequence[str]) -> Fields:
    """The fields that an expert hears and that have a table of figures."""
    return tuple(
        field for field in fields if field.name in heard and len(field.classes) <= MOST_CLASSES
    )


def classify_fields(
    lines: Sequence[Spoken], rows: Sequence[dict[str, Any]], fields: Fields
) -> list[Outcome]:
    """An outcome for each of these fields that each recording was asked for."""
    return [
        _make_outcome(line, row, field)
        for line, row in zip(lines, rows, strict=True)
        for field in fields
        if line.request.fields.get(field.name) in field.classes
    ]


def _make_outcome(line: Spoken, row: dict[str, Any], field: Field) -> Outcome:
    request, shares, classes = line.request, row[HEARD].get(field.name), list(field.classes)
    label = find_surest(shares, field)[0] if shares else None
    reason = (
        None if label else _UNKNOWN if shares else next(iter(row["missing"].values()), "not heard")
    )
    return Outcome(
        id=request.id,
        text=request.text,
        language=request.language,
        sample=line.sample,
        key=field.name,
        asked=classes.index(request.fields[field.name]),
        found=classes.index(label) if label else None,
        reason=reason,
    )


def score_field(
    system: str, language: str, key: str, outcomes: Sequence[Outcome], bootstrap: BootstrapConfig
) -> list[Cell]:
    return [
        cell
        for cell in score_outcomes(system, language, key, outcomes, bootstrap)
        if cell.metric == EXACT
    ]


def score_field_floors(
    language: str, key: str, outcomes: Sequence[Outcome], bootstrap: BootstrapConfig
) -> list[Cell]:
    """Recordings matched with other requests, and the class that is asked for most."""
    chance = [
        cell for cell in score_permuted(language, key, outcomes, bootstrap) if cell.metric == EXACT
    ]
    count = Counter(outcome.asked for outcome in outcomes).most_common(1)[0][1]
    constant = make_cell(
        system="constant",
        language=language,
        key=key,
        metric=EXACT,
        figures=np.array([count / len(outcomes)]),
        low=None,
        high=None,
        n=len(outcomes),
        of=len(outcomes),
        missing={},
    )
    return [*chance, constant]
