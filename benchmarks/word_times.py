"""How far the aligners' word times are from the truth, and how quick they are.

    python -m benchmarks.word_times [--whisper=weights/whisper-base] [--ctc=weights/wav2vec2-…]
    [--clips=40]
        [--languages=en,de,fr,it,es] [manifest.jsonl …] [--json=word_times.json]

    embedded     the embedded synthesizer's own times, with its rooms and noises
    manifests    recordings whose lines give `words`, by whoever has published them; a word may be a whole phrase
                 between two pauses, of which start and end are known

A row of the table is a source, a language and an aligner: the distances of starts and of ends,
median and 90 % in milliseconds, how many of both are within 50, 100 and 200 ms, and seconds of
audio per CPU-second. pocketsphinx takes part in English where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.alignment.align import make_aligner
from data_prep.alignment.word_time import (
    Aligner,
    AlignmentError,
    Speech,
    WordTime,
    align_each,
    list_letters,
    use_spelling,
)
from data_prep.corpora.manifest import make_recording, read_manifest_rows
from data_prep.corpora.recording import Recording
from data_prep.corpora.utterance import WordSpan
from data_prep.embedded.corpus import make_plans, synthesize
from sift_jax.audio.files import decode_audio, mix_channels, resample
from sift_jax.sift.labels import LANGUAGES

RATE = 16_000
_WITHIN = (0.05, 0.1, 0.2)
Sample = tuple[Speech, tuple[WordSpan, ...]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table as its rows are found."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.word_times", description="Tries aligners on known times."
    )
    parser.add_argument(
        "manifests", nargs="*", type=Path, help="recordings with words, beside the embedded corpus"
    )
    parser.add_argument("--whisper", type=Path, help="folder of a Whisper")
    parser.add_argument("--ctc", type=Path, help="folder of a wav2vec2-type model")
    parser.add_argument(
        "--clips", type=int, default=40, help="of each source and language; 0: no synthesizer"
    )
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="comma-separated")
    parser.add_argument("--seed", type=int, default=0, help="decides what is drawn")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    flags = parser.parse_args(arguments)
    aligners = make_aligners(flags.whisper, flags.ctc)
    if not aligners:
        raise SystemExit("error: no aligner; give --whisper or --ctc, or pip install pocketsphinx")
    languages = flags.languages.split(",")
    sources = {
        ("embedded", language): make_samples(language, flags.clips, flags.seed)
        for language in languages
        if flags.clips
    }
    for manifest in flags.manifests:
        for language, samples in read_samples(manifest, languages).items():
            sources[manifest.stem, language] = samples[: flags.clips or None]
    print(f"{name_processor()}\n{format_header()}", flush=True)
    rows = []
    for (source, language), samples in sources.items():
        for name, aligner in aligners.items():
            if name != "sphinx" or language == "en":
                rows.append(
                    {
                        "source": source,
                        "language": language,
                        "aligner": name,
                        **try_aligner(aligner, samples),
                    }
                )
                print(format_row(rows[-1]), flush=True)
    if flags.json:
        flags.json.write_text(
            json.dumps({"processor": name_processor(), "rows": rows}, indent=1) + "\n",
            encoding="utf-8",
        )


def make_aligners(whisper: Path | None, ctc: Path | None) -> dict[str, Aligner]:
    """Those that can be had."""
    found = {
        name: make_aligner(name, folder)
        for name, folder in (("whisper", whisper), ("ctc", ctc))
        if folder
    }
    if importlib.util.find_spec("pocketsphinx"):
        found["sphinx"] = make_aligner("sphinx")
    return found


def make_samples(language: str, count: int, seed: int) -> list[Sample]:
    """Clips of the synthesizer, and its word times."""
    spoken = [synthesize(plan) for plan in make_plans(language, "train", count, seed=seed)]
    return [
        (Speech(wave=wave, transcript=truth.transcript, language=language), truth.words)
        for wave, truth in spoken
    ]


def read_samples(manifest: Path, languages: Sequence[str]) -> dict[str, list[Sample]]:
    """The lines of a manifest that have words, by language."""
    found: dict[str, list[Sample]] = {}
    for item in read_manifest_rows(
        manifest, lambda row: make_recording(row, manifest.parent, languages)
    ):
        if isinstance(item, Recording) and item.words:
            decoded = decode_audio(item.audio, start=item.start, seconds=item.seconds)
            wave = resample(mix_channels(decoded.samples, item.audio), decoded.rate, RATE)
            speech = Speech(wave=wave, transcript=item.transcript, language=item.language)
            found.setdefault(item.language, []).append((speech, item.words))
    return found


def try_aligner(aligner: Aligner, samples: Sequence[Sample]) -> dict[str, Any]:
    """Distances over all words, and speed without what the first call of each size compiles."""
    speeches = [speech for speech, _ in samples]
    for length in {-(-len(speech.wave) // (10 * RATE)) for speech in speeches}:
        group = [speech for speech in speeches if -(-len(speech.wave) // (10 * RATE)) == length]
        list(align_each(aligner, group[:8]))
    start = time.process_time()
    found = list(align_each(aligner, speeches))
    seconds = time.process_time() - start
    distances, aside = [], 0
    for (speech, truth), times in zip(samples, found, strict=True):
        near = (
            None
            if isinstance(times, AlignmentError)
            else measure_distances(times, truth, speech.transcript)
        )
        if near is None:
            aside += 1
        else:
            distances.append(near)
    audio = sum(len(speech.wave) for speech in speeches) / RATE
    pace = round(audio / max(seconds, 1e-9), 1)
    return {
        "clips": len(samples),
        "aside": aside,
        **describe(distances),
        "seconds per CPU-second": pace,
    }


def measure_distances(
    times: Sequence[WordTime], truth: Iterable[WordSpan], transcript: str
) -> np.ndarray | None:
    """Found less true start and end of each span of the truth [n, 2]; None where that is of other
    words.

    A span may be of several words, such as a phrase between two pauses, whose first starts and
    whose last ends with it.
    """
    try:
        spelt = use_spelling(times, transcript)
    except AlignmentError:
        return None
    starts, ends, letters = {}, {}, 0
    for word in spelt:
        starts[letters] = word.start
        letters += len(list_letters(word.word))
        ends[letters] = word.end
    distances, letters, first, begin = [], 0, 0, None
    for span in truth:
        begin = span.start if begin is None else begin
        letters += len(list_letters(span.word))
        # "l'" and "eau" of the truth are one word of the transcript
        if letters not in ends:
            continue
        if first not in starts:
            return None
        distances.append((starts[first] - begin, ends[letters] - span.end))
        first, begin = letters, None
    if begin is not None or letters != max(ends, default=0):
        return None
    return np.array(distances)


def describe(distances: Sequence[np.ndarray]) -> dict[str, Any]:
    """Milliseconds and per cent."""
    if not distances:
        return {"words": 0}
    joined = np.concatenate(distances)
    far = np.abs(joined)
    row: dict[str, Any] = {"words": len(joined)}
    for name, column in (("start", 0), ("end", 1)):
        row |= {
            f"{name} median": round(1000 * float(np.median(far[:, column]))),
            f"{name} 90 %": round(1000 * float(np.quantile(far[:, column], 0.9))),
            f"{name} bias": round(1000 * float(np.median(joined[:, column]))),
        }
    return row | {
        f"within {round(1000 * bound)}": round(100 * float((far <= bound).mean()), 1)
        for bound in _WITHIN
    }


def name_processor() -> str:
    """As Linux names it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor() or platform.machine()


def format_header() -> str:
    return (
        f"{'source':<12} {'':<3} {'aligner':<8} {'clips':>5} {'words':>5} │ start: median  90 %  "
        "bias │ end: median  90 %  bias │ within 50   100   200 ms │ s / CPU-s │ aside"
    )


def format_row(row: dict[str, Any]) -> str:
    if not row["words"]:
        return (
            f"{row['source']:<12} {row['language']:<3} {row['aligner']:<8} {row['clips']:>5}     "
            "0 │ none"
        )
    return (
        f"{row['source'][:12]:<12} {row['language']:<3} {row['aligner']:<8} {row['clips']:>5} "
        f"{row['words']:>5} │ {row['start median']:>13} {row['start 90 %']:>5} "
        f"{row['start bias']:>5} │ {row['end median']:>11} {row['end 90 %']:>5} "
        f"{row['end bias']:>5} │ {row['within 50']:>9} {row['within 100']:>5} "
        f"{row['within 200']:>5}    │ {row['seconds per CPU-second']:>9} │ {row['aside']:>5}"
    )


if __name__ == "__main__":
    main()
