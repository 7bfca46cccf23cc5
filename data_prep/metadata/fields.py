"""The classes of free fields: what the corpus says, in the words of the field's table; else what an
expert is sure of.

    row {"fields": {"emotion": "ang"}}                     ─►  {"emotion": {"label": "angry", "source": "corpus"}}
        {"heard": {"emotion": {"ang": 0.91, "hap": 0.09}}} ─►  {"emotion": {"label": "angry", "source": "expert",
                                                                            "confidence": 0.91}}
        {"fields": {"emotion": "puzzled"}}                 ─►  {} and why: emotion 'puzzled' is in no class

An expert is an audio classifier of `transformers`, whose labels are those of the table, spelt as a
corpus may spell them. It hears only what the corpus says nothing of. Below the table's
`least_confidence` nothing is said. What has no class is counted by the value, and the recording is
asked about all else.
"""

import collections
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.ledger import Rejection, settle
from data_prep.metadata.classifiers import load_classifier, make_listener
from data_prep.metadata.expert_networks import ExpertError, Network
from sift_jax.sift.fields import Field, Fields

# Under which key of a measured row is what experts heard.
HEARD = "heard"
CORPUS, EXPERT = "corpus", "expert"
# So many values without a class are counted by name.
_NAMED = 20
_OTHERS = "another value that is in no class"

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listener:
    """Who hears a field, and the labels that it knows."""

    field: str
    folder: Path
    labels: tuple[str, ...]
    hear: Network


def make_listener_of(field: str, folder: Path) -> Listener:
    classifier = load_classifier(folder)
    return Listener(
        field=field, folder=folder, labels=classifier.labels, hear=make_listener(classifier)
    )


def check_listeners(listeners: Iterable[Listener], fields: Fields) -> None:
    """An error where a classifier is of something else."""
    tables = {field.name: field for field in fields}
    for listener in listeners:
        table = tables[listener.field]
        if not any(table.find_class(label) for label in listener.labels):
            raise ExpertError(
                f"{listener.folder}: its labels are {', '.join(listener.labels)}, and none is a "
                f"class of {table.name} ({', '.join(table.classes)}); take another classifier, or "
                "give the classes these spellings in a table of --fields"
            )


def hear_fields(
    listeners: Sequence[Listener],
    waves: Sequence[Any],
    stated: Sequence[Mapping[str, str]],
) -> list[dict[str, dict[str, float]]]:
    """The probabilities of each field's labels, of waves of which the corpus does not state the
    field."""
    heard: list[dict[str, dict[str, float]]] = [{} for _ in waves]
    for listener in listeners:
        places = [place for place, known in enumerate(stated) if listener.field not in known]
        answers = listener.hear([waves[place] for place in places]) if places else []
        for place, answer in zip(places, answers, strict=True):
            heard[place][listener.field] = {
                label: round(share or 0.0, 4) for label, share in answer.items()
            }
    return heard


def label_fields(row: Row, fields: Fields) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The class of each field of a measured row, and why others have none."""
    found: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    stated, heard = row.get("fields") or {}, row.get(HEARD) or {}
    for field in fields:
        if field.name in stated:
            label = field.find_class(stated[field.name])
            if label:
                found[field.name] = {"label": label, "source": CORPUS}
            else:
                faults.append(f"{field.name} {stated[field.name]!r} is in no class")
        elif field.name in heard:
            label, share = find_surest(heard[field.name], field)
            if label and share >= field.least_confidence:
                found[field.name] = {
                    "label": label,
                    "source": EXPERT,
                    "confidence": round(share, 3),
                }
            else:
                faults.append(f"{field.name} is not sure to its expert")
    return found, faults


def find_surest(shares: Mapping[str, float], field: Field) -> tuple[str | None, float]:
    """Labels of a class are added up; those of none stand for themselves."""
    sums: dict[tuple[str | None, str], float] = collections.defaultdict(float)
    for label, share in shares.items():
        found = field.find_class(label)
        sums[found, found or label] += share
    (surest, _), most = max(sums.items(), key=lambda item: item[1])
    return surest, most


def settle_fields(out: Path, read: Callable[[], Iterable[Row]], fields: Fields) -> None:
    """How many of the values of free fields have a class. Read twice rather than held."""
    left = 0
    counts: Counter[str] = Counter()
    for row in read():
        found, faults = label_fields(row, fields)
        left += len(found)
        counts.update(faults)
    named = {fault for fault, _ in counts.most_common(_NAMED)}
    settle(
        out,
        "fields",
        "values",
        left + counts.total(),
        left,
        _list_rejections(read(), fields, named),
    )


def _list_rejections(rows: Iterable[Row], fields: Fields, named: set[str]) -> Iterator[Rejection]:
    for row in rows:
        for fault in label_fields(row, fields)[1]:
            is_named = fault in named
            yield Rejection(
                reason=fault if is_named else _OTHERS,
                detail="" if is_named else fault,
                id=row["id"],
                language=row["language"],
            )
