"""Passages spoken: utterances per second on one core, and what the time goes into, in one run.

    python -m benchmarks.synthesis [--passages=40] [--words=56] [--rounds=3]
        [--file=train_v2.1.json.gz --corpus=ms_marco]

Passages are as long as those of MS MARCO, of the embedded corpus's sentences with amounts, dates
and measures among them; or they are a set's own. The embedded synthesizer speaks. All parts take
turns on the same passages and are counted in CPU seconds of one process, the best round of each;
the whole is measured by itself, and the parts need not add up to it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))

import numpy as np  # noqa: E402 - reads the number of threads once
import soundfile  # noqa: E402

from data_prep.embedded.corpus import read_sentences  # noqa: E402
from data_prep.engine.chunks import Chunk  # noqa: E402
from data_prep.synthesis.passages.qa_passage import Passage, Question  # noqa: E402
from data_prep.synthesis.passages.spoken_text import say_text, split_sentences  # noqa: E402
from data_prep.synthesis.passages.strip_markup import strip_markup  # noqa: E402
from data_prep.synthesis.speak_passages import (  # noqa: E402
    SETS,
    Reading,
    draw_number,
    speak_chunk,
    speak_passage,
)
from data_prep.synthesis.tts.embedded_engine import EmbeddedEngine  # noqa: E402
from data_prep.synthesis.tts.engine import EMBEDDED, RATE, Speaking  # noqa: E402
from sift_jax.audio.files import write_audio  # noqa: E402

_FACTS = (
    "It cost <b>$1.5 million</b> in 1984 (≈ 3 % of all).",
    "See www.example.org, or call 555-123-4567.",
    "Dr. Lee ran 5 km in 20 min at -3.5°C [12].",
    "From 1990–1995 it grew by 2/3 &amp; more.",
)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Times the speaking of passages.")
    parser.add_argument("--passages", type=int, default=40, help="passages that are spoken")
    parser.add_argument(
        "--words",
        type=int,
        default=56,
        help="in a passage, at least; what MS MARCO's have on average",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument(
        "--file", type=Path, help="a set's own file, instead of passages that are made here"
    )
    parser.add_argument("--corpus", choices=tuple(SETS), default="ms_marco", help="whose passages")
    flags = parser.parse_args()
    passages = read_passages(flags) if flags.file else make_passages(flags.passages, flags.words)
    reading = Reading(
        corpus=flags.corpus,
        files=(),
        language="en",
        split=None,
        sizes={},
        max_seconds=120.0,
        longest_sentence=300,
        seed=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(passages, reading, Path(folder), flags.rounds)


def make_passages(count: int, words: int) -> list[Passage]:
    """Sentences one after another, every fourth of them with something to be put into words."""
    sentences = itertools.cycle(sentence for _, sentence in read_sentences("en"))
    facts, passages = itertools.cycle(_FACTS), []
    for number in range(count):
        text: list[str] = []
        while len(" ".join(text).split()) < words:
            text.append(next(facts) if len(text) % 4 == 3 else next(sentences))
        question = Question(
            id=str(number), question="What is told?", answer="This.", references=("This.",)
        )
        passages.append(
            Passage(
                id=f"made_{number}",
                language="en",
                held="train",
                text=" ".join(text),
                questions=(question,),
            )
        )
    return passages


def read_passages(flags: argparse.Namespace) -> list[Passage]:
    found = SETS[flags.corpus][0](flags.file, "en", "train")
    return list(
        itertools.islice((item for item in found if isinstance(item, Passage)), flags.passages)
    )


def measure(passages: list[Passage], reading: Reading, folder: Path, rounds: int) -> None:
    """Prints what each part and the whole take."""
    engine = EmbeddedEngine()
    voices = engine.list_voices("en", "train")
    draws = [draw_number(0, passage.id) for passage in passages]
    said = [say_text(strip_markup(passage.text), "en") for passage in passages]
    pieces = [split_sentences(text, reading.longest_sentence) for text in said]
    waves = [
        speak_passage(text, voices[draw % len(voices)], "en", engine, draw, reading)[0]
        for text, draw in zip(said, draws, strict=True)
    ]
    chunk = Chunk(
        out=folder / "whole", language="en", split="train", first=0, last=len(passages), seed=0
    )
    chunk.write_lines("sources", [passage.to_json() for passage in passages])

    def synthesise() -> None:
        for sentences, draw in zip(pieces, draws, strict=True):
            list(engine.speak(sentences, voices[draw % len(voices)], "en", draw))

    def encode() -> None:
        for wave in waves:
            soundfile.write(folder / "one.flac", wave, RATE, subtype="PCM_16")

    def write() -> None:
        for place, wave in enumerate(waves):
            write_audio(folder / f"{place}.flac", wave, rate=RATE)

    parts: dict[str, Callable[[], object]] = {
        "markup stripped": lambda: [strip_markup(passage.text) for passage in passages],
        "said in words, cut in sentences": lambda: [
            split_sentences(say_text(passage.text, "en"), 300) for passage in passages
        ],
        "synthesis": synthesise,
        "encoding as FLAC": encode,
        "encoding and writing": write,
        "the whole": lambda: speak_chunk(
            chunk, reading=reading, speaking=Speaking(engine=EMBEDDED)
        ),
    }
    best = dict.fromkeys(parts, float("inf"))
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.process_time()
            part()
            best[name] = min(best[name], time.process_time() - start)
    report(best, len(passages), sum(map(len, pieces)), np.concatenate(waves).size / RATE, rounds)


def report(best: dict[str, float], count: int, sentences: int, seconds: float, rounds: int) -> None:
    print(
        f"{count} passages, {sentences} sentences, {seconds:.0f} s of speech, one core, best "
        f"of {rounds} rounds"
    )
    whole = best["the whole"]
    for name, spent in best.items():
        print(
            f"  {name:32} {1000 * spent / count:9.2f} ms a passage {spent / whole:7.1%} "
            f"{count / spent:10,.1f} a second"
        )
    print(
        json.dumps(
            {
                "utterances_per_second_and_core": round(count / whole, 2),
                "times_real_time": round(seconds / whole, 1),
                "seconds_of_speech": round(seconds, 1),
                "sentences": sentences,
                "ms_per_utterance": {
                    name: round(1000 * spent / count, 3) for name, spent in best.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
