"""A clip inside a record: 16 kHz, one channel, FLAC without loss or Opus at a fifth of its size.

    int16 or float [n] ─ encode_clip ─►  "fLaC…" | "OggS…" ─ decode_clip ─►  int16 [n], as many as there were

Readers need not be told which it is. The bytes are decided by the samples alone: a stream of Ogg
carries a number drawn at random, which is replaced by one fixed number here, and its checksums with
it.
"""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

from sift_jax.audio.files import read_audio

RATE = 16_000
FLAC, OPUS = "flac", "opus"
_FORMATS = {FLAC: ("FLAC", "PCM_16"), OPUS: ("OGG", "OPUS")}
COMPRESSIONS = tuple(_FORMATS)
_SERIAL = 1
# Of a page of Ogg: where its serial number, its checksum and the number of its segments stand.
_SERIAL_AT, _CHECKSUM_AT, _SEGMENTS_AT, _HEADER = 14, 22, 26, 27
_POLYNOMIAL = 0x04C11DB7


def encode_clip(samples: np.ndarray, compression: str = FLAC) -> bytes:
    """One channel at 16 kHz in the container of that compression; the same bytes for the same
    samples."""
    container, subtype = _FORMATS[compression]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format=container, subtype=subtype)
    data = buffer.getvalue()
    return _fix_serial(data) if compression == OPUS else data


def pack_file(path: Path, compression: str = FLAC) -> bytes:
    """An audio file as a clip: checked by decoding, and as it is on disk where it is one
    already."""
    samples = read_audio(path)
    info = soundfile.info(path)
    if (info.format, info.subtype, info.samplerate, info.channels) == (
        *_FORMATS[compression],
        RATE,
        1,
    ):
        return path.read_bytes()
    return encode_clip(samples, compression)


def _fix_serial(data: bytes) -> bytes:
    """The stream with our serial number in each of its pages."""
    pages, place = [], 0
    while place < len(data):
        count = data[place + _SEGMENTS_AT]
        size = _HEADER + count + sum(data[place + _HEADER : place + _HEADER + count])
        page = bytearray(data[place : place + size])
        struct.pack_into("<I", page, _SERIAL_AT, _SERIAL)
        struct.pack_into("<I", page, _CHECKSUM_AT, 0)
        struct.pack_into("<I", page, _CHECKSUM_AT, compute_checksum(page))
        pages.append(bytes(page))
        place += size
    return b"".join(pages)


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _make_table()


def compute_checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC: not that of zlib, for its bits run the other way."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value
