"""Rooms, noise and levels do what they are asked."""

import numpy as np
import pytest

from data_prep.embedded import rooms


@pytest.mark.parametrize("c50", [-2.0, 3.0, 12.0, 25.0, 40.0])
def test_response_has_the_c50_asked(c50):
    for seed in range(3):
        response = rooms.make_response(c50, np.random.default_rng(seed))
        assert rooms.measure_c50(response) == pytest.approx(c50, abs=0.3)


def test_dry_room_changes_nothing():
    wave = np.random.default_rng(0).standard_normal(800).astype(np.float32)
    response = rooms.make_response(rooms.DRY_C50 + 1, np.random.default_rng(0))
    np.testing.assert_array_equal(rooms.add_room(wave, response), wave)


@pytest.mark.parametrize("kind", rooms.NOISES)
def test_noise_has_unit_power(kind):
    babble = np.sin(np.arange(5_000)).astype(np.float32)
    noise = rooms.make_noise(kind, 16_001, np.random.default_rng(1), babble)
    assert noise.shape == (16_001,)
    assert np.mean(noise**2) == pytest.approx(1.0, rel=1e-3)


def test_active_power_ignores_pauses():
    tone = np.sin(np.arange(16_000) * 0.3).astype(np.float32)
    padded = np.concatenate([tone, np.zeros(32_000, np.float32)])
    assert rooms.measure_active_power(padded) == pytest.approx(
        rooms.measure_active_power(tone), rel=0.05
    )
