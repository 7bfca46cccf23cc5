"""Kaldi's log-mel for BEATs, against numbers of torchaudio 2.11's `compliance.kaldi.fbank`."""

import numpy as np
import pytest
from chirps import make_wave

from sift_jax.audio.kaldi_mel import LEAST_POWER, count_kaldi_frames, fill_kaldi_mel

# every sixteenth bin of make_wave(1000), in float64, less 15.41663 and over 13.11164
PUBLISHED = [
    [-0.16403, -0.01597, 0.12067, 0.24464, 0.14348, 0.36402, 0.51737, 0.4975],
    [-0.09512, 0.00708, 0.15794, 0.18951, 0.29631, 0.43419, 0.42273, 0.47821],
    [-0.02797, 0.04056, -0.03086, 0.14032, 0.40795, 0.42322, 0.51562, 0.55667],
    [-0.18693, 0.12488, 0.08253, 0.23877, 0.23879, 0.44904, 0.45249, 0.46301],
]


def fill(wave: np.ndarray, frames: int) -> tuple[np.ndarray, int]:
    out = np.full((frames, 128), 7.0, np.float32)
    return out, fill_kaldi_mel(wave, out)


def test_published_numbers():
    found, frames = fill(make_wave(1000), 6)
    assert frames == 4
    np.testing.assert_allclose(found[:4, ::16], PUBLISHED, atol=2e-5)
    assert not found[4:].any()


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 559, 560, 16_000])
def test_a_frame_lies_on_the_clip_as_a_whole(samples):
    wanted = 0 if samples < 400 else 1 + (samples - 400) // 160
    _, frames = fill(make_wave(samples), 100)
    assert frames == wanted == count_kaldi_frames(samples)
    assert count_kaldi_frames(np.array([samples])).tolist() == [wanted]


def test_digital_silence_is_the_least_power():
    found, frames = fill(np.zeros(1000, np.float32), 6)
    least = (np.log(LEAST_POWER) - 15.41663) / 13.11164
    np.testing.assert_allclose(found[:frames], least, rtol=1e-5)


def test_a_clip_beyond_the_window_is_an_error():
    with pytest.raises(ValueError, match="longer than the encoder's window of 1 s; cut it"):
        fill(make_wave(16_400), 100)
