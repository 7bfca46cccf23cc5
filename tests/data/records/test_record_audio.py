"""Clips: FLAC to the sample, Opus to its length; the same bytes for the same samples."""

import io
import zlib

import numpy as np
import pytest
import soundfile

from sift_jax.data.records import record_audio
from sift_jax.data.records.record_audio import COMPRESSIONS, encode_clip, pack_file
from sift_jax.data.records.record_reader import decode_clip


def make_wave(count: int, loudness: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(count)
    return (loudness * np.sin(np.arange(count) * 0.05) + 0.01 * rng.standard_normal(count)).astype(
        np.float32
    )


@pytest.mark.parametrize("count", [1, 159, 160, 321, 16_000, 16_001, 47_999])
def test_no_sample_is_lost_or_added(count):
    wave = make_wave(count)
    for compression in COMPRESSIONS:
        samples = decode_clip(encode_clip(wave, compression))
        assert samples.dtype == np.int16 and samples.shape == (count,)
    exact = np.round(wave * 32767).astype(np.int16)
    np.testing.assert_array_equal(decode_clip(encode_clip(exact)), exact)
    if count > 1_000:
        assert np.corrcoef(samples, wave)[0, 1] > 0.99


def test_the_samples_decide_the_bytes(monkeypatch):
    wave = make_wave(20_000)
    assert all(encode_clip(wave, name) == encode_clip(wave, name) for name in COMPRESSIONS)
    # The library alone draws a number for each stream.
    monkeypatch.setattr(record_audio, "_fix_serial", lambda data: data)
    first, second = (encode_clip(wave, "opus") for _ in range(2))
    assert first != second
    np.testing.assert_array_equal(decode_clip(first), decode_clip(second))


def test_checksums_are_those_of_ogg():
    data = encode_clip(make_wave(16_000), "opus")
    assert data.count(b"OggS") >= 3
    broken = bytearray(data)
    broken[-5] ^= 1
    with pytest.raises(soundfile.LibsndfileError):
        decode_clip(bytes(broken))
    # The same polynomial with its bits the other way round is zlib's.
    flipped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in b"123456789")
    ours = record_audio.compute_checksum(flipped)
    plain = zlib.crc32(b"123456789", 0xFFFFFFFF) ^ 0xFFFFFFFF
    assert int(f"{ours:032b}"[::-1], 2) == plain


def test_overshoot_is_clipped_and_does_not_wrap():
    wave = np.clip(1.3 * np.sin(np.arange(16_000) * 0.3), -1, 1).astype(np.float32)
    data = encode_clip(wave, "opus")
    heard = soundfile.read(io.BytesIO(data), dtype="float32")[0]
    assert np.abs(heard).max() > 1.05
    np.testing.assert_allclose(decode_clip(data) / 32767, np.clip(heard, -1, 1), atol=1e-4)


def test_a_clip_on_disk_is_kept_as_it_is(tmp_path):
    wave = make_wave(8_000)
    for compression, suffix in (("flac", "flac"), ("opus", "opus")):
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(encode_clip(wave, compression))
        for wanted in COMPRESSIONS:
            assert (pack_file(path, wanted) == path.read_bytes()) == (wanted == compression)
            assert len(decode_clip(pack_file(path, wanted))) == 8_000
