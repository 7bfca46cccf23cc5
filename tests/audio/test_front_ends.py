"""NeMo's log-mel: what is counted, what stands behind a clip, and parity with
ParakeetFeatureExtractor."""

import numpy as np
import pytest
from chirps import make_wave

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.audio.whisper_mel import RATE

NORMALISED = FRONT_ENDS["normalised"]


def fill(
    wave: np.ndarray, frames: int, mel_bins: int = 80, name: str = "normalised"
) -> tuple[np.ndarray, int]:
    out = np.full((frames, mel_bins), 7.0, np.float32)
    return out, FRONT_ENDS[name].fill(wave, out)


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("samples", [0, 1, 159, 160, 319, 320, 24_000])
def test_frames_are_counted_as_they_are_filled(name, samples):
    found, frames = fill(make_wave(samples), 160, 208, name=name)
    assert frames == FRONT_ENDS[name].count_frames(samples)
    assert np.isfinite(found).all()


def test_a_clip_sounds_alike_in_every_window():
    wave = make_wave(20_000)
    (short, frames), (long, _) = fill(wave, 125), fill(wave, 400)
    np.testing.assert_array_equal(short, long[:125])
    assert frames == 125 and not long[125:].any()


def test_bins_are_normalised_over_the_clip():
    found, frames = fill(make_wave(30_001), 300)
    np.testing.assert_allclose(found[:frames].mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(found[:frames].std(axis=0, ddof=1), 1.0, atol=1e-3)


def test_a_clip_beyond_the_window_is_an_error():
    with pytest.raises(ValueError, match="longer than the encoder's window of 1 s; cut it"):
        fill(make_wave(16_160), 100)


@pytest.mark.parity
@pytest.mark.parametrize("mel_bins", [80, 128])
@pytest.mark.parametrize("samples", [3_200, 21_923, 160_000])
def test_parity_with_their_extractor(mel_bins, samples):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    extractor = transformers.ParakeetFeatureExtractor(feature_size=mel_bins)
    waves = [make_wave(samples), make_wave(samples * 2 // 3 + 11, seed=1)]
    wanted = extractor(waves, sampling_rate=RATE, return_tensors="np")
    for row, wave in enumerate(waves):
        found, frames = fill(wave, wanted["input_features"].shape[1], mel_bins)
        assert frames == wanted["attention_mask"][row].sum()
        np.testing.assert_allclose(found, wanted["input_features"][row], atol=2e-3)
