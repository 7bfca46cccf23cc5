"""Log-mel features against librosa's and, on Whisper's 30 s, against the extractor of transformers."""

import librosa
import numpy as np
import pytest

from sift_jax.audio.mel import HOP, RATE, WINDOW, compute_log_mel, count_mel_frames, fill_window, make_mel_filters


def make_wave(seconds, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    chirp = np.sin(2 * np.pi * (100 * time + 300 * time**2 / seconds))
    return (0.3 * chirp + 0.02 * rng.normal(size=len(time))).astype(np.float32)


@pytest.mark.parametrize("mel_bins", [80, 128])
def test_filters_are_librosas(mel_bins):
    expected = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=mel_bins, htk=False, norm="slaney").T
    np.testing.assert_allclose(make_mel_filters(mel_bins), expected, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.03, 0.5, 3.21])
def test_features_are_librosas(seconds):
    wave = make_wave(seconds)
    power = (
        np.abs(librosa.stft(wave, n_fft=WINDOW, hop_length=HOP, window="hann", center=True, pad_mode="reflect")) ** 2
    )
    mel = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=80) @ power[:, : len(wave) // HOP]
    log = np.log10(np.maximum(mel, 1e-10)).T
    expected = (np.maximum(log, log.max() - 8.0) + 4.0) / 4.0
    found = compute_log_mel(wave, 80)
    assert found.shape == (count_mel_frames(len(wave)), 80) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_features_are_whispers_on_thirty_seconds():
    transformers = pytest.importorskip(
        "transformers", reason="transformers is no dependency; librosa's test stands alone"
    )
    wave = make_wave(30.0, seed=1)
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    expected = extractor(wave, sampling_rate=RATE, return_tensors="np", device="cpu").input_features[0].T
    found = compute_log_mel(wave, 80)
    assert found.shape == (3000, 80)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("samples", [1, 159, 160, 399, 400, 401])
def test_short_clips_have_at_least_a_frame(samples):
    mel = compute_log_mel(0.1 * np.ones(samples, np.float32), 80)
    assert len(mel) == count_mel_frames(max(samples, WINDOW)) and np.isfinite(mel).all()


def test_silence_is_finite():
    mel = compute_log_mel(np.zeros(1600, np.float32), 80)
    np.testing.assert_allclose(mel, -1.5, atol=1e-5)


def test_a_window_is_filled_with_the_clips_own_silence():
    """Eight decades below the loudest bin: what Whisper's extractor gives for zeros behind this clip."""
    wave = make_wave(0.5)
    out = np.zeros((100, 80), np.float32)
    assert fill_window(compute_log_mel(wave, 80), out) == 50
    padded = compute_log_mel(np.pad(wave, (0, 8000)), 80)
    np.testing.assert_allclose(out[52:], padded[52:], atol=1e-5)
    np.testing.assert_allclose(out[:48], padded[:48], atol=1e-5)
