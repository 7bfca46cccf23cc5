"""What is asked of the voice is measured on it."""

import jax
import numpy as np
import pytest

from sift_jax.codecs.embedded import embedded_features, pulse_synthesis
from sift_jax.codecs.embedded.pulse_synthesis import synthesise

STEPS = 200


def speak(hertz=120.0, voicing=1.0, level=-20.0, tilt=0.0, **kwargs):
    power = np.full((STEPS, embedded_features.BANDS), level * np.log(10) / 10)
    power -= tilt * np.arange(embedded_features.BANDS)
    semitone = np.full(STEPS, 12 * np.log2(hertz / embedded_features.LOWEST_HZ))
    return synthesise(
        power.astype(np.float32), semitone, np.full(STEPS, voicing), seed=kwargs.pop("seed", 0)
    )


@pytest.mark.parametrize("hertz", [90.0, 217.0, 350.0])
def test_the_pitch_is_the_one_asked_for(hertz):
    wave = speak(hertz)
    _, _, semitone, voicing = jax.jit(embedded_features.measure)(wave[None], np.array([len(wave)]))
    found = embedded_features.LOWEST_HZ * 2 ** (np.asarray(semitone)[0, 20:180] / 12)
    assert np.asarray(voicing)[0, 20:180].min() == 1 and np.abs(found / hertz - 1).max() < 0.01


@pytest.mark.parametrize("voicing", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("level", [-20.0, -40.0])
def test_the_level_is_the_one_asked_for(voicing, level):
    wave = speak(voicing=voicing, level=level)[1_600:-1_600]
    assert abs(10 * np.log10((wave.astype(float) ** 2).mean()) - level) < 1.0


def test_the_envelope_is_the_one_asked_for():
    power = np.log(
        embedded_features.measure_bands(speak(voicing=0.0, tilt=0.3)[None])[0, 5:-5].mean(0)
    )
    slope = np.polyfit(np.arange(embedded_features.BANDS), np.asarray(power), 1)[0]
    assert abs(slope + 0.3) < 0.03


def test_blocks_join_without_a_seam(monkeypatch):
    whole = speak(133.0, 0.7)
    monkeypatch.setattr(pulse_synthesis, "_BLOCK", 37)
    assert np.abs(speak(133.0, 0.7) - whole).max() < 1e-4


def test_the_same_seed_gives_the_same_bytes():
    assert (
        speak(voicing=0.5).tobytes()
        == speak(voicing=0.5).tobytes()
        != speak(voicing=0.5, seed=1).tobytes()
    )
