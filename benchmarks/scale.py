"""Millions of rows through the project's own way from SIFT files to a batch: seconds, memory and
bytes of each part.

    python -m benchmarks.scale [--rows=1000000,5000000] [--folder=DIR] [--workers=1]
    [--json=scale.json]

    rows        made up: SIFT files of questions as long as the released ones, ten an utterance, in MLS's layout; audio
                is a few tiny clips under as many names as there are utterances
    records     data_prep.records: rows brought together by utterance, audio packed, records written
    index       the question index: every question as token ids
    first plan  a run's start and the plan of its first batch, when the index is counted for the first time
    plan        the same at the next start
    batch       the first batch, read, laid out and with its mel; and the one of step 100,000

Each part is a process of its own, whose most resident memory is told; so is what its workers took.
What grows with the rows is told by two sizes: bytes a row, and what follows for 50 million. That is
too much for records of less than a gigabyte, which TFDS keeps in memory. Of each size about 1 GB a
million rows is written below --folder, and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

QUESTIONS = 10
PARTS = ("rows", "records", "index", "first plan", "plan", "batch")
FAR_STEP = 100_000
FULL_SIZE = 50_000_000
# of the questions of an utterance
_CATEGORIES = (
    ("closed_ended/acoustic_level", 4),
    ("closed_ended/content_level", 3),
    ("closed_ended/word_align", 2),
    ("open_ended", 1),
)
_WORDS = (
    "how fast does the speaker talk in this recording and is it louder than one expects of a "
    "quiet room with some noise far away from the microphone where a woman says slowly that rain "
    "falls on seven hills"
).split()
_TEXTS, _CLIPS = 4096, 16
_ROWS_OF_FILE = 500_000
_BOOK, _SPEAKER = 100, 1000
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures each size, prints a table of it, and what follows of two."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.scale", description="Times records, index and plan of many rows."
    )
    parser.add_argument("--rows", default="100000,1000000", help="sizes, comma-separated")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the files may lie meanwhile; by default a temporary folder",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that pack audio")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    flags = parser.parse_args(arguments)
    if flags.part:
        print(json.dumps(measure_part(flags.part, int(flags.rows), flags.folder, flags.workers)))
        return
    found: dict[int, dict[str, dict[str, float]]] = {}
    for rows in sorted(int(text) for text in flags.rows.split(",")):
        with tempfile.TemporaryDirectory(dir=flags.folder) as name:
            found[rows] = {part: run_part(part, rows, Path(name), flags.workers) for part in PARTS}
        print(format_size(rows, found[rows]), flush=True)
    if len(found) > 1:
        print(format_growth(found))
    if flags.json:
        machine = {
            "machine": platform.machine(),
            "processor": read_processor(),
            "workers": flags.workers,
        }
        flags.json.write_text(
            json.dumps({**machine, "sizes": found}, indent=1) + "\n", encoding="utf-8"
        )


def run_part(part: str, rows: int, folder: Path, workers: int) -> dict[str, float]:
    """A part in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.scale",
        f"--part={part}",
        f"--rows={rows}",
        f"--folder={folder}",
        f"--workers={workers}",
    ]
    environment = {**os.environ, **_THREADS, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {part} of {rows:,} rows failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_part(part: str, rows: int, folder: Path, workers: int) -> dict[str, float]:
    """Wall and CPU seconds, bytes of memory and of disk."""
    work: dict[str, Callable[[], Any]] = {
        "rows": lambda: write_rows(folder, rows),
        "records": lambda: make_records(folder, workers),
        "index": lambda: make_index(folder),
        "first plan": lambda: plan(folder),
        "plan": lambda: plan(folder),
        "batch": lambda: read_batches(folder),
    }
    before, wall = count_bytes(folder), time.perf_counter()
    more = work[part]() or {}
    wall = time.perf_counter() - wall
    used = os.times()
    return {
        "wall": wall,
        "cpu": used.user + used.system + used.children_user + used.children_system,
        "memory": read_peak(),
        "memory_of_workers": 1024.0 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        "disk": count_bytes(folder) - before,
        **more,
    }


def read_peak() -> float:
    """Most resident bytes of this process; getrusage would begin with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def read_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def count_bytes(folder: Path) -> float:
    """Of all files below it; one with many names counts once."""
    sizes = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            found = Path(parent, name).stat()
            sizes[found.st_ino] = found.st_size
    return float(sum(sizes.values()))


# ---- the parts


def write_rows(folder: Path, rows: int) -> None:
    """SIFT files, audio and a tokenizer: what the questions say does not matter, how long they are
    does."""
    from sift_jax.text.tokenizers import train_tokenizer

    rng = random.Random(0)
    names = [name_utterance(number) for number in range(rows // QUESTIONS)]
    link_clips(folder / "corpus" / "train" / "audio", names)
    questions, answers = (
        [json.dumps(" ".join(rng.choices(_WORDS, k=rng.randint(*length)))) for _ in range(_TEXTS)]
        for length in ((8, 20), (6, 24))
    )
    for category, count in _CATEGORIES:
        write_category(
            folder / "sift" / "train" / category / "en",
            category,
            names,
            count,
            (questions, answers),
            rng,
        )
    train_tokenizer([" ".join(_WORDS), "user\n", "assistant\n"] * 4, 512, folder / "tokenizer")


def name_utterance(number: int) -> str:
    return f"{number // _SPEAKER}_{number // _BOOK}_{number:06d}"


def link_clips(folder: Path, names: Sequence[str]) -> None:
    """MLS's layout; a file system allows a file some ten thousand names, so there are copies
    enough."""
    import numpy as np

    from sift_jax.audio.files import write_audio

    most = 30_000
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    bases = [
        folder.parent / f"clip{number}.flac"
        for number in range(max(_CLIPS, -(-len(names) // most)))
    ]
    for number, path in enumerate(bases):
        # nearly silent, so that it is small
        write_audio(path, noise.normal(size=4_800 + 80 * (number % _CLIPS)) * 2e-4)
    made = set()
    for number, name in enumerate(names):
        speaker, book, _ = name.split("_")
        place = folder / speaker / book
        if place not in made:
            place.mkdir(parents=True, exist_ok=True)
            made.add(place)
        os.link(bases[number % len(bases)], place / f"{name}.flac")


def write_category(
    folder: Path,
    category: str,
    names: Sequence[str],
    count: int,
    texts: tuple[list[str], list[str]],
    rng: random.Random,
) -> None:
    folder.mkdir(parents=True)
    task = category.partition("/")[0]
    step = _ROWS_OF_FILE // count
    for place in range(0, len(names), step):
        with (folder / f"split{place // step}.jsonl").open("w", encoding="utf-8") as out:
            for name in names[place : place + step]:
                for _ in range(count):
                    question, answer = (each[int(rng.random() * _TEXTS)] for each in texts)
                    out.write(
                        f'{{"id": "{name}", "messages": [{{"role": "user", "content": '
                        f'[{{"audio_path": '
                        f'"/path/to/{name}.flac", "text": null}}, {{"audio_path": null, "text": '
                        f"{question}}}]}}, "
                        f'{{"role": "assistant", "content": [{{"text": {answer}}}]}}], "task": '
                        f'"{task}", '
                        f'"data_source": "multilingual_librispeech_en"}}\n'
                    )


def make_records(folder: Path, workers: int) -> None:
    from data_prep.records import join_release

    summary = join_release(
        folder / "sift", [f"mls={folder / 'corpus'}"], folder / "records", ["en"], workers=workers
    )
    shutil.rmtree(folder / "sift")
    shutil.rmtree(folder / "corpus")
    if summary["en"]["rejected"] or not summary["en"]["records"]:
        raise SystemExit(f"error: rows were skipped: {summary['en']}")


def make_index(folder: Path) -> None:
    from sift_jax.data.records.index_records import index_records
    from sift_jax.data.records.record_reader import RecordReader
    from sift_jax.text.tokenizers import SpeechTokenizer

    index_records(
        RecordReader(folder / "records", "en"), "train", SpeechTokenizer(folder / "tokenizer")
    )


def make_stream(folder: Path) -> Any:
    """The stream of a run of SIFT-LLM's sizes: 50 positions a second of audio, rows of 2816."""
    from sift_jax.data.batch_stream import BatchStream, SpeechGeometry
    from sift_jax.data.data_config import DataConfig
    from sift_jax.data.tasks.mixture_table import MixtureConfig

    data = DataConfig(
        long_audio="set_aside",
        records=str(folder / "records"),
        tokenizer=str(folder / "tokenizer"),
        chat_template=None,
        mixture=MixtureConfig(
            name="understanding",
            rates=None,
            languages=(),
            rate_changes={"sift.closed_ended.comparison.*": 0.0},
        ),
        rates_count="examples",
        questions_per_record=4,
        rows=16,
        tokens=2816,
        targets=768,
        clips=8,
        clip_seconds=(30.0,),
        seed=0,
        readers=1,
        most_unreadable=0.0,
        codec=None,
        end_weight=1.0,
        unit_weights={},
    )
    geometry = SpeechGeometry(
        hears_units=False,
        mel_bins=80,
        window_seconds=30.0,
        is_silence_masked=False,
        front_end="whisper",
        count_frames=lambda mel: -(-mel // 2),
    )
    return BatchStream(data, geometry, split="train", is_endless=True)


def plan(folder: Path) -> None:
    make_stream(folder).plan.get_batch(0)


def read_batches(folder: Path) -> dict[str, float]:
    """The first batch, and the seconds that a run which goes on at a far step waits for its own."""
    stream = make_stream(folder)
    next(iter(stream.batches()))
    started = time.perf_counter()
    next(iter(stream.batches(FAR_STEP)))
    return {"far_step": time.perf_counter() - started}


# ---- what is told


def format_size(rows: int, parts: dict[str, dict[str, float]]) -> str:
    lines = [
        f"{rows:,} rows of {rows // QUESTIONS:,} utterances on {read_processor()}",
        (
            "  "
            f"{'part':<12}{'wall':>10}{'CPU':>10}{'µs a row':>10}{'memory':>12}{'a worker':>12}{'disk':>12}"
        ),
    ]
    for name, each in parts.items():
        lines.append(
            f"  {name:<12}{each['wall']:>8,.1f} s{each['cpu']:>8,.1f} "
            f"s{1e6 * each['cpu'] / rows:>10,.1f}"
            f"{each['memory'] / 2**20:>8,.0f} MiB{each['memory_of_workers'] / 2**20:>8,.0f} MiB"
            f"{each['disk'] / 1e9:>9,.2f} GB"
        )
    return "\n".join(
        [*lines, f"  the batch of step {FAR_STEP:,} after {parts['batch']['far_step']:.1f} s"]
    )


def format_growth(sizes: dict[int, dict[str, dict[str, float]]]) -> str:
    """What the two largest sizes say of fifty million rows: their difference a row, as often as
    rows are added."""
    small, large = sorted(sizes)[-2:]
    lines = [
        f"from {small:,} to {large:,} rows, and what follows for {FULL_SIZE:,}:",
        f"  {'part':<12}{'memory a row':>14}{'memory':>14}{'CPU a row':>14}{'CPU':>14}",
    ]
    for part in sizes[large]:
        first, last = sizes[small][part], sizes[large][part]
        slopes = {name: (last[name] - first[name]) / (large - small) for name in ("memory", "cpu")}
        then = {
            name: last[name] + (FULL_SIZE - large) * max(slope, 0.0)
            for name, slope in slopes.items()
        }
        lines.append(
            f"  {part:<12}{slopes['memory']:>12,.1f} B{then['memory'] / 2**30:>10,.1f} GiB"
            f"{1e6 * slopes['cpu']:>11,.1f} µs{then['cpu'] / 60:>10,.1f} min"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
