"""What the finished data looks like: report.json.

    {"counts": {split: {category: {language: rows}}}, "labels": {key: {language: {label: utterances}}},
     "backgrounds": {language: {"margins" | "pauses" | "gated": utterances}},
     "in_doubt": {language: {key: utterances}},
     "durations": {language: {"hours", "histogram": {"edges", "counts"}}}, "rank_correlation": {key:
     {"rho", "n"}}, "speakers": {split: [ids]}, "sentences": {split: n}, "utterances": {split:
     {language: n}}, "examples": {language: [ids]}, "sources": {split: {category: {data_source:
     rows}}}, "accounts": {stage: {"unit", "in", "out", "rejected"}}, "splits": what
     data_prep.pipeline.split_gaps tells of a recorded corpus}

A rank correlation sets a measured value against what the synthesizer was told; 1 means that the
order is the same.
"""

import array
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from data_prep.corpora.splits import EVALUATION, SPLITS
from data_prep.engine.ledger import format_accounts
from data_prep.pipeline.split_gaps import describe_shared, list_warnings

_EXAMPLES = 4
_HISTOGRAM_BARS = 12

Row = Mapping[str, Any]


def make_report(
    rows: Iterable[Row], counts: Mapping[str, Any], labels: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Summarises metadata rows, read once and not held, and the counts of instruction rows."""
    by_language: dict[str, _Language] = {}
    by_split = {split: _Split() for split in SPLITS}
    pairs: dict[str, tuple[array.array, array.array]] = {}
    for row in rows:
        by_language.setdefault(row["language"], _Language()).add(row)
        by_split[row["split"]].add(row)
        for key in row["truth"].keys() & row["values"].keys():
            measured, truth = pairs.setdefault(key, (array.array("d"), array.array("d")))
            measured.append(row["values"][key])
            truth.append(row["truth"][key])
    by_language = dict(sorted(by_language.items()))
    keys = sorted({key for language in by_language.values() for key in language.labels})
    return {
        "counts": counts,
        "labels": {
            key: {
                language: {label: found.labels.get(key, Counter())[label] for label in labels[key]}
                for language, found in by_language.items()
            }
            for key in keys
        },
        "backgrounds": {
            language: dict(found.backgrounds)
            for language, found in by_language.items()
            if found.backgrounds
        },
        "in_doubt": {
            language: dict(found.in_doubt)
            for language, found in by_language.items()
            if found.in_doubt
        },
        "durations": {
            language: found.describe_durations() for language, found in by_language.items()
        },
        "rank_correlation": {key: _correlate(*pairs[key]) for key in sorted(pairs)},
        "speakers": {split: sorted(found.speakers) for split, found in by_split.items()},
        "sentences": {split: len(found.sentences) for split, found in by_split.items()},
        "utterances": {
            split: dict(sorted(found.utterances.items())) for split, found in by_split.items()
        },
        "examples": {language: found.list_examples() for language, found in by_language.items()},
    }


class _Language:
    """What the utterances of a language add up to."""

    def __init__(self) -> None:
        self.labels: dict[str, Counter[str]] = {}
        self.backgrounds: Counter[str] = Counter()
        self.in_doubt: Counter[str] = Counter()
        self._halves: Counter[int] = Counter()
        self._seconds, self._longest = 0.0, 0.0
        self._examples: dict[str, tuple[bool, str]] = {}

    def add(self, row: Row) -> None:
        for key, label in row["labels"].items():
            self.labels.setdefault(key, Counter())[label] += 1
        for name, found in (row.get("fields") or {}).items():
            self.labels.setdefault(name, Counter())[found["label"]] += 1
        if row.get("background"):
            self.backgrounds[row["background"]] += 1
        self.in_doubt.update(row.get("in_doubt", ()))
        self._halves[int(2 * row["duration"])] += 1
        self._seconds += row["duration"]
        self._longest = max(self._longest, row["duration"])
        # Unseen voices first, and among them one utterance a voice.
        voice, place = row["speaker"] or row["id"], (row["split"] != EVALUATION, row["id"])
        self._examples[voice] = min(place, self._examples.get(voice, place))
        if len(self._examples) > _EXAMPLES:
            del self._examples[max(self._examples, key=self._examples.__getitem__)]

    def describe_durations(self) -> dict[str, Any]:
        # Bars of half a second, or of as many halves as it takes to reach the longest.
        halves = max(1, int(np.ceil(2 * self._longest / _HISTOGRAM_BARS)))
        counts = [0] * _HISTOGRAM_BARS
        for half, count in self._halves.items():
            counts[min(half // halves, _HISTOGRAM_BARS - 1)] += count
        edges = [0.5 * halves * bar for bar in range(_HISTOGRAM_BARS + 1)]
        return {
            "hours": round(self._seconds / 3600, 4),
            "histogram": {"edges": edges, "counts": counts},
        }

    def list_examples(self) -> list[str]:
        return [identity for _, identity in sorted(self._examples.values())]


class _Split:
    """Who speaks in a split, and what: sentences by their hash, for there may be millions."""

    def __init__(self) -> None:
        self.utterances: Counter[str] = Counter()
        self.speakers: set[str] = set()
        self.sentences: set[bytes] = set()

    def add(self, row: Row) -> None:
        self.utterances[row["language"]] += 1
        if row["speaker"]:
            self.speakers.add(row["speaker"])
        text = f"{row['language']} {row['transcript']}".encode()
        self.sentences.add(hashlib.blake2b(text, digest_size=8).digest())


def _correlate(measured: Sequence[float], truth: Sequence[float]) -> dict[str, float | int | None]:
    """Spearman's rho of a measured key against its truth, over the rows that know a truth."""
    rho = float(scipy.stats.spearmanr(measured, truth)[0]) if len(measured) > 2 else None
    return {
        "rho": None if rho is None or not np.isfinite(rho) else round(rho, 4),
        "n": len(measured),
    }


# Where the noise of a recording is heard, and what follows from that.
BACKGROUNDS = {
    "margins": "noise heard before or after the words",
    "pauses": "noise heard in pauses alone: a clean recording reads as noisier than with margins",
    "gated": "pauses gated to digital silence: no noise, distance or distortion",
}


def describe_backgrounds(backgrounds: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each kind of background that occurs."""
    counts = {
        kind: {language: found[kind] for language, found in backgrounds.items() if found.get(kind)}
        for kind in BACKGROUNDS
    }
    return [
        f"background {kind:<8} "
        f"{'  '.join(f'{language} {count:>6,}' for language, count in found.items())}  "
        f"{BACKGROUNDS[kind]}"
        for kind, found in counts.items()
        if found
    ]


def describe_doubts(doubts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each key that some recordings have no class of, though it was measured."""
    return [
        f"{key:<19} "
        f"{'  '.join(f'{language} {doubts[language].get(key, 0):>6,}' for language in doubts)}  "
        "without a class: two ways of measuring disagree"
        for key in sorted({key for found in doubts.values() for key in found})
    ]


def format_report(report: Mapping[str, Any]) -> str:
    """The table that ends a build: rows a category, and how measured and synthesized values
    agree."""
    lines = []
    for split, categories in report["counts"].items():
        for category, languages in categories.items():
            cells = "  ".join(f"{language} {count:>6,}" for language, count in languages.items())
            lines.append(f"{split:<9} {category:<28} {cells}")
    lines.append("")
    for split, languages in report["utterances"].items():
        cells = "  ".join(f"{language} {count:>6,}" for language, count in languages.items())
        lines.append(f"{split:<9} {'utterances':<28} {cells}")
    lines.append("")
    for key, value in report["rank_correlation"].items():
        rho = "   –" if value["rho"] is None else f"{value['rho']:.3f}"
        lines.append(f"{key:<20} rank correlation with the synthesizer {rho}  (n {value['n']:,})")
    if report.get("backgrounds"):
        lines += ["", *describe_backgrounds(report["backgrounds"])]
    if report.get("in_doubt"):
        lines += ["", *describe_doubts(report["in_doubt"])]
    if report.get("accounts"):
        lines += ["", format_accounts(report["accounts"])]
    if report.get("splits"):
        lines += [
            "",
            *describe_shared(report["splits"]),
            *(f"warning: {line}" for line in list_warnings(report["splits"])),
        ]
    return "\n".join(lines)
