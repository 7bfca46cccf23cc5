"""What a codec keeps of speech: classes measured on held-out clips before and after, words heard,
times real time.

    python -m benchmarks.units --build=runs/quickstart/data [--codec=runs/codec] [--clips=150]
        [--shape=tones,sounds,ms,slices,sounds_a_tone …] [--fit_clips=1500]

Without --codec an embedded one is fitted for each --shape to the training clips. Both sides are
measured by data_prep's extractors, without the corpus's word times, and put into the corpus's bins.
Words: which of the corpus's English sentences pocketsphinx hears, where that is installed; its word
errors. Spectral distance: RMS over 13 cepstra of the loud frames, in dB. Times real time are of CPU
seconds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from data_prep.alignment.sphinx import guess_phones
from data_prep.corpora.utterance import Utterance
from data_prep.metadata.bins import read_bins
from data_prep.metadata.experts import make_panel
from data_prep.metadata.measure import measure_utterances
from sift_jax.audio.files import read_audio, resample
from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.codecs.codec import INPUT_RATE, Codec
from sift_jax.codecs.registry import load_codec
from sift_jax.extras import say_install
from sift_jax.sift.labels import ACOUSTIC_LABELS

KEYS = ("speaking_rate", "average_intensity", "pitch_variation", "average_pitch")
SHAPES = ("128,640,40,2,3",)
_LOUD_SHARE, _CEPSTRA = 0.5, 13


def main() -> None:
    """Prints a block for each codec, and all figures as JSON."""
    parser = argparse.ArgumentParser(description="Measures what a codec keeps of speech.")
    parser.add_argument(
        "--build", type=Path, required=True, help="a build: metadata.jsonl, bins.json, audio/"
    )
    parser.add_argument("--codec", help="a codec's folder; without it embedded ones are fitted")
    parser.add_argument("--clips", type=int, default=150, help="held-out clips, evenly taken")
    parser.add_argument(
        "--shape", action="append", help="tones,sounds,ms,slices,sounds_a_tone; may be repeated"
    )
    parser.add_argument(
        "--fit_clips", type=int, default=1_500, help="recordings on which the codec is fitted"
    )
    flags = parser.parse_args()
    rows = [
        json.loads(line)
        for line in (flags.build / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    held = [row for row in rows if row["split"] == "EvalSIFT"]
    held = held[:: max(len(held) // flags.clips, 1)][: flags.clips]
    clips = [
        (make_utterance(row), read_audio(flags.build / "audio" / f"{row['id']}.flac"))
        for row in held
    ]
    listener = make_listener([row["transcript"] for row in rows if row["language"] == "en"])
    bins = read_bins(flags.build / "bins.json", ACOUSTIC_LABELS)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in [flags.codec] if flags.codec else flags.shape or SHAPES:
            seconds = 0.0
            if not flags.codec:
                seconds = fit_shape(flags.build, name, flags.fit_clips, Path(folder) / "codec")
            codec = load_codec(flags.codec or Path(folder) / "codec")
            found[name] = measure_codec(codec, clips, bins, listener) | {
                "fit_seconds": round(seconds, 1)
            }
            print_codec(name, found[name])
    print(json.dumps(found))


def make_utterance(row: dict[str, Any]) -> Utterance:
    """A row of metadata without the times of its words, which made speech has not either."""
    names = {field.name for field in dataclasses.fields(Utterance)}
    return Utterance(**{key: value for key, value in row.items() if key in names} | {"words": ()})


def fit_shape(build: Path, shape: str, clips: int, out: Path) -> float:
    """An embedded codec of this shape, by the command that users have; its seconds by the clock."""
    from sift_jax.units import commands
    from sift_jax.units.__main__ import parse_flags

    names = ("tones", "sounds", "sound_ms", "slices", "sounds_a_tone")
    given = [f"--{name}={value}" for name, value in zip(names, shape.split(","), strict=True)]
    start = time.perf_counter()
    audio = f"--audio={build / 'metadata.jsonl'}"
    commands.fit(parse_flags(["fit", audio, f"--out={out}", f"--clips={clips}", *given]))
    return time.perf_counter() - start


def measure_codec(
    codec: Codec,
    clips: Sequence[tuple[Utterance, np.ndarray]],
    bins: dict,
    listener: Listener | None,
) -> dict[str, Any]:
    """All figures of one codec."""
    waves = [wave for _, wave in clips]
    seconds = sum(map(len, waves)) / INPUT_RATE
    ids, encode_seconds = run_twice(lambda: codec.encode(waves))
    made, decode_seconds = run_twice(lambda: codec.decode_batch(ids))
    made = [resample(wave, codec.config.sample_rate, INPUT_RATE) for wave in made]
    longest = max(map(len, waves))
    made = [np.pad(wave, (0, longest))[: len(true)] for wave, true in zip(made, waves, strict=True)]
    figures: dict[str, Any] = compare_classes(clips, made, bins)
    distances = [measure_distance(*pair) for pair in zip(waves, made, strict=True)]
    figures["distance_db"] = round(float(np.mean(distances)), 2)
    if listener:
        english = [i for i, (utterance, _) in enumerate(clips) if utterance.language == "en"]
        texts = [clips[i][0].transcript for i in english]
        figures["wer_true"] = round(listener.count_errors(texts, [waves[i] for i in english]), 3)
        figures["wer_made"] = round(listener.count_errors(texts, [made[i] for i in english]), 3)
        figures["english_clips"] = len(english)
    used = np.unique(np.concatenate(ids))
    return figures | {
        "clips": len(clips),
        "codes": codec.config.codes,
        "codes_used": len(used),
        "units_a_second": round(sum(map(len, ids)) / seconds, 2),
        "units_a_clip": round(sum(map(len, ids)) / len(ids), 1),
        "encode_times_real_time": round(seconds / encode_seconds),
        "decode_times_real_time": round(seconds / decode_seconds),
    }


def run_twice(call: Any) -> tuple[Any, float]:
    """What it gives, and the CPU seconds of the better of two runs after the one that compiles."""
    result, best = call(), float("inf")
    for _ in range(2):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return result, best


def compare_classes(
    clips: Sequence[tuple[Utterance, np.ndarray]], made: Sequence[np.ndarray], bins: dict
) -> dict[str, Any]:
    """QWK and MAE of the classes, correlation of the values, and how far they are off on the
    mean."""
    panel, figures = make_panel(), {}
    before = [
        measured.row for _, measured in measure_utterances(((wave, u) for u, wave in clips), panel)
    ]
    pairs = zip(made, (utterance for utterance, _ in clips), strict=True)
    after = [measured.row for _, measured in measure_utterances(pairs, panel)]
    both = [(a, b) for a, b in zip(before, after, strict=True) if a and b]
    for key in KEYS:
        group = [a["gender"] if key == "average_pitch" else "all" for a, _ in both]
        values = np.array([[row["values"][key] for row in pair] for pair in both])
        places = np.array(
            [
                np.searchsorted(bins[key][name]["edges"], pair, side="right")
                for name, pair in zip(group, values, strict=True)
            ]
        )
        figures[key] = {
            "qwk": round(weigh_agreement(places, len(ACOUSTIC_LABELS[key])), 3),
            "mae": round(float(np.abs(places[:, 0] - places[:, 1]).mean()), 3),
            "correlation": round(float(np.corrcoef(values.T)[0, 1]), 3),
            "bias": round(float((values[:, 1] - values[:, 0]).mean()), 3),
        }
    return figures | {
        "not_measurable": sum(
            a is not None and b is None for a, b in zip(before, after, strict=True)
        )
    }


def weigh_agreement(places: np.ndarray, classes: int) -> float:
    """Quadratic-weighted kappa of pairs of classes [n, 2]."""
    seen = np.zeros((classes, classes))
    np.add.at(seen, tuple(places.T), 1.0)
    cost = np.subtract.outer(np.arange(classes), np.arange(classes)) ** 2
    chance = np.outer(seen.sum(1), seen.sum(0)) / seen.sum()
    return float(1 - (cost * seen).sum() / (cost * chance).sum())


def measure_distance(true: np.ndarray, made: np.ndarray) -> float:
    """RMS difference of cepstra without the first, of the louder frames, in dB a band."""
    spectra = []
    for wave in (true, made):
        window = np.zeros((-(-len(wave) // 160), 80), np.float32)
        fill_log_mel(wave, window)
        # undo the scaling of log10 power that the window has
        spectra.append(scipy.fft.dct(window * 4 * 10, axis=1, norm="ortho"))
    loud = spectra[0][:, 0] >= np.quantile(spectra[0][:, 0], _LOUD_SHARE)
    difference = (spectra[0] - spectra[1])[loud, 1 : _CEPSTRA + 1]
    return float(np.sqrt((difference**2).sum(1) / 80).mean())


class Listener:
    """Which of these sentences pocketsphinx hears: its free recognition fails on synthetic voices,
    this does not."""

    def __init__(self, sentences: Sequence[str]):
        import pocketsphinx

        self._decoder = pocketsphinx.Decoder(samprate=INPUT_RATE, lm=None, loglevel="FATAL")
        texts = sorted({" ".join(split_words(sentence)) for sentence in sentences})
        for word in {word for text in texts for word in text.split()}:
            if not self._decoder.lookup_word(word):
                self._decoder.add_word(word, guess_phones(re.sub("'", "", word)))
        self._decoder.add_jsgf_string(
            "sentences", f"#JSGF V1.0; grammar g; public <s> = {' | '.join(texts)} ;"
        )
        self._decoder.activate_search("sentences")

    def hear(self, wave: np.ndarray) -> list[str]:
        """The words of the likeliest sentence; none where none fits."""
        scaled = 0.5 * wave / max(float(np.abs(wave).max()), 1e-6)
        self._decoder.start_utt()
        self._decoder.process_raw((scaled * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return re.sub(r"\(\d+\)", "", heard.hypstr).split() if heard else []

    def count_errors(self, texts: Sequence[str], waves: Sequence[np.ndarray]) -> float:
        """Word error rate over all."""
        wrong = total = 0
        for text, wave in zip(texts, waves, strict=True):
            words = split_words(text)
            wrong, total = wrong + count_edits(words, self.hear(wave)), total + len(words)
        return wrong / max(total, 1)


def make_listener(sentences: Sequence[str]) -> Listener | None:
    if importlib.util.find_spec("pocketsphinx"):
        return Listener(sentences)
    print(f"pocketsphinx is not installed: no word errors; {say_install('align')}")
    return None


def split_words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'")).split()


def count_edits(words: Sequence[str], heard: Sequence[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(words, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


def print_codec(name: str, figures: dict[str, Any]) -> None:
    print(
        f"{name}: {figures['clips']} clips, {figures['codes_used']} of {figures['codes']} codes, "
        f"{figures['units_a_second']} units a second, {figures['units_a_clip']} a clip; fitted in "
        f"{figures['fit_seconds']} s; {figures['encode_times_real_time']} times real time in, "
        f"{figures['decode_times_real_time']} out"
    )
    for key in KEYS:
        print(
            f"  {key:18}"
            + "  ".join(f"{what} {value:7.3f}" for what, value in figures[key].items())
        )
    heard = ""
    if "wer_true" in figures:
        heard = f"; word errors {figures['wer_true']:.1%} true, {figures['wer_made']:.1%} made"
    print(f"  spectral distance {figures['distance_db']} dB{heard}", flush=True)


if __name__ == "__main__":
    main()
