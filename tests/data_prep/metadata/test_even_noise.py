"""Noise is told of what lasts: speech that dies away is none, where no pause is left to hear one."""

import dataclasses

import numpy as np
import pytest
from known_speech import Truth, speak

from data_prep.metadata import noise
from data_prep.metadata.absolute import EVENNESS, find_scales
from data_prep.metadata.bins import bound_values, label_values
from data_prep.metadata.experts import DEFAULT_EXPERTS
from data_prep.metadata.measure import measure_utterance
from sift_jax.sift.labels import ACOUSTIC_LABELS

RATE = 16_000
BINS = {
    key: {"all": scale.describe()} for key, scale in find_scales(DEFAULT_EXPERTS).items() if scale
}


def measure_cut(snr, index):
    """The metadata of a sentence cut close to its words, of which no times are known."""
    wave, _, utterance = speak(Truth(snr=snr), index)
    first, last = (
        round(time * RATE) for time in (utterance.words[0].start, utterance.words[-1].end)
    )
    cut = wave[first:last]
    bare = dataclasses.replace(utterance, words=(), duration=len(cut) / RATE)
    row = measure_utterance(cut, bare).row
    row["values"] = {key: value for key, value in row["values"].items() if key in BINS}
    labels, bounds = label_values(row, BINS, ACOUSTIC_LABELS), bound_values(row, BINS)
    return row, labels.get("noise_level"), bounds["noise_level"]


def test_clean_speech_that_was_cut_close_is_called_clean_or_nothing():
    """One of four reads as 24 dB, and was called "balanced in clarity": its noise is 60 dB below."""
    found = [measure_cut(60.0, index) for index in range(4)]
    assert min(row["values"]["noise_level"] for row, _, _ in found) < 24
    for row, label, (low, high) in found:
        assert row[EVENNESS] < -20
        assert label in (None, "clean", "very clean")
        # That it has 21 dB or more is known, and not that it has 27 or less.
        assert low < row["values"]["noise_level"] and high is None


def test_noise_that_lasts_is_told_of_speech_that_was_cut_close_too():
    for row, label, (low, high) in (measure_cut(12.5, index) for index in range(4)):
        assert row[EVENNESS] > -4 and label == "slightly noisy" and low < 12.5 < high


def test_where_zeros_took_the_margins_a_recording_is_called_clean_or_nothing():
    """A gate that has closed before and after a sentence leaves soft speech of -30 dB, and that is
    even."""
    zeros = np.zeros(RATE // 2, np.float32)
    for index in range(3):
        wave, _, utterance = speak(Truth(snr=60.0), index)
        loud = np.convolve(np.abs(wave), np.ones(480) / 480, "same")
        # Only what is loud is left, piece by piece: no gap of a tenth of a second.
        gated = wave[loud > 0.12 * np.quantile(loud, 0.9)]
        bare = dataclasses.replace(utterance, words=())
        rows = [
            measure_utterance(
                sound.astype(np.float32), dataclasses.replace(bare, duration=len(sound) / RATE)
            ).row
            for sound in (gated, np.concatenate([zeros, gated, zeros]))
        ]
        assert rows[1]["values"] == pytest.approx(rows[0]["values"], abs=0.05)
        assert rows[1]["values"]["noise_level"] < 18 and rows[1][EVENNESS] is None
        assert "noise_level" not in label(rows[1]) and rows[1]["values"]["reverberation"] > 25
    # Zeros beside a margin take none of it.
    wave, _, utterance = speak(Truth(snr=12.5), 0)
    bare = dataclasses.replace(utterance, words=(), duration=len(wave) / RATE + 1)
    row = measure_utterance(np.concatenate([zeros, wave, zeros]), bare).row
    assert row[EVENNESS] > -4 and label(row)["noise_level"] == "slightly noisy"


def label(row):
    values = {key: value for key, value in row["values"].items() if key in BINS}
    return label_values({**row, "values": values}, BINS, ACOUSTIC_LABELS)


@pytest.mark.parametrize("kind", ["white", "brown"])
def test_evenness_is_that_of_the_floor(kind):
    rng = np.random.default_rng(0)
    lasting = rng.normal(size=3 * RATE)
    if kind == "brown":
        lasting = np.cumsum(lasting) - np.cumsum(np.ones(3 * RATE)) * lasting.mean()
        lasting -= np.convolve(lasting, np.ones(800) / 800, "same")
    frames = (lasting[: 300 * 160].reshape(300, 160) ** 2).mean(axis=1) / lasting.var() * 1e-5
    assert -8 < noise.measure_evenness(frames) <= 0
    # ten times a second a sound dies away by 40 dB, and the next begins
    dying = np.tile(10.0 ** -np.linspace(2, 6, 10), 30)
    assert noise.measure_evenness(np.concatenate([dying, [1e-8] * 3])) < -15
    # zeros are no quiet frames
    gated = np.concatenate([frames, np.full(20, 1e-10)])
    assert noise.measure_evenness(gated) == pytest.approx(noise.measure_evenness(frames), abs=0.3)
