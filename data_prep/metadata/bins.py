"""From measured values to classes.

    train values of a key ─► drop the outermost fiftieth at either end ─► edges of equal width, or of equal count where
    equal width would crowd one class
        ─► bins.json {"average_pitch": {"female": {"edges": […], "method": "equal width"}, "male": …}, …}

Edges come from the training split alone and serve every split. Pitch is binned for women and men apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

BY_GENDER = frozenset({"average_pitch"})
_OUTLIERS = 0.02
# A class may hold this many times its even share before equal width gives way to equal count.
_CROWDED = 1.3

Bins = dict[str, dict[str, dict[str, Any]]]


def make_edges(values: Sequence[float], count: int) -> dict[str, Any]:
    """Inner edges (count − 1 of them) for `count` classes, and the method that was chosen."""
    array = np.asarray(values, np.float64)
    if len(array) < 2:
        raise ValueError(f"{len(array)} training values cannot be binned into {count} classes; raise --train")
    low, high = np.quantile(array, [_OUTLIERS, 1 - _OUTLIERS])
    edges, method = np.linspace(low, high, count + 1)[1:-1], "equal width"
    shares = np.bincount(np.searchsorted(edges, array, side="right"), minlength=count) / len(array)
    if shares.max() > _CROWDED / count:
        edges, method = np.quantile(array, np.arange(1, count) / count), "equal count"
    return {"edges": [round(float(edge), 4) for edge in edges], "method": method}


def make_bins(rows: Iterable[Mapping[str, Any]], labels: Mapping[str, Sequence[str]]) -> Bins:
    """Edges of every measured key from the rows of the training split; groups are genders or "all"."""
    groups: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for key, value in row["values"].items():
            group = row["gender"] if key in BY_GENDER else "all"
            if group is None:
                continue
            groups.setdefault(key, {}).setdefault(group, []).append(value)
    if not groups:
        raise ValueError("no training utterance was measured, so there are no bins; raise --train")
    return {key: {group: make_edges(values, len(labels[key])) for group, values in sorted(by_group.items())}
            for key, by_group in groups.items()}


def label_values(row: Mapping[str, Any], bins: Bins, labels: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The class of each value of an utterance."""
    result = {}
    for key, value in row["values"].items():
        group = row["gender"] if key in BY_GENDER else "all"
        # Nobody knows on whose scale this voice is high or low.
        if group is None:
            continue
        if group not in bins[key]:
            raise ValueError(f"{row['id']}: no {key} bins for {group} voices in the training split; raise --train")
        place = int(np.searchsorted(bins[key][group]["edges"], value, side="right"))
        result[key] = labels[key][place]
    return result
