"""Whatever a user hands over as a recording, as the samples of one channel."""

import types

import numpy as np
import pytest
import soundfile

from sift_jax.audio.files import AudioError, read_audio
from sift_jax.audio.recordings import list_recordings, read_recording

WAVE = (0.5 * np.sin(np.arange(8_000) / 9)).astype(np.float32)


class Decoder:
    """As torchcodec's: channels come first."""

    def get_all_samples(self):
        return types.SimpleNamespace(data=np.stack([WAVE, WAVE]), sample_rate=16_000)


@pytest.mark.parametrize(
    ("recording", "most"),
    [
        ((WAVE, 16_000), 0),
        ((WAVE.astype(np.float64), np.int64(16_000)), 0),
        ((np.stack([WAVE, WAVE], axis=1), 16_000), 0),
        ((np.round(WAVE * 2**15).astype(np.int16), 16_000), 2**-15),
        ((np.round(WAVE.astype(np.float64) * 2**31).astype(np.int32), 16_000), 1e-6),
        ((np.round(WAVE * 2**7 + 128).astype(np.uint8), 16_000), 2**-7),
        ({"array": WAVE.tolist(), "sampling_rate": 16_000}, 1e-7),
        (Decoder(), 0),
    ],
)
def test_samples_are_floats_of_one_channel(recording, most):
    found = read_recording(recording)
    assert found.dtype == np.float32 and found.shape == WAVE.shape
    assert np.abs(found - WAVE).max() <= most


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_bytes_are_what_the_file_is(tmp_path, container):
    path = tmp_path / f"x.{container.lower()}"
    soundfile.write(path, WAVE, 22_050, format=container)
    row = {"bytes": path.read_bytes(), "path": None}
    assert np.array_equal(read_recording(row), read_audio(path))
    assert np.array_equal(read_recording(path), read_audio(path))
    cut = {"bytes": path.read_bytes()[: path.stat().st_size // 2], "path": "cut.x"}
    with pytest.raises(AudioError, match=r"cut\.x: (truncated|cannot be decoded)"):
        read_recording(cut)
    with pytest.raises(AudioError, match="the file is empty"):
        read_recording({"bytes": b"", "path": "x.wav"})


def test_another_rate_is_resampled():
    found = read_recording((WAVE, 8_000))
    assert len(found) == 2 * len(WAVE)
    assert len(read_recording((WAVE, 16_000), rate=8_000)) == len(WAVE) // 2


def test_one_several_or_none():
    assert list_recordings(None) == [] and list_recordings("x.wav") == ["x.wav"]
    assert list_recordings(["x.wav", "y.wav"]) == ["x.wav", "y.wav"]
    pair = (WAVE, 16_000)
    assert list_recordings(pair) == [pair]
