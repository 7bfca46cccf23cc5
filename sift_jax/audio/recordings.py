"""What a user may hand over as a recording: a file, samples with their rate, or a row of a data set.

    "x.wav", Path("x.wav")                              a file
    "sample:slow"                                       one that comes with the package
    (samples, 22_050)                                   what soundfile.read and librosa.load return
    {"array": samples, "sampling_rate": 22_050}         an audio column of `datasets`
    {"bytes": b"RIFF…", "path": "x.wav"}                the same, not decoded; bytes may be None
    an object with get_all_samples()                    the same, of torchcodec
                       └─► float32 [n] at one rate, one channel

Samples are floats in −1 … 1, or int16, int32 or uint8 as files hold them; one channel [n], or
several [n, channels]. All that is wrong with one is an AudioError that says what it would be right.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.audio.files import (
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    AudioError,
    Decoded,
    check_values,
    decode_audio,
    decode_audio_bytes,
    mix_channels,
    resample,
)
from sift_jax.shipped.places import find_recording

Recording = str | os.PathLike[str] | tuple[Any, int] | Mapping[str, Any] | Any
# what 0 is in unsigned bytes, and by what whole numbers are divided
_SCALES = {"int16": (0, 2.0**15), "int32": (0, 2.0**31), "uint8": (128, 2.0**7)}
_FORMS = (
    'a path, (samples, rate), or a dictionary with "array" and "sampling_rate" or with "bytes" or '
    '"path"'
)


def is_path(recording: Recording) -> bool:
    return isinstance(recording, str | os.PathLike)


def list_recordings(audio: Recording | Sequence[Recording] | None) -> list[Recording]:
    """One recording, several in a list, or none, as a list."""
    if audio is None:
        return []
    return list(audio) if isinstance(audio, list) else [audio]


def read_recording(
    recording: Recording, *, rate: int = 16_000, name: str = "the recording"
) -> np.ndarray:
    """Its samples as mono float32 at `rate`; errors about samples call it `name`."""
    if isinstance(recording, str | os.PathLike):
        name, decoded = str(recording), decode_audio(_find_file(recording))
    elif isinstance(recording, Mapping):
        name, decoded = _read_row(recording, name)
    elif isinstance(recording, tuple) and len(recording) == 2:
        decoded = _check_samples(recording[0], recording[1], name)
    elif not isinstance(recording, tuple) and hasattr(recording, "get_all_samples"):
        found = recording.get_all_samples()
        decoded = _check_samples(np.asarray(found.data).T, found.sample_rate, name)
    else:
        raise AudioError(f"{name}: {_describe(recording)}; a recording is {_FORMS}")
    return resample(mix_channels(decoded.samples, name), decoded.rate, rate)


def _find_file(name: str | os.PathLike[str]) -> Path:
    try:
        return find_recording(name)
    except ValueError as error:
        raise AudioError(str(error)) from None


def _describe(recording: Any) -> str:
    if isinstance(recording, tuple):
        return f"a tuple of {len(recording)} is not (samples, rate)"
    if hasattr(recording, "shape"):
        return "samples without their rate; give both, as in (samples, 16000)"
    return f"{type(recording).__name__} is not a recording"


def _read_row(row: Mapping[str, Any], name: str) -> tuple[str, Decoded]:
    """A cell of an audio column."""
    if row.get("array") is not None:
        if row.get("sampling_rate") is None:
            raise AudioError(f'{name}: its "array" has no "sampling_rate"; give both')
        return name, _check_samples(row["array"], row["sampling_rate"], name)
    path = row.get("path")
    if row.get("bytes") is not None:
        name = str(path or name)
        return name, decode_audio_bytes(bytes(row["bytes"]), name)
    if path is None:
        raise AudioError(f"{name}: a dictionary with {sorted(row)}; a recording is {_FORMS}")
    return str(path), decode_audio(Path(path))


def _check_samples(samples: Any, rate: Any, name: str) -> Decoded:
    if np.ndim(rate):
        raise AudioError(f"{name}: the rate comes second, as in (samples, 16000)")
    if not isinstance(rate, int | np.integer) or isinstance(rate, bool):
        raise AudioError(
            f"{name}: {rate!r} is not a rate; give whole samples a second, as in (samples, 16000)"
        )
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"{name}: rate {rate} Hz is outside {MIN_RATE}–{MAX_RATE}; resample it")
    array = np.asarray(samples)
    if array.dtype.kind != "f" and array.dtype.name not in _SCALES:
        raise AudioError(
            f"{name}: samples of {array.dtype}; give floats in −1 … 1, or int16, int32 or uint8"
        )
    if array.ndim not in (1, 2) or not array.size:
        raise AudioError(
            f"{name}: samples of shape {array.shape}; give one channel (n,) or several "
            "(n, channels)"
        )
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[1] > MAX_CHANNELS:
        raise AudioError(
            f"{name}: samples of shape {array.shape} have {array.shape[1]} channels; channels come "
            "last, as in samples.T"
        )
    zero, scale = _SCALES.get(array.dtype.name, (0, 1.0))
    floats = (array.astype(np.float32) - zero) / np.float32(scale)
    check_values(floats, name)
    return Decoded(samples=floats, rate=int(rate))
