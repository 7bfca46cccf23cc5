"""Several evaluations side by side, over the questions that all of them were asked.

folders ─► share: the items of each suite that all runs have, alike in reference, labels and recordings
        ─► boards: the runs' own figures where they were asked the same, else made again over what is shared
        ─► pairs: each run against the first, part by part, by a paired test     flips: what changed sides
        ─► warnings: other judges, other wordings, other decoding
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.number_format import JUDGED, format_count, name_title
from sift_jax.evaluation.report.read_results import Evaluation, read_evaluation
from sift_jax.evaluation.report.samples_section import Sample
from sift_jax.evaluation.report.score_index import Board
from sift_jax.evaluation.scores.aggregate import make_cells
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.paired import PairedTest, compare_systems
from sift_jax.evaluation.scores.schema import (
    MODEL,
    Cell,
    EvaluationError,
    Item,
    Prediction,
    Verdict,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """What runs have in common of one suite."""

    suite: str
    # places in the list of runs
    runs: tuple[int, ...]
    # ids that all of these runs have, and that ask for the same
    ids: frozenset[str]
    sizes: tuple[int, ...]
    # of the shared, those whose question is worded otherwise
    reworded: int

    @property
    def is_whole(self) -> bool:
        return all(size == len(self.ids) for size in self.sizes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair(PairedTest):
    """A run against the first that has the suite, on one part: `difference` is the run's figure
    less the first's."""

    base: int
    run: int
    suite: str
    subset: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flip:
    """A question on which two runs differ; `gain` is what the second is better by, on a scale of
    1."""

    first: Sample
    second: Sample
    gain: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    runs: tuple[Evaluation, ...]
    names: tuple[str, ...]
    shares: tuple[Share, ...]
    boards: tuple[Board, ...]
    pairs: tuple[Pair, ...]
    # of exactly two runs
    flips: tuple[Flip, ...]
    # (kind, text): an alarm or a warning
    warnings: tuple[tuple[str, str], ...]


def make_comparison(folders: Sequence[str | Path], bootstrap: BootstrapConfig) -> Comparison:
    if len(folders) < 2:
        raise EvaluationError(
            "one evaluation alone cannot be compared; give the folders of two or more"
        )
    runs = tuple(read_evaluation(folder) for folder in folders)
    names = name_runs(runs)
    shares = tuple(find_shares(runs))
    return Comparison(
        runs=runs,
        names=names,
        shares=shares,
        boards=tuple(make_board(runs, place, shares, bootstrap) for place in range(len(runs))),
        pairs=tuple(pair for share in shares for pair in make_pairs(runs, share, bootstrap)),
        flips=tuple(flip for share in shares for flip in find_flips(runs, share))
        if len(runs) == 2
        else (),
        warnings=tuple(find_warnings(runs, names, shares)),
    )


