"""How many examples a step of a config has: one question with its audio each, as the paper's batch
sizes count.

    python -m benchmarks.examples_per_step --gin_file=configs/stage2.gin --gin.BATCH_ROWS=32

    corpora.json: lengths of recordings, questions, answers ─► an index without tokens ─► the run's own plan of batches

Nothing is read but the config: lengths are drawn as `corpora.json` says, with its sources. Whoever
has the data sees what is true of it in batches.jsonl, step by step.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.audio.whisper_mel import HOP, RATE
from sift_jax.cli import build_arguments, import_quietly, parse_flags
from sift_jax.data.records.question_index import ITEM, MARKER, NEVER, QUESTION
from sift_jax.exits import report_errors
from sift_jax.flags import is_debug

CORPORA = Path(__file__).parent / "corpora.json"
# Utterances of a task; the plan goes round them.
_ITEMS = 6000
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
# <|im_start|> user ⏎ · <|audio_bos|> marker <|audio_eos|> · <|im_end|> ⏎ <|im_start|> assistant ⏎ ·
# <|im_end|> ⏎
_USER, _CLIP, _TO_ANSWER = 3, 3, 5


class DrawnIndex:
    """An index of questions as long as `corpora.json` has them, in the place of one on disk."""

    def __init__(
        self, task: Mapping[str, Any], corpora: Mapping[str, Any], *, seed: int, items: int = _ITEMS
    ):
        rng = np.random.default_rng(seed)
        parts = task.get("parts") or [{**task, "share": 1.0}]
        part = rng.choice(len(parts), items, p=[each["share"] for each in parts])
        seconds, questions = np.zeros(items), np.zeros(items, np.int64)
        clips = task.get("clips", 1)
        heard = np.zeros((items, clips))
        for number, each in enumerate(parts):
            chosen = np.flatnonzero(part == number)
            seconds[chosen] = draw_seconds(each["from"], corpora, rng, len(chosen))
            for clip in range(clips):
                heard[chosen, clip] = (
                    draw_seconds(each["from"], corpora, rng, len(chosen))
                    if clip
                    else seconds[chosen]
                )
            counts = list(map(int, each["questions"]))
            questions[chosen] = rng.choice(counts, len(chosen), p=list(each["questions"].values()))
        self.counts, self.folder, self.identity = (
            {"items": items},
            Path("drawn"),
            ("drawn", seed, items),
        )
        self.clips = (heard.reshape(-1) * RATE).astype(np.int32)
        self.items = np.zeros(items + 1, ITEM)
        self.items["record"] = np.arange(items + 1)
        self.items["clip"] = np.arange(items + 1) * clips
        self.items["question"][1:] = np.cumsum(questions)
        self.items["marker"] = self.items["question"] * clips
        self._write_questions(task, corpora["tokens"], np.repeat(seconds, questions), clips, rng)
        first = rng.random(items) < corpora["audio_first"]["share"]
        self._share_beginnings(
            np.repeat(first, questions), questions, corpora["tokens"]["system_turn"], clips
        )

    def __len__(self) -> int:
        return self.counts["items"]

    def _write_questions(
        self,
        task: Mapping[str, Any],
        tokens: Mapping[str, float],
        seconds: np.ndarray,
        clips: int,
        rng,
    ) -> None:
        total = len(seconds)
        transcript = np.maximum(1, seconds * tokens["transcript_per_second"]).astype(np.int64)
        asked = rng.integers(task["question"][0], task["question"][1] + 1, total)
        asked += transcript if task.get("reads") == "transcript" else 0
        if task["answer"] == "units":
            # between the two delimiters; the end of the turn is not learnt
            answer, unlearnt = (seconds * tokens["units_per_second"]).astype(np.int64) + 2, 2
        elif task["answer"] == "transcript":
            answer, unlearnt = transcript + 1, 1
        else:
            answer, unlearnt = rng.integers(task["answer"][0], task["answer"][1] + 1, total) + 1, 1
        before = tokens["system_turn"] + _USER + _CLIP * clips + asked + _TO_ANSWER
        self.asked = asked
        self.questions = np.zeros(total, QUESTION)
        self.questions["tokens"] = before + answer + unlearnt
        self.questions["targets"], self.questions["answer"], self.questions["markers"] = (
            answer,
            before,
            clips,
        )

    def _share_beginnings(
        self, first: np.ndarray, counts: np.ndarray, system: int, clips: int
    ) -> None:
        """Audio that comes first is common to all questions of an utterance; else only what stands
        before."""
        start = system + _USER
        number = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.questions["rank"] = number
        self.questions["common"] = np.where(
            number > 0, start + np.where(first, _CLIP * clips, 0), NEVER
        )
        place = start + np.where(first, 0, self.asked)
        self.markers = np.zeros(len(first) * clips, MARKER)
        for clip in range(clips):
            self.markers["place"][clip::clips] = place + _CLIP * clip + 1
            self.markers["clip"][clip::clips] = clip


def draw_seconds(
    shares: Mapping[str, float], corpora: Mapping[str, Any], rng, count: int
) -> np.ndarray:
    """How long recordings are, of corpora by their shares."""
    names = list(shares)
    which = rng.choice(len(names), count, p=np.array(list(shares.values())) / sum(shares.values()))
    place = rng.random(count)
    drawn = [np.interp(place, _QUANTILES, corpora["corpora"][name]["seconds"]) for name in names]
    return np.choose(which, drawn)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted:
    """What a step of a plan has, in the mean over a block; shares by task."""

    examples: float
    least: int
    most: int
    # of the positions, those that are not padding
    fill: float
    of_examples: Mapping[str, float]
    of_targets: Mapping[str, float]
    of_records: Mapping[str, float]


def count_examples(arguments: Mapping[str, Any], corpora: Mapping[str, Any]) -> Counted:
    """The run's own plan, over drawn lengths."""
    from sift_jax.data.batch_stream import make_shapes
    from sift_jax.data.plan.batch_plan import Plan
    from sift_jax.data.plan.sample_stream import Draws, PlannedTask
    from sift_jax.models.presets import make_model_config
    from sift_jax.training.job import make_geometry

    data, geometry = arguments["data"], make_geometry(make_model_config(arguments["model"]))
    longest = round(geometry.window_seconds * RATE / HOP) + 1
    frames = np.array([0, *map(geometry.count_frames, range(1, longest + 1))])
    front_end = FRONT_ENDS[geometry.front_end]

    def count_frames(samples: np.ndarray) -> np.ndarray:
        return frames[np.minimum(front_end.count_frames(samples.astype(np.int64)), len(frames) - 1)]

    tasks = [
        PlannedTask(
            name=category,
            rate=rate,
            index=DrawnIndex(
                corpora["tasks"][category], corpora, seed=zlib.crc32(category.encode())
            ),
            questions=data.questions_per_record,
        )
        for category, rate in find_rates(data, list(corpora["tasks"])).items()
    ]
    shapes = make_shapes(data, geometry)
    draws = Draws(
        tasks, shapes, count_frames, seed=0, is_endless=True, rates_count=data.rates_count
    )
    plan = Plan(draws, seed=0)
    return _count(plan, shapes[-1].rows * shapes[-1].tokens)


