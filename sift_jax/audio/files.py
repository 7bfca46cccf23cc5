"""Audio files in and out: any container that libsndfile knows ↔ float32 [n] in −1 … 1, one channel,
at one rate.

    path ─► header: rate, channels, seconds, all within bounds ─► decode ─► finite? complete? ─► mono ─► resample ─► [n]
            └────────────────── decode_audio: samples [n, channels] ──────────────────┘   └ mix_channels ┘

The header is looked at before anything is decoded, since a megabyte of FLAC can be ten hours of
silence. The rate comes from the file. Whatever is wrong is one `AudioError` with one line that
names the file and the remedy, and a short `reason` to count it by.
"""

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import soundfile
import soxr

MIN_RATE, MAX_RATE, MAX_CHANNELS = 4_000, 192_000, 16
# Less of the channels' mean power than this, shared out over them, is left where they are opposite
# in phase; channels that have nothing to do with each other keep their full share.
_CANCELLED = 0.1
# Floats may go over full scale a little; what goes so far holds integers, or is broken.
_WILDEST = 64.0
# Containers that store their number of frames exactly, so that fewer decoded frames mean a cut
# file.
_EXACT_FORMATS = {"WAV", "WAVEX", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64"}


class AudioError(ValueError):
    """A file that cannot be used as audio; the message is one line for the user, the reason a name
    to count by."""

    def __init__(self, message: str, reason: str = "no audio file"):
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a file holds: float32 [n, channels] at the file's own rate."""

    samples: np.ndarray
    rate: int


def read_audio(path: str | Path, *, rate: int = 16_000, max_seconds: float = 3_600.0) -> np.ndarray:
    """The file as mono float32 at `rate`."""
    decoded = decode_audio(path, max_seconds=max_seconds)
    return resample(mix_channels(decoded.samples, path), decoded.rate, rate)


def decode_audio(
    path: str | Path,
    *,
    max_seconds: float = 3_600.0,
    start: float = 0.0,
    seconds: float | None = None,
) -> Decoded:
    """The file as it is, checked; or `seconds` of it from `start`, to which the limit then
    applies."""
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such audio file; check the path or the audio root")
    return _decode(path, path, max_seconds, start, seconds)


def decode_audio_bytes(data: bytes, name: str, *, max_seconds: float = 3_600.0) -> Decoded:
    """A file that lies in memory, as `decode_audio` takes one on the disk; errors call it `name`."""
    return _decode(data, Path(name), max_seconds, 0.0, None)


def _decode(
    source: Path | bytes, path: Path, max_seconds: float, start: float, seconds: float | None
) -> Decoded:
    if _measure_bytes(source) == 0:
        raise AudioError(f"{path}: the file is empty; fetch or make it again", "empty file")
    try:
        with soundfile.SoundFile(_open(source)) as file:
            first, count = _check_header(path, file, max_seconds, start, seconds)
            rate, container = file.samplerate, file.format
            if first:
                file.seek(first)
            samples = file.read(count, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        message = f"{path}: cannot be decoded ({_flatten(error)}); fetch or convert it again"
        raise AudioError(message, "cannot be decoded") from None
    _check_samples(path, samples, count, rate, container, source)
    return Decoded(samples=samples, rate=rate)


def measure_seconds(path: str | Path) -> float:
    """How long the file is, by its header."""
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such audio file; check the path or the audio root")
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        message = f"{path}: cannot be decoded ({_flatten(error)}); fetch or convert it again"
        raise AudioError(message, "cannot be decoded") from None
    return info.frames / info.samplerate


def read_long_audio(
    path: str | Path, *, rate: int = 16_000, start: float = 0.0, seconds: float | None = None
) -> np.ndarray:
    """As `read_audio`, of any length, or `seconds` of it from `start`; it is resampled a minute at
    a time."""
    path = Path(path)
    measure_seconds(path)
    parts: list[np.ndarray] = []
    try:
        with soundfile.SoundFile(path) as file:
            first, count = _check_header(path, file, math.inf, start, seconds)
            resampler = soxr.ResampleStream(file.samplerate, rate, 1)
            if first:
                file.seek(first)
            done = 0
            while done < count:
                samples = file.read(
                    min(60 * file.samplerate, count - done), dtype="float32", always_2d=True
                )
                if not len(samples):
                    break
                done += len(samples)
                _check_samples(path, samples, len(samples), file.samplerate, file.format, path)
                mono = mix_channels(samples, path)
                parts.append(mono if file.samplerate == rate else resampler.resample_chunk(mono))
            if file.samplerate != rate:
                parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        message = f"{path}: cannot be decoded ({_flatten(error)}); fetch or convert it again"
        raise AudioError(message, "cannot be decoded") from None
    if done < count - file.samplerate // 4:
        raise AudioError(
            f"{path}: truncated, {done} of {count} frames decoded; fetch it again", "truncated"
        )
    return np.concatenate(parts)


def mix_channels(samples: np.ndarray, path: str | Path) -> np.ndarray:
    """The mean of the channels [n]; an error where they would silence each other."""
    mono = samples.mean(axis=1)
    if samples.shape[1] > 1:
        each = float(np.mean(samples.astype(np.float64) ** 2))
        if float(np.mean(mono.astype(np.float64) ** 2)) < _CANCELLED * each / samples.shape[1]:
            message = (
                f"{path}: its channels are opposite in phase and cancel when mixed; turn one "
                "over, or keep one"
            )
            raise AudioError(message, "opposite channels")
    return mono


def resample(mono: np.ndarray, source_rate: int, rate: int) -> np.ndarray:
    """One channel at another rate."""
    if source_rate != rate:
        mono = soxr.resample(mono, source_rate, rate)
    return np.ascontiguousarray(mono, dtype=np.float32)


def write_audio(path: str | Path, wave: np.ndarray, *, rate: int = 16_000) -> None:
    """One channel as 16-bit PCM in the container that the suffix names; the file appears whole or
    not at all."""
    path = Path(path)
    wave = np.asarray(wave)
    if wave.ndim != 1 or not wave.size:
        raise AudioError(
            f"{path}: cannot write samples of shape {wave.shape}; give one channel with samples"
        )
    if not np.isfinite(wave).all():
        raise AudioError(
            f"{path}: samples contain NaN or Inf; fix what computed them", "not finite"
        )
    temporary = path.with_name(f".{path.name}.part")
    try:
        soundfile.write(
            temporary,
            np.clip(wave, -1.0, 1.0),
            rate,
            subtype="PCM_16",
            format=path.suffix[1:].upper() or "WAV",
        )
        temporary.replace(path)
    except (soundfile.LibsndfileError, ValueError, TypeError, OSError) as error:
        temporary.unlink(missing_ok=True)
        raise AudioError(
            f"{path}: cannot be written ({_flatten(error)}); check the folder and the suffix"
        ) from None


def _check_header(
    path: Path, file: soundfile.SoundFile, max_seconds: float, start: float, seconds: float | None
) -> tuple[int, int]:
    """The first frame to read, and how many."""
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        message = (
            f"{path}: rate {file.samplerate} Hz is outside {MIN_RATE}–{MAX_RATE}; resample the file"
        )
        raise AudioError(message, "unusable rate")
    if file.channels > MAX_CHANNELS:
        message = (
            f"{path}: {file.channels} channels, at most {MAX_CHANNELS} are read; mix the file down"
        )
        raise AudioError(message, "too many channels")
    if file.frames <= 0:
        raise AudioError(f"{path}: holds no samples; fetch or make it again", "empty file")
    first = round(start * file.samplerate)
    count = file.frames - first if seconds is None else round(seconds * file.samplerate)
    # A manifest rounds; a tenth of a second beyond the end is no mistake.
    if first >= file.frames or first + count > file.frames + file.samplerate // 10:
        length = file.frames / file.samplerate
        message = f"{path}: {length:.2f} s hold no {start:g} s + {seconds or 0:g} s; fix the times"
        raise AudioError(message, "times beyond the end")
    count = min(count, file.frames - first)
    length = count / file.samplerate
    if length > max_seconds:
        message = (
            f"{path}: {length:.1f} s is longer than {max_seconds:g} s; cut the file or raise "
            "max_seconds"
        )
        raise AudioError(message, "too long")
    return first, count


def _check_samples(
    path: Path,
    samples: np.ndarray,
    declared: int,
    rate: int,
    container: str,
    source: Path | bytes,
) -> None:
    if not len(samples):
        raise AudioError(f"{path}: holds no samples; fetch or make it again", "empty file")
    # A compressed stream may declare its padding too; more than a quarter second missing is a cut
    # file.
    slack = 0 if container in _EXACT_FORMATS else rate // 4
    if len(samples) < declared - slack:
        message = f"{path}: truncated, {len(samples)} of {declared} frames decoded; fetch it again"
        raise AudioError(message, "truncated")
    if container in {"WAV", "WAVEX"} and _is_cut_wav(source):
        message = (
            f"{path}: truncated, its header promises more bytes than there are; fetch it again"
        )
        raise AudioError(message, "truncated")
    check_values(samples, path)


def check_values(samples: np.ndarray, name: str | Path) -> None:
    """Raises for floats that are no sound."""
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{name}: samples contain NaN or Inf; export the file again as PCM", "not finite"
        )
    if float(np.abs(samples).max()) > _WILDEST:
        message = (
            f"{name}: samples far beyond full scale; divide them by what the format's integers "
            "divide by"
        )
        raise AudioError(message, "beyond full scale")


def _open(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _measure_bytes(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _is_cut_wav(source: Path | bytes) -> bool:
    """Libsndfile shrinks the frame count of half a WAV in silence; the RIFF size field still
    tells."""
    if isinstance(source, bytes):
        head = source[:8]
    else:
        with source.open("rb") as file:
            head = file.read(8)
    if head[:4] != b"RIFF":
        return False
    promised = int.from_bytes(head[4:8], "little")
    # Streamed files carry 0 or the largest value, which promises nothing.
    return (
        promised not in (0, 0xFFFFFFFF)
        and promised < 0x7FFFFFF0
        and promised + 8 > _measure_bytes(source) + 1
    )


def _flatten(error: Exception) -> str:
    return " ".join(str(error).split())
