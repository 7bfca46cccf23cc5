"""The recordings that a vocoder learns from, each with its units, which are made once and kept
beside the run.

    paths ─► read ─► units, one a frame ─► run/units.safetensors      every recording's one after the other
                 └─► what cannot serve is skipped and counted       run/recordings.json: paths, how many units, whose

    step ─► rows: a recording by its length, a place in it ─► segment of units and samples
                                                           ─► reference: some seconds from anywhere in it

A batch follows from the seed and the step alone: no place in the data is kept but that number.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sift_jax.audio.files import AudioError, decode_audio, mix_channels, read_audio, resample
from sift_jax.audio.whisper_mel import HOP
from sift_jax.codecs.codec import INPUT_RATE, Codec
from sift_jax.codecs.find_recordings import find_audio
from sift_jax.codecs.vocoder.unit_vocoder import measure_reference
from sift_jax.field_ranges import CheckedConfig, Count, Items, Positive, Range, Seed, Text
from sift_jax.storage.whole_files import write_whole

_TOGETHER = 64
_LIST, _UNITS = "recordings.json", "units.safetensors"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocoderData(CheckedConfig):
    """What is heard, and how it is cut."""

    # files, folders, lists (.txt) and metadata.jsonl of builds
    audio: Annotated[tuple[Text, ...], Items(least=1)]
    # of builds this split alone
    split: Text | None
    # of a recording; a longer one is skipped
    max_seconds: Positive
    # segments in a batch, over all devices
    rows: Count
    segment_units: Count
    reference_seconds: Positive
    # of the rows this share has no voice, so that one can be spoken with where none is given
    no_voice_share: Annotated[float, Range(least=0, below=1)]
    seed: Seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitCorpus:
    """Recordings that serve, their units, and how many were skipped for what."""

    paths: tuple[Path, ...]
    units: tuple[np.ndarray, ...]
    set_aside: dict[str, int]
    digest: str

    def describe(self) -> str:
        aside = "; ".join(
            f"{count} skipped: {reason}" for reason, count in sorted(self.set_aside.items())
        )
        frames = sum(map(len, self.units))
        return f"{len(self.paths)} recordings, {frames} units" + (f"; {aside}" if aside else "")


def open_corpus(codec: Codec, data: VocoderData, run_dir: Path, *, is_begun: bool) -> UnitCorpus:
    """The units beside the run, or made now; an error where the run has begun on others."""
    paths = find_audio(data.audio, data.split)
    asked = hashlib.sha256(
        json.dumps(
            [
                codec.fingerprint,
                data.segment_units,
                data.max_seconds,
                [[str(path), path.stat().st_size if path.is_file() else 0] for path in paths],
            ]
        ).encode()
    ).hexdigest()
    held = _read_list(run_dir)
    if held is not None and held["asked"] == asked:
        return _read_corpus(run_dir, held)
    if is_begun:
        raise ValueError(
            f"{run_dir} was trained on other recordings, segments or units than these; choose "
            "another OUT_DIR, or give the CODEC and AUDIO of its config.gin"
        )
    return _make_corpus(codec, data, paths, run_dir, asked)


def _read_list(run_dir: Path) -> dict | None:
    try:
        return json.loads((run_dir / _LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{run_dir / _LIST} cannot be read ({error}); delete it, and units are made again"
        ) from None


def _read_corpus(run_dir: Path, held: dict) -> UnitCorpus:
    try:
        joined = load_file(run_dir / _UNITS)["units"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ValueError(
            f"{run_dir / _UNITS} cannot be read ({error}); delete {_LIST} beside it, and "
            "units are made again"
        ) from None
    if hashlib.sha256(joined.tobytes()).hexdigest() != held["digest"]:
        raise ValueError(
            f"{run_dir / _UNITS} is not what was written; delete {_LIST} beside it, and units are "
            "made again"
        )
    units = np.split(joined, np.cumsum(held["counts"])[:-1])
    return UnitCorpus(
        paths=tuple(map(Path, held["paths"])),
        units=tuple(units),
        set_aside=held["set_aside"],
        digest=held["digest"],
    )


def _make_corpus(
    codec: Codec, data: VocoderData, paths: Sequence[Path], run_dir: Path, asked: str
) -> UnitCorpus:
    aside: collections.Counter[str] = collections.Counter()
    kept: list[Path] = []
    units: list[np.ndarray] = []
    for names, waves in _read_waves(paths, data, aside):
        for path, found in zip(
            names, codec.encode_frames(waves, names=[str(path) for path in names]), strict=True
        ):
            if len(found) < data.segment_units:
                aside[f"shorter than a segment of {data.segment_units} units"] += 1
                continue
            kept.append(path)
            units.append(found.astype(np.int32))
    if not kept:
        told = "; ".join(f"{count} {reason}" for reason, count in sorted(aside.items()))
        raise ValueError(
            f"none of {len(paths)} recordings can serve ({told}); give other AUDIO, or a smaller "
            "SEGMENT_UNITS"
        )
    joined = np.concatenate(units)
    digest = hashlib.sha256(joined.tobytes()).hexdigest()
    save_file({"units": joined}, run_dir / f".{_UNITS}.part")
    (run_dir / f".{_UNITS}.part").replace(run_dir / _UNITS)
    held = {
        "asked": asked,
        "codec": codec.fingerprint,
        "digest": digest,
        "paths": [str(path) for path in kept],
        "counts": [len(found) for found in units],
        "set_aside": dict(aside),
    }
    write_whole(run_dir / _LIST, json.dumps(held, ensure_ascii=False))
    return UnitCorpus(paths=tuple(kept), units=tuple(units), set_aside=dict(aside), digest=digest)


def _read_waves(
    paths: Sequence[Path], data: VocoderData, aside: collections.Counter[str]
) -> Iterator[tuple[list[Path], list[np.ndarray]]]:
    """Some at a time; those that cannot be read are counted by the kind of their fault."""
    for first in range(0, len(paths), _TOGETHER):
        names, waves = [], []
        for path in paths[first : first + _TOGETHER]:
            try:
                waves.append(read_audio(path, max_seconds=data.max_seconds))
                names.append(path)
            except AudioError as error:
                aside[error.reason] += 1
        if names:
            yield names, waves


class Segments:
    """The batches of a corpus, by their steps."""

    def __init__(
        self, corpus: UnitCorpus, data: VocoderData, *, hop: int, mel_bins: int, has_durations: bool
    ):
        self._corpus, self._data, self._hop, self._mel_bins = corpus, data, hop, mel_bins
        self._has_durations = has_durations
        places = np.array([len(units) - data.segment_units + 1 for units in corpus.units])
        self._ends = np.cumsum(places)
        self._frames = round(data.reference_seconds * INPUT_RATE / HOP)

    def make_batch(self, step: int, rows: Sequence[int]) -> dict[str, np.ndarray]:
        """These rows of the batch of a step."""
        made = [self._make_row(np.random.default_rng([self._data.seed, step, row])) for row in rows]
        return {key: np.stack([row[key] for row in made]) for key in made[0]}

    def _make_row(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        place = int(random.integers(self._ends[-1]))
        recording = int(np.searchsorted(self._ends, place, side="right"))
        start = place - int(self._ends[recording - 1] if recording else 0)
        units, path = self._corpus.units[recording], self._corpus.paths[recording]
        stop = start + self._data.segment_units
        wave = self._read(path, start * self._hop, self._data.segment_units * self._hop)
        samples = len(units) * self._hop
        wanted = min(self._frames * HOP, samples)
        begin = int(random.integers(samples - wanted + 1))
        mel, length = measure_reference(
            self._read(path, begin, wanted), self._frames, self._mel_bins
        )
        is_told = random.random() >= self._data.no_voice_share
        row: dict[str, np.ndarray] = {
            "ids_bt": units[start:stop],
            "wave_bn": wave,
            "mel_bsf": mel,
            "mel_length_b": np.array(length if is_told else 0, np.int32),
        }
        return row | self._cut_runs(units, start) if self._has_durations else row

    def _cut_runs(self, units: np.ndarray, start: int) -> dict[str, np.ndarray]:
        """As many whole runs of a unit as there are, from where one begins at or after `start`."""
        begins = np.flatnonzero(np.diff(units, prepend=-1))
        first = min(int(np.searchsorted(begins, start)), len(begins) - 1)
        begins = np.append(begins, len(units))[first : first + self._data.segment_units + 1]
        runs, frames = (np.zeros(self._data.segment_units, np.int32) for _ in range(2))
        count = len(begins) - 1
        runs[:count], frames[:count] = units[begins[:-1]], np.diff(begins)
        return {"runs_br": runs, "run_frames_br": frames, "run_length_b": np.array(count, np.int32)}

    def _read(self, path: Path, first: int, count: int) -> np.ndarray:
        """Samples at 16 kHz, silence where the file has no more."""
        decoded = decode_audio(path, start=first / INPUT_RATE, seconds=count / INPUT_RATE)
        wave = resample(mix_channels(decoded.samples, path), decoded.rate, INPUT_RATE)[:count]
        return np.pad(wave, (0, count - len(wave)))
