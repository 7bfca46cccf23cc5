"""The tasks that records can serve, and how often each comes: names, patterns and numbers, without SeqIO.

    records/sift_en/index.json ─► sift.closed_ended.acoustic_level.en, sift.open_ended.en, …     (RecordTask)
    {"sift.closed_ended.*": 0.7, "sift.open_ended.*": 0.3} ─► rate of each task      a pattern's tasks share its rate
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fnmatch import fnmatchcase

from sift_jax.data.records import RecordReader
from sift_jax.data.sift_files import ALL_CATEGORIES, LANGUAGES, SPLITS, SPOKEN_CATEGORIES


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordTask:
    """The records of one language that have turns of one category."""

    reader: RecordReader
    category: str

    @property
    def splits(self) -> list[str]:
        return [split for split in SPLITS if self.reader.counts.get(split, {}).get(self.category)]


def make_task_name(category: str, language: str) -> str:
    return f"sift.{category.replace('/', '.')}.{language}"


def list_record_tasks(records: str, *, has_speech: bool = True) -> dict[str, RecordTask]:
    """Name to task, of all languages and categories that there are records of; if asked, without those whose answers
    are speech."""
    wanted = [name for name in ALL_CATEGORIES if has_speech or name not in SPOKEN_CATEGORIES]
    found = {}
    for language in LANGUAGES:
        try:
            reader = RecordReader(records, language)
        except ValueError:
            continue
        tasks = {category: RecordTask(reader=reader, category=category) for category in wanted}
        found |= {make_task_name(category, language): task for category, task in tasks.items() if task.splits}
    if not found:
        raise ValueError(f"no records under {records}; make them with python -m data_prep.build")
    return found


def describe_left_out(records: str, rates: Mapping[str, float]) -> str | None:
    """Which records a mixture's patterns name that have no ids without a codec, and what there is to do."""
    known = list_record_tasks(records)
    spoken = {name: task for name, task in known.items() if task.category in SPOKEN_CATEGORIES}
    named = [name for name in spoken if any(rate > 0 and fnmatchcase(name, p) for p, rate in rates.items())]
    if not named:
        return None
    count = sum(spoken[name].reader.counts["train"][spoken[name].category] for name in named
                if "train" in spoken[name].splits)
    return (f"left out: {count} records of {', '.join(named)}, whose answers are speech; name a codec's folder in "
            f"DataConfig.codec, after python -m data_prep.units --records={records} --codec=FOLDER")


def resolve_rates(rates: Mapping[str, float], task_names: list[str]) -> dict[str, float]:
    """Task to rate. A pattern that matches no task, or a task matched twice, is an error: weights are not guessed.

    With a rate of 0 a pattern may match nothing: so one leaves out what one has not got.
    """
    resolved: dict[str, float] = {}
    for pattern, rate in rates.items():
        if rate < 0:
            raise ValueError(f"mixture pattern {pattern!r} has the negative rate {rate}; use 0 to leave it out")
        matched = sorted(name for name in task_names if fnmatchcase(name, pattern))
        if not matched and rate > 0:
            raise ValueError(f"mixture pattern {pattern!r} matches none of the tasks: {', '.join(sorted(task_names))}; "
                             f"with the rate 0 it is left out")
        for name in matched:
            if name in resolved:
                raise ValueError(f"task {name} is matched by two patterns of the mixture, {pattern!r} being the second")
            resolved[name] = rate / len(matched)
    chosen = {name: rate for name, rate in resolved.items() if rate > 0}
    if not chosen:
        raise ValueError("every rate of the mixture is 0; give at least one task a positive rate")
    return chosen
