"""From measured values to classes.

    train values of a key ─► those that are feasible ─► drop the outermost fiftieth at either end
        ─► edges of equal width, or of equal count where equal width would crowd one class
        ─► bins.json {"average_pitch": {"female": {"edges": […], "method": "equal width"}, "male": …}, …}

Edges come from the training split alone and serve every split, and other corpora by `read_bins`.
Pitch is binned for women and men apart; without a gender nobody knows on whose scale a voice is
high or low, and it has no class.

What is said of the recording itself (`absolute.ABSOLUTE_KEYS`) follows no corpus with
`edges="absolute"`: it has the edges of `absolute`, with the doubt within which a value has no
class, or is not asked about at all:

    "noise_level": {"all": {"edges": [5, 10, …], "method": "absolute", "doubt": [1, 2],
                            "error": 3,
                            "needs": [{"key": "reverberation", "least": 25, "classes": 4}], "basis": "…"}}
    "distortion_level": {"all": {"edges": [], "method": "not asked"}}

With `edges="corpus"` these keys are places in the corpus, too, and with `edges="data_speech"` those
that data-speech publishes edges for have its (v02). Its outermost edges, which bound what it kept,
are no edges here: what lies beyond them is in the first or last class.

The length of a sentence is no measure, but has classes in the same way: by the thirds of the
numbers of words that the training sentences have.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.metadata.absolute import (
    ABSOLUTE,
    ABSOLUTE_KEYS,
    EVENNESS,
    SECONDS,
    Bounds,
    Scale,
    find_bounds,
    find_place,
)
from data_prep.metadata.plausible_ranges import is_feasible
from sift_jax.sift.labels import GENDERS, SENTENCE_LENGTHS

CORPUS, NOT_ASKED = "corpus", "not asked"
EDGES = (ABSOLUTE, CORPUS, "data_speech")
# Inner edges; SNR in dB by equal width, C50 in dB, SI-SDR in dB and PESQ by hand.
DATA_SPEECH_EDGES: dict[str, tuple[float, ...]] = {
    "noise_level": (25.40, 33.67, 41.95, 50.22, 58.50, 66.77),
    "reverberation": (35.0, 45.0, 55.0, 59.0),
    "distortion_level": (-0.41, 10.0, 20.0, 25.0, 28.0),
    "speech_quality": (1.7, 2.4, 3.1, 3.6, 4.0),
}
BY_GENDER = frozenset({"average_pitch"})
# The level is that of the file: where a manifest names the corpus of its recordings, each has a
# scale of its own.
BY_CORPUS = frozenset({"average_intensity"})
_LEAST_OF_A_CORPUS = 30
SENTENCE_LENGTH = "sentence_length"
# Of fewer no edges can be made.
LEAST_VALUES = 2
_OUTLIERS = 0.02
# A class may hold this many times its even share before equal width gives way to equal count.
_CROWDED = 1.3

Bins = dict[str, dict[str, dict[str, Any]]]


def make_edges(values: Sequence[float], count: int) -> dict[str, Any]:
    """Inner edges (count − 1 of them) for `count` classes, and the method that was chosen."""
    array = np.asarray(values, np.float64)
    if len(array) < LEAST_VALUES:
        raise ValueError(
            f"{len(array)} training values cannot be binned into {count} classes; raise --train, so "
            f"that there are {LEAST_VALUES} or more of each language"
        )
    low, high = np.quantile(array, [_OUTLIERS, 1 - _OUTLIERS])
    edges, method = np.linspace(low, high, count + 1)[1:-1], "equal width"
    shares = np.bincount(np.searchsorted(edges, array, side="right"), minlength=count) / len(array)
    if shares.max() > _CROWDED / count:
        edges, method = np.quantile(array, np.arange(1, count) / count), "equal count"
    return {"edges": [round(float(edge), 4) for edge in edges], "method": method}


def make_length_edges(counts: Mapping[int, int]) -> dict[str, Any]:
    """From {words: sentences}, the edges that come nearest to sentences in equal shares."""
    lengths = np.array(sorted(counts))
    reached = np.cumsum([counts[length] for length in lengths]) / sum(counts.values())
    targets = np.arange(1, len(SENTENCE_LENGTHS)) / len(SENTENCE_LENGTHS)
    last_places = np.abs(reached[None] - targets[:, None]).argmin(axis=1)
    # The first length of the next class.
    return {"edges": [float(lengths[place]) + 1 for place in last_places], "method": "equal count"}


def name_length(transcript: str, bins: Bins) -> str | None:
    """The class of a sentence by its words; None where these bins have none."""
    if SENTENCE_LENGTH not in bins:
        return None
    edges = bins[SENTENCE_LENGTH]["all"]["edges"]
    return SENTENCE_LENGTHS[int(np.searchsorted(edges, len(transcript.split()), side="right"))]


def make_bins(
    rows: Iterable[Mapping[str, Any]],
    labels: Mapping[str, Sequence[str]],
    edges: str = CORPUS,
    scales: Mapping[str, Scale | None] | None = None,
) -> Bins:
    """Edges of every measured key from the rows of the training split; groups are genders or "all".

    `scales` are those of `edges="absolute"`, by key; None of a key that is not asked about.
    """
    if edges not in EDGES:
        raise ValueError(f"no edges {edges!r}; choose of {', '.join(EDGES)}")
    groups: dict[str, dict[str, list[float]]] = {}
    count = 0
    lengths: Counter[int] = Counter()
    for row in rows:
        count += 1
        lengths[len(row.get("transcript", "").split())] += 1
        for key, value in _list_sure(row).items():
            for group in _list_groups(key, row) if is_feasible(key, value) else ():
                groups.setdefault(key, {}).setdefault(group, []).append(value)
    if count and not groups:
        raise ValueError(
            f"of {count} training utterances no key can be put into bins; raise --train, or leave "
            "fewer keys out of --experts (average_pitch needs --genders, speaking_rate needs "
            "--phonemes)"
        )
    if not groups:
        raise ValueError("no training utterance was measured, so there are no bins; raise --train")
    bins: Bins = {}
    for key, by_group in groups.items():
        if edges == ABSOLUTE and key in ABSOLUTE_KEYS:
            scale = (scales or {}).get(key)
            bins[key] = {"all": scale.describe() if scale else {"edges": [], "method": NOT_ASKED}}
            continue
        if edges == "data_speech" and key in DATA_SPEECH_EDGES:
            bins[key] = {"all": {"edges": list(DATA_SPEECH_EDGES[key]), "method": "data_speech"}}
            continue
        bins[key] = {
            group: make_edges(values, len(labels[key]))
            for group, values in sorted(by_group.items())
            if group in ("all", *GENDERS) or len(values) >= _LEAST_OF_A_CORPUS
        }
    lengths.pop(0, None)
    return {**bins, SENTENCE_LENGTH: {"all": make_length_edges(lengths)}} if lengths else bins


def find_relative(bins: Bins) -> list[str]:
    """The keys of a recording itself for which these bins have mere places in a corpus."""
    return [
        key
        for key in ABSOLUTE_KEYS
        for table in bins.get(key, {}).values()
        if table.get("method") not in (ABSOLUTE, NOT_ASKED)
    ]


def write_bins(bins: Bins, path: str | Path) -> None:
    """bins.json, for a corpus to be labelled by later."""
    Path(path).write_text(json.dumps(bins, indent=1) + "\n", encoding="utf-8")


def read_bins(path: str | Path, labels: Mapping[str, Sequence[str]]) -> Bins:
    """The edges that another build wrote, checked against the labels."""
    try:
        bins = json.loads(Path(path).read_text(encoding="utf-8"))
        tables = [
            (key, group, [float(edge) for edge in table["edges"]])
            for key, groups in bins.items()
            for group, table in groups.items()
            if table.get("method") != NOT_ASKED
        ]
        for table in (table for groups in bins.values() for table in groups.values()):
            if not (
                len(doubt := [float(value) for value in table.get("doubt", (0, 0))]) == 2
                and min(doubt) >= 0
            ):
                raise ValueError("a doubt is two numbers of 0 or more")
            if float(table.get("error", 0)) < 0:
                raise ValueError("an error is a number of 0 or more")
            for need in table.get("needs", ()):
                str(need["key"]), float(need["least"]), int(need["classes"])
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path}: is not a table of bins; take the bins.json of a build") from None
    for key, group, values in tables:
        count = len(SENTENCE_LENGTHS if key == SENTENCE_LENGTH else labels.get(key, ())) - 1
        if len(values) != count or not all(low <= high for low, high in itertools.pairwise(values)):
            raise ValueError(
                f"{path}: {key} of {group} needs {max(count, 0)} rising edges, not {values}; "
                "take the bins.json of a build"
            )
    return bins


def _list_groups(key: str, row: Mapping[str, Any]) -> list[str]:
    """Those that a value belongs to, the narrowest last."""
    if key in BY_GENDER:
        return [row["gender"]] if row["gender"] in GENDERS else []
    corpus = row.get("collection") if key in BY_CORPUS else None
    return ["all", corpus] if corpus and corpus not in ("all", *GENDERS) else ["all"]


def _list_sure(row: Mapping[str, Any]) -> dict[str, float]:
    """The values that a class may rest on."""
    doubtful = row.get("in_doubt", ())
    return {key: value for key, value in row["values"].items() if key not in doubtful}


def label_values(
    row: Mapping[str, Any], bins: Bins, labels: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The class of each value of an utterance, but of pitch where the gender is not known, and of
    what is in doubt, be it for the measure or for its edges."""
    result = {}
    known = _list_known(row)
    for key in _list_sure(row):
        groups = _list_groups(key, row)
        if not groups:
            continue
        if key not in bins:
            raise ValueError(
                f"{row['id']}: no bins for {key}; measure the same keys as the corpus of the "
                f"bins, or leave this one out with --experts={key}=none"
            )
        group = next((group for group in reversed(groups) if group in bins[key]), None)
        if group is None:
            raise ValueError(
                f"{row['id']}: no {key} bins for {groups[0]} voices in the training split; "
                "raise --train"
            )
        table = bins[key][group]
        place = None if table.get("method") == NOT_ASKED else find_place(key, known, table)
        if place is not None:
            result[key] = labels[key][place]
    return result


def bound_values(row: Mapping[str, Any], bins: Bins) -> dict[str, Bounds]:
    """Between which the true values of a recording lie, of those for which that is known: by these
    two recordings are compared that have no class. What is in doubt has no bounds either."""
    known, result = _list_known(row), {}
    for key in _list_sure(row):
        bounds = find_bounds(key, known, bins.get(key, {}).get("all", {}))
        if bounds is not None:
            result[key] = bounds
    return result


def _list_known(row: Mapping[str, Any]) -> Mapping[str, float]:
    """The values, how long the recording is, and how even its floor."""
    others = {SECONDS: row.get("duration"), EVENNESS: row.get(EVENNESS)}
    return {**row["values"], **{key: value for key, value in others.items() if value is not None}}
