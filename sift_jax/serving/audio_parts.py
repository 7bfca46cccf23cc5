"""The audio of a request: base64 in, samples out, and whatever is wrong with it an answer of 413 or
422.

    "UklGR…" ─base64─► bytes ─► a container that we know? ─► header: within the window, few channels? ─► samples [n]

All is known from the header before anything is decoded: some kilobytes of FLAC can be an hour of
silence, and hours of it gigabytes of samples.
"""

from __future__ import annotations

import base64
import binascii
import io

import numpy as np
import soundfile

from sift_jax.audio.files import AudioError, decode_audio_bytes, mix_channels, resample
from sift_jax.audio.whisper_mel import RATE
from sift_jax.serving.errors import RequestError

# of the samples of a recording, all channels of it, had it the length of a window
MOST_DECODED_BYTES = 64 << 20
# what files begin with that we decode, MP3 beside them: of fewer kinds there is less to go wrong
_BEGINNINGS = (b"RIFF", b"fLaC", b"OggS", b"ID3")
_URL = "data:"


def decode_base64(data: str, name: str) -> bytes:
    """The bytes of an audio part, or of a data: address."""
    if data.startswith(_URL):
        head, comma, data = data.partition(",")
        if not comma or not head.endswith(";base64"):
            raise RequestError(
                400, f"{name} is an address without base64 data; give data:audio/wav;base64,…"
            )
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(400, f"{name} is not base64; encode the bytes of the file") from None


def read_audio_part(data: str, name: str, *, window_seconds: float) -> np.ndarray:
    """Samples at 16 kHz; `name` is the part's, for errors."""
    content = decode_base64(data, name)
    if not _is_known(content):
        raise RequestError(
            422, f"{name} is no WAV, FLAC, Ogg or MP3 file; convert it", code="invalid_audio"
        )
    try:
        _check_size(content, name, window_seconds)
        decoded = decode_audio_bytes(content, name, max_seconds=window_seconds)
        samples = resample(mix_channels(decoded.samples, name), decoded.rate, RATE)
    except AudioError as error:
        if error.reason == "too long":
            raise RequestError(
                413,
                f"{name} is longer than the {window_seconds:g} s that this model hears; cut the "
                "file into pieces",
                code="audio_too_long",
            ) from None
        raise RequestError(422, str(error), code="invalid_audio") from None
    # a file at the very bound may be a sample longer at another rate
    return samples[: int(window_seconds * RATE)]


def _is_known(content: bytes) -> bool:
    # eleven bits begin a frame of MP3
    is_mp3 = len(content) > 1 and content[0] == 0xFF and content[1] >= 0xE0
    return is_mp3 or content.startswith(_BEGINNINGS)


def _check_size(content: bytes, name: str, window_seconds: float) -> None:
    """Refuses what would be large once it is decoded, though it is short enough."""
    try:
        info = soundfile.info(io.BytesIO(content))
    except (soundfile.LibsndfileError, RuntimeError):
        # decoding says what is wrong with it
        return
    if 4 * info.channels * info.samplerate * window_seconds > MOST_DECODED_BYTES:
        raise RequestError(
            422,
            f"{name} has {info.channels} channels of {info.samplerate} Hz, more than speech needs; "
            "mix it down to one channel of 16,000 Hz",
            code="invalid_audio",
        )
