"""Acoustic metadata: times real time on one core of each part and of the whole, beside librosa, in
one run.

    python -m benchmarks.metadata [--build=runs/quickstart/data] [--clips=60] [--rounds=3]
    [--checkpoint=FOLDER]

Clips are FLAC files of a build of the embedded corpus, or made for the occasion. All parts take
turns on the same clips and are counted in CPU seconds, the best round of each: another load on the
machine slows all of them. Praat (parselmouth), pocketsphinx and DNSMOS take part where they are
installed; F0 is then compared with Praat's.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np  # noqa: E402 - reads the number of threads once

from data_prep.corpora.utterance import Utterance, parse_utterance  # noqa: E402
from data_prep.embedded.corpus import make_plans, synthesize  # noqa: E402
from data_prep.metadata import (  # noqa: E402
    distortion,
    intensity,
    noise,
    pitch,
    rate,
    reverberation,
    word_measures,
)
from data_prep.metadata.expert_networks import make_dnsmos  # noqa: E402
from data_prep.metadata.experts import make_panel, parse_experts  # noqa: E402
from data_prep.metadata.measure import measure_utterance  # noqa: E402
from sift_jax.audio.files import read_audio, write_audio  # noqa: E402
from sift_jax.data.records.record_audio import OPUS, encode_clip  # noqa: E402
from sift_jax.data.records.record_reader import decode_clip  # noqa: E402

RATE = 16_000
# These take minutes for what the others do in seconds: they get a share of the clips.
_SLOW, _SLOW_SHARE = ("librosa.pyin", "quality by DNSMOS", "words by CTC"), 6
_LOWEST, _HIGHEST = 65.0, 450.0

Clip = tuple[Path, np.ndarray, Utterance]
Part = Callable[[list[Clip]], Any]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Times the extractors of acoustic metadata.")
    parser.add_argument(
        "--build",
        type=Path,
        help="a build of the embedded corpus; without it clips are synthesized",
    )
    parser.add_argument("--clips", type=int, default=60, help="recordings that are measured")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument(
        "--checkpoint", type=Path, help="a wav2vec2-type folder, to time the CTC aligner with"
    )
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = (
            read_build(flags.build, flags.clips)
            if flags.build
            else make_clips(Path(folder), flags.clips)
        )
        seconds = sum(len(wave) for _, wave, _ in clips) / RATE
        print(
            f"{len(clips)} clips, {seconds:.0f} s of speech, one thread, best of "
            f"{flags.rounds} rounds"
        )
        parts = make_parts(clips)
        if flags.checkpoint:
            from data_prep.alignment.ctc import CtcAligner

            ctc = CtcAligner.read(flags.checkpoint)
            parts["words by CTC"] = functools.partial(
                run, lambda clip: ctc.align(clip[1], clip[2].transcript)
            )
        measure(parts, clips, flags.rounds)
    if importlib.util.find_spec("parselmouth"):
        compare_with_praat(clips)


def read_build(build: Path, count: int) -> list[Clip]:
    """Evenly taken from the utterances of a build."""
    lines = (build / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    utterances = [parse_utterance(line) for line in lines[:: max(len(lines) // count, 1)][:count]]
    paths = [build / "audio" / f"{utterance.id}.flac" for utterance in utterances]
    return [
        (path, read_audio(path), utterance)
        for path, utterance in zip(paths, utterances, strict=True)
    ]


def make_clips(folder: Path, count: int) -> list[Clip]:
    """English clips of the embedded corpus, written as FLAC."""
    clips = []
    for plan in make_plans("en", "train", count, seed=0):
        wave, utterance = synthesize(plan)
        path = folder / f"{utterance.id}.flac"
        write_audio(path, wave)
        clips.append((path, read_audio(path), utterance))
    return clips


def make_parts(clips: list[Clip]) -> dict[str, Part]:
    """What is timed, by name; each takes some clips."""
    import librosa

    seven = make_panel(parse_experts("distortion_level=energy"))
    powers = {utterance.id: intensity.frame_power(wave) for _, wave, utterance in clips}
    tracks = {utterance.id: pitch.track_pitch(wave) for _, wave, utterance in clips}
    packed = {utterance.id: encode_clip(wave, OPUS) for _, wave, utterance in clips}
    each: dict[str, Callable[[Clip], Any]] = {
        "decode FLAC": lambda clip: read_audio(clip[0]),
        "decode Opus": lambda clip: decode_clip(packed[clip[2].id]),
        "F0 track": lambda clip: pitch.track_pitch(clip[1]),
        "pitch, variation (of F0)": lambda clip: (
            pitch.average_pitch(tracks[clip[2].id]),
            pitch.pitch_variation(tracks[clip[2].id]),
        ),
        "speaking rate": lambda clip: rate.speaking_rate(clip[2].phonemes, 0.0, clip[2].duration),
        "intensity": lambda clip: intensity.average_intensity(intensity.frame_power(clip[1])),
        "noise (of frame power)": lambda clip: noise.noise_level(
            powers[clip[2].id], clip[2].words[0].start
        ),
        "reverberation": lambda clip: reverberation.reverberation(
            clip[1], clip[2].words[0].start, clip[2].words[-1].end
        ),
        "distortion (of frame power)": lambda clip: distortion.distortion_level(powers[clip[2].id]),
        "words (of F0, frame power)": lambda clip: word_measures.measure_words(
            tracks[clip[2].id], powers[clip[2].id], clip[2].words
        ),
        "FLAC to six keys and words": lambda clip: measure_utterance(read_audio(clip[0]), clip[2]),
        "FLAC to seven keys and words": lambda clip: measure_utterance(
            read_audio(clip[0]), clip[2], seven
        ),
        "librosa.yin": lambda clip: librosa.yin(
            clip[1], fmin=_LOWEST, fmax=_HIGHEST, sr=RATE, hop_length=160
        ),
        "librosa.pyin": lambda clip: librosa.pyin(
            clip[1], fmin=_LOWEST, fmax=_HIGHEST, sr=RATE, hop_length=160
        ),
    }
    if importlib.util.find_spec("parselmouth"):
        each["Praat autocorrelation F0"] = lambda clip: track_by_praat(clip[1])
    if importlib.util.find_spec("pocketsphinx"):
        from data_prep.alignment.sphinx import SphinxAligner

        aligner = SphinxAligner()
        each["words by pocketsphinx"] = lambda clip: aligner.align(clip[1], clip[2].transcript)
    parts = {name: functools.partial(run, part) for name, part in each.items()}
    if importlib.util.find_spec("speechmos") and importlib.util.find_spec("onnxruntime"):
        # Networks hear several at once, and are reported apart.
        dnsmos = make_dnsmos()
        parts["quality by DNSMOS"] = lambda group: dnsmos([wave for _, wave, _ in group])
    return parts


def measure(parts: dict[str, Part], clips: list[Clip], rounds: int) -> None:
    """Prints times real time of each part."""
    shares = {
        name: clips[: max(len(clips) // _SLOW_SHARE, 1)] if name in _SLOW else clips
        for name in parts
    }
    best = dict.fromkeys(parts, float("inf"))
    for name, part in parts.items():
        # The CTC aligner compiles for every number of seconds.
        part(shares[name] if name == "words by CTC" else shares[name][:1])
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.process_time()
            part(shares[name])
            best[name] = min(best[name], time.process_time() - start)
    rates = {
        name: sum(len(wave) for _, wave, _ in shares[name]) / RATE / best[name] for name in parts
    }
    for name, times in rates.items():
        print(
            f"  {name:30} {times:12,.0f} × real time   {14_000 / times:10.2f} core-hours for "
            "14,000 h"
        )


def run(part: Callable[[Clip], Any], clips: list[Clip]) -> None:
    """Over all clips, one by one; an aligner may refuse one of them."""
    for clip in clips:
        try:
            part(clip)
        except ValueError as error:
            print(f"  {clip[2].id}: {error}")


def track_by_praat(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and F0 of Praat's autocorrelation; 0 where unvoiced."""
    import parselmouth

    found = parselmouth.Sound(wave.astype(np.float64), RATE).to_pitch_ac(
        time_step=0.01, pitch_floor=_LOWEST, pitch_ceiling=_HIGHEST
    )
    return found.xs(), found.selected_array["frequency"]


def compare_with_praat(clips: list[Clip]) -> None:
    """Prints gross errors (off by more than a fifth where both hear a voice) and disagreements on
    voicing."""
    gross = both = differing = frames = 0
    for _, wave, utterance in clips:
        times, theirs = track_by_praat(wave)
        ours = pitch.track_pitch(wave)
        places = np.round((times - pitch.FRAME_SECONDS / 2) / pitch.STEP_SECONDS).astype(int)
        fits = (places >= 0) & (places < len(ours))
        fits &= (times >= utterance.words[0].start) & (times <= utterance.words[-1].end)
        ours, theirs = ours[places[fits]], theirs[fits]
        is_ours, is_theirs = np.isfinite(ours), theirs > 0
        is_both = is_ours & is_theirs
        gross += int((np.abs(ours[is_both] / theirs[is_both] - 1) > 0.2).sum())
        both, frames = both + int(is_both.sum()), frames + len(ours)
        differing += int((is_ours != is_theirs).sum())
    print(
        json.dumps(
            {
                "F0 against Praat": {
                    "gross error": round(gross / both, 4),
                    "voiced by both": both,
                    "voicing differs": round(differing / frames, 4),
                }
            }
        )
    )


if __name__ == "__main__":
    main()
