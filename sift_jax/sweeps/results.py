"""From the results of finished runs to all that a sweep's page says.

folder/<arm>.<seed>.json + tables + questions ─► figures with intervals, differences with signs, the curve

Whatever is not there is left out and named: an arm without a run, a seed without a result.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.field_ranges import CheckedConfig, Count, MayBeEmpty, NotNegative, Text
from sift_jax.sweeps.figures import describe_difference, describe_figure
from sift_jax.sweeps.plan import SweepConfig
from sift_jax.sweeps.result_files import ResultError, RunResult, read_result
from sift_jax.sweeps.tables import Tables

FORMAT = 2
NOT_MEASURABLE = "not measurable at this size"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultsConfig(CheckedConfig):
    """Where results lie, and what the tables have in them."""

    # {out} is the sweep's own folder; results may be taken from machine to machine
    folder: Text
    # runs nothing, and writes the tables of the results that are there
    report_only: bool
    # raise it when a change of the code moves figures: results of another version are made again
    version: Count
    # a JSON file, see tables.py
    tables: Text

    def place(self, sweep: SweepConfig) -> Path:
        return Path(self.folder.format(out=sweep.out_dir))


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionsConfig(CheckedConfig):
    """What the sweep is to answer."""

    title: MayBeEmpty
    # arm → its name in the tables, in their order
    rows: Mapping[Text, Text]
    # whose being above the commonest answer says that a column can be measured; "" for none
    baseline: MayBeEmpty
    # what is asked → (first arm, second arm): the second minus the first
    differences: Mapping[Text, tuple[Text, Text]]
    # arm → where it stands on the axis; the name of a key of `curve_file` reads a share from there
    curve: Mapping[Text, NotNegative | Text]
    # above the curve's section
    curve_title: MayBeEmpty
    # what the places are of, with its unit
    curve_axis: MayBeEmpty
    # of the tables; each has a drawing of its own
    curve_columns: tuple[Text, ...]
    # a JSON file with {"word_error_rates": {arm: share}}, {out} filled in; empty for none
    curve_file: MayBeEmpty

    def check(self, sweep: SweepConfig, tables: Tables) -> None:
        named = {
            *self.rows,
            *self.curve,
            *([self.baseline] if self.baseline else []),
            *(arm for pair in self.differences.values() for arm in pair),
            *(arm for table in tables.tables for arm in table.arms),
            *(column.measured_by for column in tables.columns.values() if column.measured_by),
        }
        if unknown := sorted(named - sweep.arms.keys()):
            raise ValueError(
                f"QuestionsConfig or the tables ask about {unknown[0]!r}, which is not an arm of this "
                f"sweep; they are {', '.join(sweep.arms)}"
            )
        if unknown := sorted(set(self.curve_columns) - tables.columns.keys()):
            raise ValueError(
                f"QuestionsConfig.curve_columns has {unknown[0]!r}, which is not a column of the "
                f"tables; they are {', '.join(tables.columns)}"
            )


def read_finished(sweep: SweepConfig, folder: Path) -> dict[str, list[RunResult]]:
    """Arm → its results, a seed each, of the arms that have any."""
    finished: dict[str, list[RunResult]] = {}
    for arm, seed in sweep.runs:
        result = read_result(folder, arm, seed)
        if result is not None:
            finished.setdefault(arm, []).append(result)
    for arm, results in finished.items():
        if len({result.digest for result in results}) > 1:
            told = ", ".join(f"seed {result.seed}: {result.digest}" for result in results)
            raise ResultError(
                f"the results of {arm} are of different configs ({told}); remove those of the "
                f"older one from {folder}, and run the sweep again"
            )
    return finished


def gather_results(
    sweep: SweepConfig,
    questions: QuestionsConfig,
    tables: Tables,
    bootstrap: BootstrapConfig,
    found: Mapping[str, Sequence[RunResult]],
) -> dict[str, Any]:
    """All that the pages say, of the arms whose seeds are all there: an interval over seeds that
    are not the others' says nothing beside theirs."""
    finished = {arm: runs for arm, runs in found.items() if len(runs) == len(sweep.seeds)}
    arms = {
        arm: {
            name: told
            for name, column in tables.columns.items()
            if (told := describe_figure(results, column, bootstrap)) is not None
        }
        for arm, results in finished.items()
    }
    measurable = {name: _is_measurable(name, questions, tables, arms) for name in tables.columns}
    return {
        "format": FORMAT,
        "title": questions.title,
        "source": tables.source,
        "seeds": list(sweep.seeds),
        "confidence": bootstrap.confidence,
        "baseline": questions.baseline,
        "columns": {
            name: {
                "title": column.title,
                "metric": column.metric,
                "is_measurable": measurable[name],
            }
            for name, column in tables.columns.items()
        },
        "tables": [dataclasses.asdict(table) for table in tables.tables],
        "rows": dict(questions.rows),
        "published": tables.published,
        "arms": arms,
        "runs": {
            arm: [
                {
                    "seed": run.seed,
                    "digest": run.digest,
                    "commit": run.commit,
                    "processor": run.processor,
                    "seconds": run.seconds,
                }
                for run in results
            ]
            for arm, results in finished.items()
        },
        "missing": [f"{arm}.{seed}" for arm, seed in sweep.runs if not _has(found, arm, seed)],
        "curve": _make_curve(sweep, questions, finished),
        "differences": _list_differences(questions, tables, bootstrap, finished, measurable),
    }


