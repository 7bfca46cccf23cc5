"""Audio files in and out: any container that libsndfile knows ↔ float32 [n] in −1 … 1, one channel, at one rate.

    path ─► header: rate, channels, seconds, all within bounds ─► decode ─► finite? complete? ─► mono ─► resample ─► [n]

The header is looked at before anything is decoded, since a megabyte of FLAC can be ten hours of silence. The rate comes
from the file. Whatever is wrong is one `AudioError` with one line that names the file and the remedy.
"""

from pathlib import Path

import numpy as np
import soundfile
import soxr

MIN_RATE, MAX_RATE, MAX_CHANNELS = 4_000, 192_000, 16
# Containers that store their number of frames exactly, so that fewer decoded frames mean a cut file.
_EXACT_FORMATS = {"WAV", "WAVEX", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64"}


class AudioError(ValueError):
    """A file that cannot be used as audio; the message is one line for the user."""


def read_audio(path: str | Path, *, rate: int = 16_000, max_seconds: float = 3_600.0) -> np.ndarray:
    """The file as mono float32 at `rate`."""
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such audio file; check the path or the audio root")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty; fetch or make it again")
    try:
        with soundfile.SoundFile(path) as file:
            _check_header(path, file, max_seconds)
            declared, source_rate, container = file.frames, file.samplerate, file.format
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: cannot be decoded ({_flatten(error)}); fetch or convert it again") from None
    _check_samples(path, samples, declared, container)
    mono = samples.mean(axis=1)
    if source_rate != rate:
        mono = soxr.resample(mono, source_rate, rate)
    return np.ascontiguousarray(mono, dtype=np.float32)


def write_audio(path: str | Path, wave: np.ndarray, *, rate: int = 16_000) -> None:
    """One channel as 16-bit PCM in the container that the suffix names; the file appears whole or not at all."""
    path = Path(path)
    wave = np.asarray(wave)
    if wave.ndim != 1 or not wave.size:
        raise AudioError(f"{path}: cannot write samples of shape {wave.shape}; give one channel with samples")
    if not np.isfinite(wave).all():
        raise AudioError(f"{path}: samples contain NaN or Inf; mend what computed them")
    temporary = path.with_name(f".{path.name}.part")
    try:
        soundfile.write(temporary, np.clip(wave, -1.0, 1.0), rate, subtype="PCM_16",
                        format=path.suffix[1:].upper() or "WAV")
        temporary.replace(path)
    except (soundfile.LibsndfileError, ValueError, TypeError, OSError) as error:
        temporary.unlink(missing_ok=True)
        raise AudioError(f"{path}: cannot be written ({_flatten(error)}); check the folder and the suffix") from None


def _check_header(path: Path, file: soundfile.SoundFile, max_seconds: float) -> None:
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise AudioError(f"{path}: rate {file.samplerate} Hz is outside {MIN_RATE}–{MAX_RATE}; resample the file")
    if file.channels > MAX_CHANNELS:
        raise AudioError(f"{path}: {file.channels} channels, at most {MAX_CHANNELS} are read; mix the file down")
    if file.frames <= 0:
        raise AudioError(f"{path}: holds no samples; fetch or make it again")
    seconds = file.frames / file.samplerate
    if seconds > max_seconds:
        raise AudioError(f"{path}: {seconds:.1f} s is longer than {max_seconds:g} s; cut the file or raise max_seconds")


def _check_samples(path: Path, samples: np.ndarray, declared: int, container: str) -> None:
    if not len(samples):
        raise AudioError(f"{path}: holds no samples; fetch or make it again")
    # A compressed stream may declare its padding too; more than a quarter second missing is a cut file.
    slack = 0 if container in _EXACT_FORMATS else MAX_RATE // 4
    if len(samples) < declared - slack:
        raise AudioError(f"{path}: truncated, {len(samples)} of {declared} frames decoded; fetch it again")
    if container in {"WAV", "WAVEX"} and _is_cut_wav(path):
        raise AudioError(f"{path}: truncated, its header promises more bytes than there are; fetch it again")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: samples contain NaN or Inf; export the file again as PCM")


def _is_cut_wav(path: Path) -> bool:
    """Libsndfile shrinks the frame count of half a WAV in silence; the RIFF size field still tells."""
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] != b"RIFF":
        return False
    promised = int.from_bytes(head[4:8], "little")
    # Streamed files carry 0 or the largest value, which promises nothing.
    return promised not in (0, 0xFFFFFFFF) and promised < 0x7FFFFFF0 and promised + 8 > path.stat().st_size + 1


def _flatten(error: Exception) -> str:
    return " ".join(str(error).split())
