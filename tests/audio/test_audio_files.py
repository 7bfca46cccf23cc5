"""Reading and writing audio: right samples, and one line for every kind of broken file."""

import pickle

import numpy as np
import pytest
import soundfile

from sift_jax.audio.files import AudioError, decode_audio, read_audio, write_audio


def make_wave(seconds=0.5, rate=16_000):
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_audio(path, make_wave())
    wave = read_audio(path)
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, make_wave(), atol=1e-4)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_rate_comes_from_the_file_and_channels_are_mixed(tmp_path):
    path = tmp_path / "stereo.wav"
    wave = make_wave(1.0, 44_100)
    soundfile.write(path, np.stack([wave, np.zeros_like(wave)], axis=1), 44_100)
    mono = read_audio(path)
    assert abs(len(mono) - 16_000) <= 2
    assert np.abs(mono[1_000:15_000]).max() == pytest.approx(0.15, rel=0.05)


def test_missing_and_empty(tmp_path):
    with pytest.raises(AudioError, match="no such audio file"):
        read_audio(tmp_path / "none.wav")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match="is empty"):
        read_audio(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "no_samples.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(tmp_path / "no_samples.wav")


def test_corrupt(tmp_path):
    (tmp_path / "text.wav").write_text("this is no audio at all")
    with pytest.raises(AudioError, match="text.wav: cannot be decoded"):
        read_audio(tmp_path / "text.wav")


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    write_audio(path, np.random.default_rng(0).uniform(-0.5, 0.5, 16_000))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"(truncated|cannot be decoded).*again") as error:
        read_audio(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(tmp_path, bad):
    wave = make_wave()
    wave[100] = bad
    soundfile.write(tmp_path / "float.wav", wave, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN or Inf"):
        read_audio(tmp_path / "float.wav")
    with pytest.raises(AudioError, match="NaN or Inf"):
        write_audio(tmp_path / "out.wav", wave)


def test_integers_that_pass_for_floats(tmp_path):
    soundfile.write(tmp_path / "loud.wav", 32_767 * make_wave(), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="beyond full scale"):
        read_audio(tmp_path / "loud.wav")
    soundfile.write(tmp_path / "over.wav", 4 * make_wave(), 16_000, subtype="FLOAT")
    assert read_audio(tmp_path / "over.wav").max() > 1


def test_header_is_checked_before_decoding(tmp_path):
    soundfile.write(tmp_path / "slow.wav", make_wave(), 100)
    with pytest.raises(AudioError, match="rate 100 Hz"):
        read_audio(tmp_path / "slow.wav")
    write_audio(tmp_path / "long.flac", make_wave(3.0))
    with pytest.raises(
        AudioError, match="3.0 s is longer than 2 s; cut the file or raise max_seconds"
    ):
        read_audio(tmp_path / "long.flac", max_seconds=2)


def test_unwritable(tmp_path):
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio(tmp_path / "none" / "a.wav", make_wave())
    with pytest.raises(AudioError, match="one channel"):
        write_audio(tmp_path / "a.wav", np.zeros((2, 5)))


def test_channels_that_cancel_are_found_and_others_are_mixed(tmp_path):
    wave, other = make_wave(), np.roll(make_wave(), 300)
    for name, channels in {"opposite": [wave, -wave], "nearly": [wave, -0.9 * wave]}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.stack(channels, axis=1), 16_000)
        with pytest.raises(AudioError, match="opposite in phase") as error:
            read_audio(tmp_path / f"{name}.wav")
        assert error.value.reason == "opposite channels"
    mixed = {
        "same": [wave] * 8,
        "one": [wave, 0 * wave],
        "apart": [wave, other],
        "none": [0 * wave] * 2,
    }
    for name, channels in mixed.items():
        soundfile.write(tmp_path / f"{name}.wav", np.stack(channels, axis=1), 16_000)
        np.testing.assert_allclose(
            read_audio(tmp_path / f"{name}.wav"), np.mean(channels, axis=0), atol=1e-4
        )


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.mp3", {"format": "MP3"}),
        ("a.ogg", {"format": "OGG"}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_compressed_files_are_read_whole_and_cut_ones_are_not(tmp_path, name, options):
    soundfile.write(tmp_path / name, make_wave(3.0, 48_000), 48_000, **options)
    assert abs(len(read_audio(tmp_path / name)) - 48_000) < 2_400
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    try:
        # Half of an Ogg may declare no more than it has: then it is the shorter file that it is.
        assert len(read_audio(tmp_path / name)) < 30_000 and name != "a.mp3"
    except AudioError as error:
        assert error.reason in {"truncated", "cannot be decoded", "empty file"}


def test_a_part_of_a_file(tmp_path):
    path = tmp_path / "long.flac"
    write_audio(path, np.linspace(-0.9, 0.9, 64_000))
    part = decode_audio(path, start=1.0, seconds=0.5, max_seconds=1.0)
    assert part.samples.shape == (8_000, 1) and part.rate == 16_000
    np.testing.assert_allclose(
        part.samples[:, 0], np.linspace(-0.9, 0.9, 64_000)[16_000:24_000], atol=1e-4
    )
    with pytest.raises(AudioError, match="4.00 s hold no 3.5 s .* fix the times") as error:
        decode_audio(path, start=3.5, seconds=1.0)
    assert error.value.reason == "times beyond the end"
    assert pickle.loads(pickle.dumps(error.value)).reason == "times beyond the end"