def _has(found: Mapping[str, Sequence[RunResult]], arm: str, seed: int) -> bool:
    return any(result.seed == seed for result in found.get(arm, ()))


def _is_measurable(
    name: str, questions: QuestionsConfig, tables: Tables, arms: Mapping[str, Mapping[str, Any]]
) -> bool | None:
    """Whether an arm is above the commonest answer by more than its interval; None where that is
    not known."""
    arm = tables.columns[name].measured_by or questions.baseline
    told = arms.get(arm, {}).get(name)
    if told is None or told["majority"] is None or told["low"] is None:
        return None
    return told["low"] > told["majority"]


def _list_differences(
    questions: QuestionsConfig,
    tables: Tables,
    bootstrap: BootstrapConfig,
    finished: Mapping[str, Sequence[RunResult]],
    measurable: Mapping[str, bool | None],
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if questions.baseline and questions.baseline not in finished:
        # without it nobody knows what is measurable
        return found
    for asked, (first, second) in questions.differences.items():
        if first not in finished or second not in finished:
            continue
        columns = {}
        for name, column in tables.columns.items():
            told = describe_difference(finished[first], finished[second], column, bootstrap)
            if told is None:
                continue
            expected = tables.expect(first, second, name)
            if measurable[name] is False:
                told["seen"] = None
            columns[name] = {
                **told,
                "expected": expected,
                "verdict": name_verdict(expected, told["seen"]),
            }
        found.append({"question": asked, "first": first, "second": second, "columns": columns})
    return found


def name_verdict(expected: int | None, seen: int | None) -> str:
    """What the sign that is seen says of the one that was expected.

    -1 expected, -1 seen: "as published"; 1 seen: "against"; 0 seen: "no sign", which is neither. Of
    what is not expected a sign is just "seen".
    """
    if seen is None:
        return NOT_MEASURABLE
    if expected is None or expected == 0:
        return "no sign" if seen == 0 else "seen"
    if seen == 0:
        return "no sign"
    return "as published" if seen == expected else "against"


def _make_curve(
    sweep: SweepConfig, questions: QuestionsConfig, finished: Mapping[str, Any]
) -> dict[str, Any]:
    places = read_places(sweep, questions) if questions.curve else {}
    return {
        "title": questions.curve_title,
        "axis": questions.curve_axis,
        "columns": list(questions.curve_columns),
        "places": {arm: place for arm, place in places.items() if arm in finished},
    }


def read_places(sweep: SweepConfig, questions: QuestionsConfig) -> dict[str, float]:
    """Arm → its place on the axis; shares that were measured come from the file that the data was
    made with, in percent."""
    measured: Mapping[str, float] = {}
    if questions.curve_file and any(isinstance(x, str) for x in questions.curve.values()):
        path = Path(questions.curve_file.format(out=sweep.out_dir))
        if not path.is_file():
            raise ValueError(
                f"{path} is not there, from which the curve has its places; make the data again, "
                "or give QuestionsConfig.curve_file a copy of it"
            )
        measured = json.loads(path.read_text(encoding="utf-8"))["word_error_rates"]
    found = {}
    for arm, place in questions.curve.items():
        if isinstance(place, str):
            if place not in measured:
                raise ValueError(
                    f"{questions.curve_file} has no word error rate of {place!r}; make the data "
                    "again, or give QuestionsConfig.curve a number"
                )
            found[arm] = 100 * float(measured[place])
        else:
            found[arm] = float(place)
    return found
