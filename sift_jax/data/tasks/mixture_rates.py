"""Which tasks the records can serve in a split, and how often each comes, without SeqIO.

    records/sift_en/index.json ─► sift.closed_ended.acoustic_level.en, sift.open_ended.en, …     (RecordTask)
    {"sift.closed_ended.*": 0.7, "sift.open_ended.*": 0.3} ─► rate of each task of the split

A pattern's rate is shared by those of its tasks that have rows in the split. Where German has open
questions in dev alone, all of their .3 is English in train.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.tasks.mixture_table import TASKS, Rates, make_task_name, match_patterns
from sift_jax.sift.rows import ALL_CATEGORIES, LANGUAGES, SPLITS, SPOKEN_CATEGORIES

# of the tasks that a line names
_MOST_NAMED = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordTask:
    """The records of one language that have turns of one category."""

    reader: RecordReader
    category: str

    @property
    def splits(self) -> list[str]:
        return [split for split in SPLITS if self.reader.counts.get(split, {}).get(self.category)]


def list_record_tasks(
    records: str, *, languages: Sequence[str] = (), has_speech: bool = True
) -> dict[str, RecordTask]:
    """Name to task, of all categories that there are records of, in the given languages or in all;
    if asked, without those whose answers are speech."""
    wanted = [name for name in ALL_CATEGORIES if has_speech or name not in SPOKEN_CATEGORIES]
    found: dict[str, RecordTask] = {}
    for language in languages or LANGUAGES:
        try:
            reader = RecordReader(records, language)
        except ValueError:
            if languages:
                raise ValueError(
                    f"MixtureConfig.languages names {language!r}, of which there are no records "
                    f"under {records}; make them with python -m data_prep.build, or leave the "
                    "language out"
                ) from None
            continue
        tasks = {category: RecordTask(reader=reader, category=category) for category in wanted}
        found |= {
            make_task_name(category, language): task
            for category, task in tasks.items()
            if task.splits
        }
    if not found:
        raise ValueError(f"no records under {records}; make them with python -m data_prep.build")
    return found


def describe_left_out(records: str, rates: Rates, languages: Sequence[str] = ()) -> str | None:
    """Which records a mixture's patterns name that have no ids without a codec, and what there is
    to do."""
    known = list_record_tasks(records, languages=languages)
    spoken = {name: task for name, task in known.items() if task.category in SPOKEN_CATEGORIES}
    named = [
        name
        for name in spoken
        if any(rate > 0 and fnmatchcase(name, p) for p, rate in rates.items())
    ]
    if not named:
        return None
    count = sum(
        spoken[name].reader.counts["train"][spoken[name].category]
        for name in named
        if "train" in spoken[name].splits
    )
    return (
        f"left out: {count} records of {', '.join(named)}, whose answers are speech; name a "
        f"codec's folder in DataConfig.codec, after python -m data_prep.units --records={records} "
        "--codec=FOLDER"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResolvedRates:
    """Task to rate, in one split, and what a user must know of it, a line a pattern."""

    rates: dict[str, float]
    notes: list[str]


def resolve_rates(
    rates: Rates,
    tasks: Collection[str],
    in_split: Collection[str] | None = None,
    *,
    split: str = "train",
) -> ResolvedRates:
    """Rates of the tasks that have the split, of all tasks that there are; weights are not guessed.

    A pattern that matches no task is an error, and so is one of whose tasks none has rows to train
    on. In the other splits it is told, and the mixture goes on without it.
    """
    present = set(tasks if in_split is None else in_split)
    resolved: dict[str, float] = {}
    notes = []
    for pattern, matched in match_patterns(rates, tasks).items():
        if not matched:
            raise ValueError(
                f"mixture pattern {pattern!r} matches none of the tasks: "
                f"{_shorten(sorted(tasks), 40)}; with the rate 0 it is left out, for which "
                "configs/wiring/mixture.gin has a knob for each kind (--gin.WORD_RATE=0.0)"
            )
        here = [name for name in matched if name in present]
        absent = [
            name
            for name in [*matched, *_list_siblings(matched, tasks, pattern)]
            if name not in present
        ]
        if not here and split == "train":
            raise ValueError(
                f"mixture pattern {pattern!r} has the rate {rates[pattern]:g}, and "
                f"{_shorten(absent)} has no rows in {split}; make them, or leave the pattern out "
                "by the rate 0"
            )
        if absent:
            left = (
                f"its rate of {rates[pattern]:g} goes to {_shorten(here)}"
                if here
                else "it is left out there"
            )
            notes.append(
                f"mixture pattern {pattern!r}: no rows in {split} of {_shorten(absent)}; {left}"
            )
        resolved |= {name: rates[pattern] / len(here) for name in here}
    if not resolved:
        named = _shorten(list(match_patterns(rates, tasks)))
        raise ValueError(f"no task of the mixture has a split {split!r}; its patterns: {named}")
    return ResolvedRates(rates=resolved, notes=notes)


def _list_siblings(matched: Sequence[str], tasks: Collection[str], pattern: str) -> list[str]:
    """What the pattern names and nobody has: the same categories in the other languages that there
    are records of."""
    languages = {TASKS[name][1] for name in tasks if name in TASKS}
    categories = {TASKS[name][0] for name in matched if name in TASKS}
    names = (
        make_task_name(category, language)
        for category in ALL_CATEGORIES
        for language in LANGUAGES
        if category in categories and language in languages
    )
    return [name for name in names if name not in tasks and fnmatchcase(name, pattern)]


def _shorten(names: Sequence[str], most: int = _MOST_NAMED) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
