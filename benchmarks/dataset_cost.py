"""What a dataset of any size costs in core-hours, tokens and bytes, from rates measured here and
now.

    python -m benchmarks.dataset_cost --build=runs/quickstart/data --out=docs/research/cost.md
        [--hours=14000] [--utterance_seconds=8] [--utterances=100] [--rounds=3] [--pairs=10]

    build ─► CPU seconds a recorded hour, an utterance or a row · bytes · tokens a call ─ scale_costs ─►  cost.md

The default is the paper's SIFT-50M: its rows by category, its 14,000 hours. CPU seconds of one
thread are counted, the best round of each, so that another load on the machine changes little.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402 - reads the number of threads once

from data_prep.corpora.utterance import parse_utterance  # noqa: E402
from data_prep.describe.paper import PAPER_HOURS, PAPER_ROWS  # noqa: E402
from data_prep.instructions.llm.estimate import estimate  # noqa: E402
from data_prep.instructions.llm.write import Plan  # noqa: E402
from data_prep.instructions.write import write_instructions  # noqa: E402
from data_prep.llm.cached_client import Prices  # noqa: E402
from data_prep.metadata.measure import measure_utterance  # noqa: E402
from data_prep.released.audio_roots import AudioRoots  # noqa: E402
from data_prep.released.join import Join, list_usable_places  # noqa: E402
from data_prep.validate import check_file  # noqa: E402
from sift_jax.audio.files import read_audio  # noqa: E402
from sift_jax.data.records.record_audio import FLAC, OPUS, encode_clip  # noqa: E402
from sift_jax.sift.rows import list_files, read_rows  # noqa: E402

RATE = 16_000
GROWTH = (100, 1_000, 14_000, 100_000)
# Rows that one pair of recordings has in the release, at most.
_ROWS_A_PAIR = 10
_HEAD_ROWS = 2_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
    """CPU seconds an hour of speech (`of_hour`) or a row (`of_row`); bytes of the same; tokens a
    row by category."""

    of_hour: dict[str, float]
    of_row: dict[str, float]
    bytes_of_hour: dict[str, float]
    bytes_of_row: dict[str, float]
    bytes_of_utterance: float
    prompt_tokens: dict[str, float]
    completion_tokens: dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """A dataset: hours of speech, seconds an utterance, rows by category."""

    hours: float
    utterance_seconds: float
    rows: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.rows.values())

    @property
    def utterances(self) -> float:
        return self.hours * 3600 / self.utterance_seconds

    @property
    def stored_hours(self) -> float:
        """A comparison's record has two recordings of its own."""
        pairs = self.rows.get("closed_ended/comparison", 0) / _ROWS_A_PAIR
        return self.hours * (1 + 2 * pairs / self.utterances)


def make_paper_size(hours: float, utterance_seconds: float) -> Size:
    """As many rows an hour as the paper has, in its categories."""
    rows = {
        category: sum(splits.values()) * hours / PAPER_HOURS
        for category, splits in PAPER_ROWS.items()
    }
    return Size(hours=hours, utterance_seconds=utterance_seconds, rows=rows)


def scale_costs(rates: Rates, size: Size) -> dict[str, float]:
    """Core-hours ("hours …"), tokens and bytes of a size."""
    costs = {
        f"hours {name}": seconds * size.hours / 3600 for name, seconds in rates.of_hour.items()
    }
    costs |= {
        f"hours {name}": seconds * size.total / 3600 for name, seconds in rates.of_row.items()
    }
    for name, each in (("prompt", rates.prompt_tokens), ("completion", rates.completion_tokens)):
        costs[f"tokens {name}"] = sum(
            each.get(category, 0.0) * count for category, count in size.rows.items()
        )
    rows = sum(
        rates.bytes_of_row.get(category, 0.0) * count for category, count in size.rows.items()
    )
    costs["bytes rows"] = rows
    costs["bytes metadata"] = rates.bytes_of_utterance * size.utterances
    for name, each in rates.bytes_of_hour.items():
        costs[f"bytes records in {name}"] = each * size.stored_hours + rows
    return costs


