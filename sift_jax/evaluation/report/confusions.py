"""Confusion matrices: what was right down the side, what was answered along the top, heated by a
row's shares.

    {"facet": "kind=speaking_rate", "labels": [low … high], "counts": [[…]]} ─► a table, and how near the misses are

A column beyond the labels is for answers in which no class was found, or several.
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.evaluation.report.number_format import format_count, name_title
from sift_jax.pages.document import Figure, Group, Heading, Part, Row, Table
from sift_jax.sift.labels import ACOUSTIC_LABELS

OTHER = "no class"


def is_scale(labels: Sequence[str]) -> bool:
    """Whether the classes stand from low to high, so that a miss can be near."""
    return any(
        [x for x in scale if x in labels] == [x for x in labels if x in scale]
        and set(labels) & set(scale)
        for scale in ACOUSTIC_LABELS.values()
        if len(set(labels) & set(scale)) > 1
    )


def make_confusions(confusions: Sequence[dict]) -> list[Part]:
    """All languages together where that is given, the languages one by one behind a fold."""
    tables = [
        (c, make_confusion_table(c)) for c in confusions if c.get("labels") and c.get("counts")
    ]
    if not tables:
        return []
    wholes = {str(c.get("facet")) for c, _ in tables if not c.get("language")}
    first = [t for c, t in tables if not c.get("language") or str(c.get("facet")) not in wholes]
    rest = [t for c, t in tables if c.get("language") and str(c.get("facet")) in wholes]
    parts: list[Part] = [
        Heading(text="Confusion matrices"),
        Group(parts=first, css="grid matrices"),
    ]
    return parts + ([Group(parts=rest, css="grid matrices", summary="By language")] if rest else [])


def make_confusion_table(confusion: dict) -> Table:
    labels, counts = [str(x) for x in confusion["labels"]], confusion["counts"]
    wide = max((len(row) for row in counts), default=0)
    columns = (labels + [OTHER] * max(wide - len(labels), 0))[:wide]
    rows = []
    for label, row in zip(labels, counts, strict=False):
        total = sum(row)
        figures = [
            Figure(text=format_count(n) if n else "·", heat=n / total if total else None)
            for n in row
        ]
        rows.append(Row(title=label, figures=[*figures, format_count(total)]))
    language = confusion.get("language")
    facet = str(confusion.get("facet", ""))
    title = name_title(facet.partition("=")[2] or facet) + (
        f", {name_title(language)}" if language else ""
    )
    return Table(
        title=title,
        columns=["↓ right · answered →", *columns, "n"],
        rows=rows,
        css="matrix",
        note=describe_hits(labels, counts),
    )


def describe_hits(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    total = sum(sum(row) for row in counts)
    if not total:
        return "No answer was counted."
    right = sum(row[i] for i, row in enumerate(counts) if i < len(row))
    text = f"{100 * right / total:.0f} % on the diagonal of {format_count(total)}"
    if len(labels) > 2 and is_scale(labels):
        near = sum(
            n
            for i, row in enumerate(counts)
            for j, n in enumerate(row[: len(labels)])
            if abs(i - j) <= 1
        )
        text += f", {100 * near / total:.0f} % at most one class away"
    return text + "."
