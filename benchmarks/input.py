"""The input pipeline against plain SeqIO over the same records: examples per CPU-second, memory,
density, first batch.

    python -m benchmarks.input [--records=DIR --tokenizer=DIR] [--utterances=300] [--seconds=6]
    [--skip_large]

An example is a question with its audio. Each side runs in a process of its own and is counted in
CPU seconds of all its threads, at three depths: what is asked (token ids, audio still compressed),
the same with decoded audio, and mel: packed batches here, features in a window of 30 s there. SeqIO
reads our own tasks, shuffled, as `get_dataset` gives them. Then a question index of 50 million
examples is made up on disk, and the batch of step 1,000,000 is asked for. The last line is JSON.
Without --records SIFT-like records are made: noise of 4 to 15 s, ten questions each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MIXTURE = {"sift.*": 1.0}
DEPTHS = ("ids", "audio", "mel")
WINDOW = 30.0
_LARGE, _LARGE_QUESTIONS = 5_000_000, 10
_WORDS = (
    "how fast does the speaker talk in this recording and is it louder than one expects of a "
    "quiet room"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the input pipeline against SeqIO.")
    parser.add_argument(
        "--records", type=Path, help="folder of records; without one, some are made"
    )
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer, with --records")
    parser.add_argument(
        "--utterances", type=int, default=300, help="utterances of records that are made"
    )
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="CPU seconds of each measurement"
    )
    parser.add_argument(
        "--questions",
        type=int,
        default=4,
        help="questions of an utterance that are taken each time",
    )
    parser.add_argument(
        "--skip_large", action="store_true", help="leave out the index of 50 million examples"
    )
    parser.add_argument("--side", choices=("plan", "seqio"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.side:
        print(json.dumps(measure_side(flags)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if flags.records is None:
            flags.records, flags.tokenizer = make_records(Path(folder), flags.utterances)
        found = {side: run_side(side, flags) for side in ("plan", "seqio")}
        for side, values in found.items():
            rates = "   ".join(f"{depth} {values[depth]:8.0f}/s" for depth in DEPTHS)
            print(f"{side:5}  {rates}   {values['resident_gib']:.2f} GiB resident")
        result: dict[str, Any] = {
            "examples_per_cpu_second": found["plan"]["ids"],
            "ratio_ids": found["plan"]["ids"] / found["seqio"]["ids"],
            "ratio_audio": found["plan"]["audio"] / found["seqio"]["audio"],
            "ratio_mel": found["plan"]["mel"] / found["seqio"]["mel"],
            "density": found["plan"]["density"],
            "plan": found["plan"],
            "seqio": found["seqio"],
        }
        if not flags.skip_large:
            result |= measure_large(Path(folder))
    print(json.dumps(result))


def run_side(side: str, flags: argparse.Namespace) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.input",
        f"--side={side}",
        f"--records={flags.records}",
    ]
    command += [
        f"--tokenizer={flags.tokenizer}",
        f"--seconds={flags.seconds}",
        f"--questions={flags.questions}",
    ]
    environment = {**os.environ, **THREADS, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def make_records(folder: Path, utterances: int) -> tuple[Path, Path]:
    """SIFT-like records and a tokenizer: what the questions say does not matter, how long they are
    does."""
    import numpy as np

    from sift_jax.audio.files import write_audio
    from sift_jax.data.records.record_audio import FLAC
    from sift_jax.data.records.record_writer import index_audio, write_language
    from sift_jax.sift.rows import write_rows
    from sift_jax.text.tokenizers import train_tokenizer

    rng = np.random.default_rng(0)
    rows = []
    (folder / "audio").mkdir()
    for number in range(utterances):
        wave = rng.normal(size=int(rng.uniform(4, 15) * 16_000)) * 0.1
        write_audio(folder / "audio" / f"u{number}.flac", np.convolve(wave, np.ones(8) / 8, "same"))
        for _ in range(10):
            question, answer = (
                " ".join(rng.choice(_WORDS, rng.integers(*n))) for n in ((8, 25), (4, 40))
            )
            content = [{"audio_path": f"/path/u{number}.wav"}, {"text": question}]
            reply = {"role": "assistant", "content": [{"text": answer}]}
            messages = [{"role": "user", "content": content}, reply]
            rows.append(
                {
                    "id": f"u{number}",
                    "messages": messages,
                    "task": "closed_ended",
                    "data_source": "made_en",
                }
            )
    write_rows(
        folder / "sift" / "train" / "closed_ended/acoustic_level" / "en" / "split0.jsonl", rows
    )
    train_tokenizer([" ".join(_WORDS), "user\n", "assistant\n"] * 4, 512, folder / "tokenizer")
    write_language(folder / "sift", index_audio(folder / "audio"), folder / "records", "en", FLAC)
    return folder / "records", folder / "tokenizer"


def make_stream(flags: argparse.Namespace) -> Any:
    """The stream of a run of SIFT-LLM's sizes: 50 positions a second of audio, rows of 3584."""
    from sift_jax.data.batch_stream import BatchStream, SpeechGeometry
    from sift_jax.data.data_config import DataConfig
    from sift_jax.data.tasks.mixture_table import MixtureConfig

    data = DataConfig(
        long_audio="set_aside",
        records=str(flags.records),
        tokenizer=str(flags.tokenizer),
        chat_template=None,
        mixture=MixtureConfig(name=None, rates=MIXTURE, rate_changes={}, languages=()),
        rates_count="examples",
        questions_per_record=flags.questions,
        rows=8,
        tokens=3584,
        targets=768,
        clips=8,
        clip_seconds=(WINDOW,),
        seed=0,
        readers=1,
        most_unreadable=0.01,
        codec=None,
        end_weight=1.0,
        unit_weights={},
    )
    geometry = SpeechGeometry(
        hears_units=False,
        mel_bins=80,
        window_seconds=WINDOW,
        is_silence_masked=False,
        front_end="whisper",
        count_frames=lambda mel: -(-mel // 2),
    )
    # with a module of someone's the mixture is defined by SeqIO, otherwise TensorFlow stays out of
    # the process
    modules = (object(),) if flags.side == "seqio" else ()
    return BatchStream(data, geometry, split="train", is_endless=True, modules=modules)


def measure_side(flags: argparse.Namespace) -> dict[str, float]:
    """Examples per CPU-second of one side at each depth, and its memory."""
    stream = make_stream(flags)
    depths = plan_depths(stream) if flags.side == "plan" else seqio_depths(stream)
    found = {name: count_rate(items, flags.seconds) for name, items in depths.items()}
    found["resident_gib"] = read_memory("VmHWM")
    if flags.side == "plan":
        blocks = [stream.plan.get_block(number) for number in range(3)]
        slots = stream.plan.shape.rows * stream.plan.shape.tokens
        tokens = [batch.tokens for block in blocks for batch in block.batches]
        found["density"] = sum(tokens) / len(tokens) / slots
        found["groups_dropped"] = sum(block.counts.groups_dropped for block in blocks)
    return found


def read_memory(name: str) -> float:
    """GiB of this process, as the kernel counts them; getrusage would count the parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 2**20


def count_rate(questions: Iterator[int], seconds: float) -> float:
    """Questions per CPU-second of what yields numbers of questions; the start is not counted."""
    next(questions)
    started, count = time.process_time(), 0
    while time.process_time() - started < seconds:
        count += next(questions)
    return count / (time.process_time() - started)


def plan_depths(stream: Any) -> dict[str, Iterator[int]]:
    plan, readers = stream.plan, stream.readers

    def groups(has_audio: bool) -> Iterator[int]:
        for _, batches in plan.blocks():
            for batch in batches:
                for g in itertools.chain(*batch.rows):
                    if has_audio:
                        yield int(stream.read_example(batch.groups, g)["question"][-1]) + 1
                        continue
                    task, item = plan.draws.tasks[batch.groups.task[g]], int(batch.groups.item[g])
                    reader = readers[task.name]
                    reader.reader.read_audio(reader.split, int(task.index.items[item]["record"]))
                    yield (
                        int(task.index.read(item, batch.groups.numbers[g].tolist())["question"][-1])
                        + 1
                    )

    def batches() -> Iterator[int]:
        for step, _ in enumerate(stream.batches()):
            yield stream.describe(step)["questions"]

    return {"ids": groups(False), "audio": groups(True), "mel": batches()}


def seqio_depths(stream: Any) -> dict[str, Iterator[int]]:
    import numpy as np
    import seqio

    from sift_jax.audio.whisper_mel import fill_log_mel
    from sift_jax.data.mixtures import make_mixture
    from sift_jax.data.records.index_records import split_clips

    def read(replaced: bool) -> Iterator[dict[str, np.ndarray]]:
        mixture = make_mixture("benchmark", MIXTURE)
        if replaced:
            # the last step decodes
            task = mixture.tasks[0]
            dataset = task.source.get_dataset(split="train", shuffle=True, seed=0).repeat()
            with seqio.utils.map_seed_manager(0):
                for step in task.preprocessors[:-1]:
                    dataset = step(dataset)
        else:
            dataset = mixture.get_dataset(
                None, split="train", shuffle=True, seed=0, num_epochs=None
            )
        return dataset.as_numpy_iterator()

    def count(replaced: bool) -> Iterator[int]:
        for example in read(replaced):
            yield int(example["question"][-1]) + 1

    def mel() -> Iterator[int]:
        for example in read(False):
            for clip in split_clips(example):
                fill_log_mel(
                    clip.astype(np.float32) / 32768.0,
                    np.empty((round(WINDOW * 100), 80), np.float32),
                )
            yield int(example["question"][-1]) + 1

    return {"ids": count(True), "audio": count(False), "mel": mel()}


def measure_large(folder: Path) -> dict[str, float]:
    """Seconds to the first planned batch at step 1,000,000 over 50 million examples, in a process
    of its own."""
    make_large_index(folder / "large")
    program = f"from benchmarks.input import plan_large; plan_large({str(folder / 'large')!r})"
    environment = {**os.environ, **THREADS, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    surveyed = json.loads(done.stdout.splitlines()[-1])
    # the next start finds what the first has counted
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"step 1,000,000 of 50 million examples: planned after {found['large_first_seconds']:.2f} "
        f"s, the first time, when they are counted, after {surveyed['large_first_seconds']:.2f} s"
    )
    return found | {"large_survey_cpu_seconds": surveyed["large_first_cpu_seconds"]}


def make_large_index(folder: Path) -> None:
    import numpy as np

    from sift_jax.data.records.question_index import FILES, ITEM, MARKER, QUESTION

    folder.mkdir()
    rng = np.random.default_rng(0)
    questions, chunk = _LARGE * _LARGE_QUESTIONS, 500_000
    with (
        (folder / "questions.bin").open("wb") as lines,
        (folder / "markers.bin").open("wb") as markers,
    ):
        for _ in range(questions // chunk):
            line = np.zeros(chunk, QUESTION)
            line["tokens"], line["targets"] = (
                rng.integers(30, 90, chunk),
                rng.integers(4, 30, chunk),
            )
            line["answer"] = line["tokens"] - line["targets"] - 1
            line["common"] = np.where(
                np.arange(chunk) % _LARGE_QUESTIONS, 6, np.iinfo(np.int32).max
            )
            line["rank"], line["markers"] = np.arange(chunk) % _LARGE_QUESTIONS, 1
            lines.write(line.tobytes())
            marker = np.zeros(chunk, MARKER)
            marker["place"] = 4
            markers.write(marker.tobytes())
    items = np.zeros(_LARGE + 1, ITEM)
    items["record"] = items["clip"] = np.arange(_LARGE + 1)
    items["question"] = items["marker"] = items["record"] * _LARGE_QUESTIONS
    items.tofile(folder / "items.bin")
    (rng.uniform(4, 15, _LARGE) * 16_000).astype("<i4").tofile(folder / "clips.bin")
    for name in ("tokens", "sources"):
        (folder / f"{name}.bin").touch()
    counts = {"items": _LARGE, "questions": questions, "markers": questions, "clips": _LARGE}
    (folder / "counts.json").write_text(json.dumps({name: counts.get(name, 0) for name in FILES}))


def plan_large(folder: str) -> None:
    """Prints what it takes to plan the batch of step 1,000,000."""
    import numpy as np

    from sift_jax.batch import BatchShape
    from sift_jax.data.plan.batch_plan import Plan
    from sift_jax.data.plan.sample_stream import Draws, PlannedTask
    from sift_jax.data.records.question_index import QuestionIndex

    def count_frames(samples: np.ndarray) -> np.ndarray:
        return -(-samples // 320)

    shape = BatchShape(rows=128, tokens=3584, targets=768, clips=8, mel_frames=3000, mel_bins=80)
    wall, cpu = time.perf_counter(), time.process_time()
    task = PlannedTask(name="large", rate=1.0, index=QuestionIndex(folder), questions=4)
    plan = Plan(
        Draws([task], [shape], count_frames, seed=0, is_endless=True, rates_count="examples"),
        seed=0,
    )
    plan.get_batch(1_000_000)
    found = {
        "large_first_seconds": time.perf_counter() - wall,
        "large_first_cpu_seconds": time.process_time() - cpu,
    }
    # pages of the index that were looked at count as resident, and can be dropped at any time; its
    # own memory is this
    found |= {"large_resident_gib": read_memory("VmHWM"), "large_own_gib": read_memory("RssAnon")}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
