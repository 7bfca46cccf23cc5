"""Pitch, level and bands of waves of which they are known."""

import jax
import numpy as np
from voices import RATE, make_speech, make_vowel

from sift_jax.codecs.embedded import embedded_features

MEASURE = jax.jit(embedded_features.measure)


def measure(waves, seconds=2):
    batch = np.zeros((len(waves), seconds * RATE), np.float32)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave[: len(row)]
    lengths = np.array([min(len(wave), seconds * RATE) for wave in waves], np.int32)
    return [np.asarray(x) for x in MEASURE(batch, lengths)]


def to_hertz(semitone):
    return embedded_features.LOWEST_HZ * 2 ** (semitone / 12)


def test_the_pitch_of_vowels_is_found():
    asked = (75, 110, 180, 260, 400)
    _, _, semitone, voicing = measure([0.1 * make_vowel("a", hertz, 2.0) for hertz in asked])
    inner = slice(20, 180)
    assert voicing[:, inner].min() == 1
    for row, hertz in zip(semitone, asked, strict=True):
        assert np.abs(12 * np.log2(to_hertz(row[inner]) / hertz)).max() < 0.3, hertz


def test_noise_and_silence_have_no_voice():
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    removed, level, _, voicing = measure([noise.astype(np.float32), np.zeros(2 * RATE, np.float32)])
    power = embedded_features.measure_bands(noise.astype(np.float32)[None])
    assert voicing[0].mean() < 0.05 and voicing[1].max() == 0
    assert abs(level[0].mean() + 20) < 0.5 and level[1].max() <= -99
    # noise of variance v has the power v in every band
    assert np.abs(10 * np.log10(np.asarray(power)[0].mean(0)) + 20).max() < 1
    assert removed[0, 10:-10].mean() < 0.6 * np.asarray(power)[0, 10:-10].mean(), (
        "and steady noise is removed"
    )


def test_a_gain_moves_levels_and_nothing_else():
    wave = make_speech(150)
    loud, soft = measure([wave]), measure([wave * np.float32(0.1)])
    assert np.abs(loud[1] - soft[1] - 20).max() < 0.01
    assert (loud[3] == soft[3]).mean() > 0.99
    assert np.abs(loud[2] - soft[2])[(loud[3] + soft[3]) == 2].max() < 0.01


def test_what_is_far_away_changes_nothing():
    wave = make_speech(150, seconds=8.0)
    other = wave.copy()
    other[: 3 * RATE] = make_speech(250, seed=5, seconds=3.0)
    first, second = measure([wave, other], 8)[2], measure([wave, other], 8)[3]
    after = slice(int((3 + 2 * embedded_features.REACH + 0.1) * 100), None)
    assert np.array_equal(first[0, after], first[1, after]) and np.array_equal(
        second[0, after], second[1, after]
    )