def name_runs(runs: Sequence[Evaluation]) -> tuple[str, ...]:
    """The runs' own names, or their folders where two have the same."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in runs]
    return tuple(
        f"{name} ({place + 1})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    )


def _identify(item: Item) -> tuple:
    """What makes two items the same question, however it is worded and wherever the audio lies."""
    return (
        item.subset,
        item.language,
        item.references,
        item.labels,
        item.metrics,
        [Path(a).stem for a in item.audio],
    )


def take_items(run: Evaluation, suite: str) -> dict[str, Prediction]:
    return {p.item.id: p for p in run.predictions.get(MODEL, ()) if p.item.suite == suite}


def find_shares(runs: Sequence[Evaluation]) -> list[Share]:
    """For each suite that two or more runs answered."""
    shares = []
    asked = [dict.fromkeys(p.item.suite for p in run.predictions.get(MODEL, ())) for run in runs]
    for suite in dict.fromkeys(suite for found in asked for suite in found):
        places = [place for place, found in enumerate(asked) if suite in found]
        if len(places) < 2:
            continue
        found = [take_items(runs[place], suite) for place in places]
        first, *others = found
        ids = {
            name
            for name, p in first.items()
            if all(
                name in other and _identify(other[name].item) == _identify(p.item)
                for other in others
            )
        }
        reworded = sum(
            any(other[name].item.question != first[name].item.question for other in others)
            for name in ids
        )
        shares.append(
            Share(
                suite=suite,
                runs=tuple(places),
                ids=frozenset(ids),
                reworded=reworded,
                sizes=tuple(len(items) for items in found),
            )
        )
    return shares


def select(run: Evaluation, share: Share) -> tuple[list[Item], list[Prediction], list[Verdict]]:
    """The shared items of a run with its answers, and the verdicts of the judge who made its
    results."""
    predictions = [p for name, p in take_items(run, share.suite).items() if name in share.ids]
    verdicts = [
        run.find_verdict(p.item, metric=metric) for p in predictions for metric in p.item.metrics
    ]
    return [p.item for p in predictions], predictions, [v for v in verdicts if v is not None]


def make_board(
    runs: Sequence[Evaluation], place: int, shares: Sequence[Share], bootstrap: BootstrapConfig
) -> Board:
    """A run's figures of its model, over shared questions alone where the runs were not asked the
    same."""
    cells: list[Cell] = [cell for cell in runs[place].cells if cell.system == MODEL]
    for share in shares:
        if place in share.runs and not share.is_whole:
            cells = [cell for cell in cells if cell.suite != share.suite]
            items, predictions, verdicts = select(runs[place], share)
            cells += make_cells(items, predictions, verdicts, system=MODEL, bootstrap=bootstrap)
    return Board(cells)


def make_pairs(runs: Sequence[Evaluation], share: Share, bootstrap: BootstrapConfig) -> list[Pair]:
    """Each later run against the first that has the suite: every part, and all parts together."""
    items, predictions, verdicts = select(runs[share.runs[0]], share)
    first = predictions, verdicts
    subsets = list(dict.fromkeys(item.subset for item in items))
    pairs = []
    for place in share.runs[1:]:
        _, predictions, verdicts = select(runs[place], share)
        second = predictions, verdicts
        for subset in [*subsets, *([""] if len(subsets) > 1 else [])]:
            some = [item for item in items if subset in ("", item.subset)]
            for found in compare_systems(some, first, second, bootstrap):
                # one part alone has this metric: together it is the same again
                is_again = (
                    not subset and len({i.subset for i in items if found.metric in i.metrics}) == 1
                )
                if not is_again:
                    pairs.append(
                        Pair(
                            base=share.runs[0],
                            run=place,
                            suite=share.suite,
                            subset=subset,
                            **dataclasses.asdict(found),
                        )
                    )
    return pairs


def find_flips(runs: Sequence[Evaluation], share: Share) -> list[Flip]:
    """The shared questions with another score, those lost first, the largest changes first."""
    found = [take_items(runs[place], share.suite) for place in share.runs]
    flips = []
    for name in sorted(share.ids):
        samples = [
            Sample(prediction=items[name], verdict=run.find_verdict(items[name].item))
            for run, items in zip((runs[place] for place in share.runs), found, strict=True)
        ]
        gain = samples[1].goodness - samples[0].goodness
        if gain and all(sample.outcome != "unscored" for sample in samples):
            flips.append(Flip(first=samples[0], second=samples[1], gain=gain))
    return sorted(flips, key=lambda flip: (flip.gain > 0, -abs(flip.gain), flip.first.item.id))


def find_warnings(
    runs: Sequence[Evaluation], names: Sequence[str], shares: Sequence[Share]
) -> list[tuple[str, str]]:
    """What makes figures hard to compare; the texts name the runs."""
    found = []
    for run, name in zip(runs, names, strict=True):
        if (run.judge.get("planted") or {}).get("is_valid") is False:
            found.append(
                (
                    "alarm",
                    f"The figures of {name} are not valid: its judge {run.judge.get('name', '')} "
                    "failed the planted answers. Judge it again with another judge: python -m "
                    "sift_jax.judge.",
                )
            )
    judged = [
        place
        for place, run in enumerate(runs)
        if any(c.metric.startswith(JUDGED) for c in run.cells)
    ]
    judges = [
        {key: value for key, value in runs[place].judge.items() if key != "planted"}
        for place in judged
    ]
    found += _warn_of(
        "Scores of different judges", judges, [names[place] for place in judged], kind="alarm"
    )
    decodings = [(run.results.get("model") or {}).get("decoding") for run in runs]
    found += _warn_of("Answers of different decoding", decodings, names, kind="warning")
    for share in shares:
        if share.reworded:
            some, of = format_count(share.reworded), format_count(len(share.ids))
            found.append(
                (
                    "warning",
                    f"{name_title(share.suite)}: the prompts differ. {some} of {of} shared "
                    "questions are worded otherwise.",
                )
            )
        if not share.ids:
            found.append(
                (
                    "alarm",
                    f"{name_title(share.suite)}: the runs share no question, so there is nothing "
                    "to compare. Evaluate them on the same suite.",
                )
            )
        elif not share.is_whole:
            sizes = ", ".join(
                f"{format_count(size)} of {names[place]}"
                for place, size in zip(share.runs, share.sizes, strict=True)
            )
            found.append(
                (
                    "warning",
                    f"{name_title(share.suite)}: the runs were not asked the same. "
                    f"{format_count(len(share.ids))} questions are shared by {sizes}; all figures "
                    "and tests here are over these alone.",
                )
            )
    return found


def _warn_of(
    title: str, values: Sequence[Any], names: Sequence[str], kind: str
) -> list[tuple[str, str]]:
    if all(value == values[0] for value in values):
        return []
    said = "; ".join(
        f"{name}: {describe(value)}" for name, value in zip(names, values, strict=True)
    )
    return [(kind, f"{title} are side by side here. {said}.")]


def describe(value: Any) -> str:
    """A value of a run's description in few words."""
    if isinstance(value, dict):
        return (
            ", ".join(f"{k} {describe(v)}" for k, v in value.items() if v not in (None, "", {}))
            or "none"
        )
    return "none" if value in (None, "") else str(value)