def measure_rates(build: Path, count: int, rounds: int, pairs: int) -> Rates:
    """All of them, from utterances taken evenly from a build."""
    lines = (build / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    lines = lines[:: max(len(lines) // count, 1)][:count]
    utterances = [parse_utterance(line) for line in _read_utterances(build, lines)]
    paths = [build / "audio" / f"{utterance.id}.flac" for utterance in utterances]
    waves = [read_audio(path) for path in paths]
    hours = sum(map(len, waves)) / RATE / 3600
    of_hour = {
        "decode and measure": _time(
            lambda: [
                measure_utterance(read_audio(path), utterance)
                for path, utterance in zip(paths, utterances, strict=True)
            ],
            rounds,
        ),
        "encode as FLAC": _time(lambda: [encode_clip(wave, FLAC) for wave in waves], rounds),
        "encode as Opus": _time(lambda: [encode_clip(wave, OPUS) for wave in waves], rounds),
    }
    of_hour = {name: seconds / hours for name, seconds in of_hour.items()}
    sizes = {
        name: sum(len(encode_clip(wave, kind)) for wave in waves) / hours
        for name, kind in (("FLAC", FLAC), ("Opus", OPUS))
    } | {"PCM": 2.0 * RATE * 3600}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        metadata = folder / "metadata.jsonl"
        metadata.write_text("\n".join(lines) + "\n", encoding="utf-8")
        of_row = _time_rows(build, folder, rounds)
        plan = Plan(pairs=pairs)
        sets = estimate(metadata, plan, Prices())["sets"]
    # With the filter each request is two calls.
    asked = {name: counts["calls"] / 2 * pairs for name, counts in sets.items() if counts["calls"]}
    return Rates(
        of_hour=of_hour,
        of_row=of_row,
        bytes_of_hour=sizes,
        bytes_of_row=_measure_rows(build / "sift"),
        bytes_of_utterance=float(np.mean([len(line.encode()) + 1 for line in lines])),
        prompt_tokens={name: sets[name]["prompt_tokens"] / rows for name, rows in asked.items()},
        completion_tokens={
            name: sets[name]["completion_tokens"] / rows for name, rows in asked.items()
        },
    )


def _time_rows(build: Path, folder: Path, rounds: int) -> dict[str, float]:
    """CPU seconds a row of what looks at rows alone."""
    made: Counter[str] = Counter()

    def write() -> None:
        made["rounds"] += 1
        out = folder / f"written{made['rounds']}"
        counts = write_instructions(folder / "metadata.jsonl", out)
        made["rows"] = sum(
            n for by in counts.values() for rows in by.values() for n in rows.values()
        )

    writing = _time(write, rounds) / made["rows"]
    sift = folder / "written1"
    places = [place for place in list_usable_places(sift) if place.split == "train"]
    rows = sum(1 for place in places for _ in read_rows(place.path))
    roots = AudioRoots([(None, build / "audio")])

    def join() -> None:
        with (folder / "rejected.jsonl").open("w", encoding="utf-8") as rejected:
            joined = Join(places, roots, folder / "scratch", rejected)
            for language in {place.language for place in places}:
                for _ in joined.group(sift, "train", language).items():
                    pass

    checking = _time(
        lambda: [check_file((0, place), folder=folder, roots=roots, limit=1) for place in places],
        rounds,
    )
    return {
        "write from templates": writing,
        "validate": checking / rows,
        "bring together by utterance": _time(join, rounds) / rows,
    }


def _read_utterances(build: Path, lines: list[str]) -> list[str]:
    """What the corpus knew of the utterances of these lines of metadata."""
    wanted = [json.loads(line)["id"] for line in lines]
    known = {
        json.loads(line)["id"]: line
        for line in (build / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    }
    return [known[name] for name in wanted]


def _measure_rows(sift: Path) -> dict[str, float]:
    """Bytes a row of each category, over the heads of its files."""
    means = {}
    for category in PAPER_ROWS:
        sizes = []
        for path in list_files(sift, "train", category):
            with path.open("rb") as lines:
                sizes += [len(line) for line, _ in zip(lines, range(_HEAD_ROWS), strict=False)]
        means[category] = float(np.mean(sizes)) if sizes else 0.0
    return means


def _time(work: Callable[[], object], rounds: int) -> float:
    work()
    best = float("inf")
    for _ in range(rounds):
        start = _count_seconds()
        work()
        best = min(best, _count_seconds() - start)
    return best


def _count_seconds() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def format_page(rates: Rates, size: Size, command: str, counted: str) -> str:
    """The page, in Markdown."""
    costs = scale_costs(rates, size)
    lines = [
        "# What a dataset costs\n",
        f"Made by `{command}` on {counted}. Seconds are those of one core.\n",
        f"The size is that of SIFT-50M: {size.total / 1e6:.1f}M rows in the paper's categories, "
        f"{size.hours:,.0f} hours. How long its utterances are is not published; at "
        f"{size.utterance_seconds:g} s they are {size.utterances / 1e6:.1f}M.\n",
        "## Core-hours\n",
        "| step | measured here | core-hours |",
        "| --- | ---: | ---: |",
    ]
    for name, seconds in rates.of_hour.items():
        lines.append(
            f"| {name} | {3600 / seconds:,.0f} × real time | {costs[f'hours {name}']:,.1f} |"
        )
    for name, seconds in rates.of_row.items():
        lines.append(
            f"| {name} | {1 / seconds:,.0f} rows a second | {costs[f'hours {name}']:,.1f} |"
        )
    lines += [
        "",
        "Records take FLAC or Opus, and what is FLAC at 16 kHz on disk is copied as it is. A "
        "language model takes the place of the templates where one is asked; what it takes of "
        "accelerators depends on the server, and is not measured here. The recordings measured "
        "are short: of longer ones a smaller share goes to what is done once a file.\n",
        "## Tokens of a language model\n",
        "| category | prompt, a row | completion, a row | prompt | completion |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for category, count in size.rows.items():
        prompt, completion = (
            each.get(category, 0.0) for each in (rates.prompt_tokens, rates.completion_tokens)
        )
        lines.append(
            f"| {category} | {prompt:,.0f} | {completion:,.0f} | {prompt * count / 1e9:,.1f} G | "
            f"{completion * count / 1e9:,.1f} G |"
        )
    lines += [
        (
            f"| all | | | {costs['tokens prompt'] / 1e9:,.1f} G | "
            f"{costs['tokens completion'] / 1e9:,.1f} G |"
        ),
        "",
        "Estimated before anybody is asked, as `python -m data_prep.instruct --dry_run` does it: "
        "each call gives all its pairs, and a second look by a model reads all of them. "
        "`--no_filter` leaves that out. Prompts hold the transcript and, for words, every word: "
        "longer utterances take more. A small first run's `ledger.json` has measured tokens.\n",
        "## Bytes\n",
        "| what | measured here | bytes |",
        "| --- | ---: | ---: |",
        (
            f"| rows (JSON lines) | {costs['bytes rows'] / size.total:,.0f} a row | "
            f"{_show(costs['bytes rows'])} |"
        ),
        (
            f"| metadata | {rates.bytes_of_utterance:,.0f} an utterance | "
            f"{_show(costs['bytes metadata'])} |"
        ),
    ]
    for name, each in rates.bytes_of_hour.items():
        note = " (not offered; for comparison)" if name == "PCM" else ""
        lines.append(
            f"| records, audio as {name}{note} | {_show(each)} an hour | "
            f"{_show(costs[f'bytes records in {name}'])} |"
        )
    lines += [
        "",
        "A record holds its audio once for all its rows; compared pairs hold theirs again, which "
        f"is {100 * (size.stored_hours / size.hours - 1):.0f} % more audio here. Synthetic speech "
        "was measured: recordings compress otherwise.\n",
        "## How it grows\n",
        "| hours | rows | measure | write rows | records, FLAC | tokens | rows | records, Opus |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for hours in GROWTH:
        other = make_paper_size(hours, size.utterance_seconds)
        cost = scale_costs(rates, other)
        tokens = cost["tokens prompt"] + cost["tokens completion"]
        lines.append(
            f"| {hours:,} | {other.total / 1e6:,.1f}M | {cost['hours decode and measure']:,.1f} h "
            f"| {cost['hours write from templates']:,.1f} h | {cost['hours encode as FLAC']:,.1f} "
            f"h | {tokens / 1e9:,.1f} G | {_show(cost['bytes rows'])} | "
            f"{_show(cost['bytes records in Opus'])} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "All of it grows in proportion: hours of speech decide measuring and records, rows "
            "decide tokens and text. Cores divide the hours; only sorting (edges of classes, "
            "repeated rows) grows faster, by the logarithm.\n",
        ]
    )


def _show(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} B"


def main() -> None:
    """Measures, prints the page, and writes it where asked."""
    parser = argparse.ArgumentParser(description="What a dataset costs, from measured rates.")
    parser.add_argument("--build", type=Path, required=True, help="a build of the embedded corpus")
    parser.add_argument("--out", type=Path, help="the page")
    parser.add_argument("--hours", type=float, default=PAPER_HOURS, help="of speech in the dataset")
    parser.add_argument(
        "--utterance_seconds", type=float, default=8.0, help="mean length of an utterance in it"
    )
    parser.add_argument(
        "--utterances", type=int, default=100, help="how many of the build are measured"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument(
        "--pairs", type=int, default=10, help="questions and answers that a call asks for"
    )
    flags = parser.parse_args()
    rates = measure_rates(flags.build, flags.utterances, flags.rounds, flags.pairs)
    size = make_paper_size(flags.hours, flags.utterance_seconds)
    counted = (
        f"{platform.machine()}, Python {platform.python_version()}, with {flags.utterances} "
        f"utterances, best of {flags.rounds} rounds"
    )
    page = format_page(
        rates, size, f"python -m benchmarks.dataset_cost --build={flags.build}", counted
    )
    print(page)
    if flags.out:
        flags.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