def find_rates(data, categories: Sequence[str]) -> dict[str, float]:
    """The rates of the config's mixture by category, its languages together."""
    from sift_jax.data.tasks.mixture_table import TASKS, is_in_languages, match_patterns

    rates = data.mixture.choose_rates()
    if rates is None:
        raise ValueError(
            f"mixture {data.mixture.name!r} is of a module of its own; give RATES, with "
            "MIXTURE = None"
        )
    names = [name for name, (category, _) in TASKS.items() if category in categories]
    names = [name for name in names if is_in_languages(name, data.mixture.languages)]
    found: collections.Counter[str] = collections.Counter()
    for pattern, matched in match_patterns(rates, names).items():
        if not matched:
            raise ValueError(
                f"no task of {pattern!r} has lengths in corpora.json; leave it out by the rate 0"
            )
        for name in matched:
            found[TASKS[name][0]] += rates[pattern] / len(matched)
    return dict(found)


def _count(plan, positions: int) -> Counted:
    batches = plan.get_block(1).batches
    examples, targets, records = (collections.Counter() for _ in range(3))
    for batch in batches:
        groups = batch.groups
        for group in (group for row in batch.rows for group in row):
            name = plan.draws.tasks[groups.task[group]].name
            examples[name] += int(groups.chosen[group])
            targets[name] += int(groups.sizes.targets[group])
            records[name] += 1
    per_batch = [batch.questions for batch in batches]
    shares = [
        {name: count / sum(counter.values()) for name, count in sorted(counter.items())}
        for counter in (examples, targets, records)
    ]
    return Counted(
        examples=float(np.mean(per_batch)),
        least=min(per_batch),
        most=max(per_batch),
        fill=float(np.mean([batch.tokens for batch in batches])) / positions,
        of_examples=shares[0],
        of_targets=shares[1],
        of_records=shares[2],
    )


def describe(data, counted: Counted) -> list[str]:
    """A line, and a table of the tasks."""
    lines = [
        f"{data.rows} rows × {data.tokens} positions: {counted.examples:.0f} examples a step "
        f"({counted.least} to {counted.most}), rows {counted.fill:.0%} full",
        f"{'':32}{'examples':>10}{'targets':>10}{'groups':>10}",
    ]
    for name, share in counted.of_examples.items():
        lines.append(
            f"{name:32}{share:10.3f}{counted.of_targets[name]:10.3f}{counted.of_records[name]:10.3f}"
        )
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--corpora", default=str(CORPORA), help="lengths in the layout of benchmarks/corpora.json"
    )
    own, rest = parser.parse_known_args(argv)
    flags = parse_flags(rest, "counts the examples of a step; --corpora=FILE has other lengths")

    def run() -> None:
        train = import_quietly("sift_jax.training.loop").train
        arguments = build_arguments(train, flags.gin_file, flags.bindings)
        counted = count_examples(arguments, json.loads(Path(own.corpora).read_text()))
        print("\n".join(describe(arguments["data"], counted)))

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
