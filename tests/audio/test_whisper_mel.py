"""Log-mel features against Whisper's formula in double precision, and against the extractor of
transformers."""

import librosa
import numpy as np
import pytest

from sift_jax.audio.whisper_mel import (
    HOP,
    RATE,
    WINDOW,
    count_mel_frames,
    fill_log_mel,
    make_mel_filters,
)

THIRTY = 3000


def make_wave(seconds, seed=0):
    """A rising voice with pauses, over the noise of a quiet room (30 dB below it)."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * (110 * time + 15 * time**2)
    voice = sum(np.sin(n * phase) / n for n in range(1, 9)) * (np.sin(9 * time) > -0.3)
    return (0.1 * voice + 3e-3 * rng.normal(size=len(time))).astype(np.float32)


def compute_truth(wave, mel_bins, frames):
    """Whisper's features of the clip padded with zeros to `frames`, in double precision."""
    padded = np.zeros(frames * HOP)
    padded[: len(wave)] = wave
    padded = np.pad(padded, WINDOW // 2, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    spectrum = np.array(
        [np.fft.rfft(padded[i * HOP : i * HOP + WINDOW] * hann) for i in range(frames)]
    )
    filters = librosa.filters.mel(
        sr=RATE, n_fft=WINDOW, n_mels=mel_bins, htk=False, norm="slaney", dtype=np.float64
    )
    log = np.log10(np.maximum(np.abs(spectrum) ** 2 @ filters.T, 1e-10))
    return (np.maximum(log, log.max() - 8.0) + 4.0) / 4.0


def fill(wave, frames, mel_bins):
    out = np.full((frames, mel_bins), np.nan, np.float32)
    return out, fill_log_mel(wave, out)


@pytest.mark.parametrize("mel_bins", [80, 128])
def test_filters_are_librosas(mel_bins):
    expected = librosa.filters.mel(
        sr=RATE, n_fft=WINDOW, n_mels=mel_bins, htk=False, norm="slaney"
    ).T
    np.testing.assert_allclose(make_mel_filters(mel_bins), expected, atol=1e-6)


@pytest.mark.parametrize("mel_bins", [80, 128])
@pytest.mark.parametrize(
    "samples", [1, 159, 160, 161, 399, 401, 7_999, 32_000, 51_361, 479_850, 480_000]
)
def test_a_clip_padded_to_thirty_seconds_is_whispers(samples, mel_bins):
    wave = make_wave(30.0)[-samples:]
    found, frames = fill(wave, THIRTY, mel_bins)
    assert frames == count_mel_frames(samples)
    np.testing.assert_allclose(found, compute_truth(wave, mel_bins, THIRTY), atol=5e-5)


@pytest.mark.parametrize("frames", [200, 202, 256, 600])
def test_a_shorter_window_is_the_same_with_fewer_zeros(frames):
    wave = make_wave(2.0)
    np.testing.assert_allclose(
        fill(wave, frames, 80)[0], compute_truth(wave, 80, frames), atol=5e-5
    )


@pytest.mark.parametrize("seconds", [0.5, 3.21, 41.7])
def test_audio_of_any_length_in_a_window_of_its_own(seconds):
    wave = make_wave(seconds)
    found = fill(wave, count_mel_frames(len(wave)), 80)[0]
    np.testing.assert_allclose(found, compute_truth(wave, 80, len(found)), atol=5e-5)


def test_counted_frames_are_those_whose_centre_lies_on_the_clip():
    assert [count_mel_frames(n) for n in (0, 1, 160, 161, 320, 480_000)] == [0, 1, 1, 2, 2, 3000]


@pytest.mark.parametrize("samples", [0, 1600])
def test_silence_is_finite_and_low(samples):
    out, frames = fill(np.zeros(samples, np.float32), 50, 80)
    assert frames == count_mel_frames(samples)
    np.testing.assert_allclose(out, -1.5, atol=1e-5)


def test_the_clip_is_left_as_it_was():
    wave = make_wave(1.0)
    kept = wave.copy()
    fill(wave, 300, 80)
    np.testing.assert_array_equal(wave, kept)


def test_a_clip_longer_than_the_window_says_so():
    with pytest.raises(
        ValueError, match="a clip of 2.5 s is longer than the encoder's window of 2 s; cut it"
    ):
        fill(make_wave(2.5), 200, 80)


@pytest.mark.parity
@pytest.mark.parametrize("mel_bins", [80, 128])
def test_features_are_those_of_transformers(mel_bins):
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=mel_bins)
    for seconds in (0.9, 7.77, 30.0):
        wave = make_wave(seconds, seed=1)
        theirs = extractor(
            wave, sampling_rate=RATE, return_tensors="np", return_attention_mask=True
        )
        found, frames = fill(wave, THIRTY, mel_bins)
        # theirs is single precision too, and may be as far from the truth
        np.testing.assert_allclose(found, theirs.input_features[0].T, atol=1e-4)
        assert frames == theirs.attention_mask[0].sum()
