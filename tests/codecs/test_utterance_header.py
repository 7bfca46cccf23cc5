"""What holds for a whole recording: measured, turned into units and read again."""

import numpy as np
import pytest

from sift_jax.codecs.embedded.embedded_features import BANDS
from sift_jax.codecs.embedded.utterance_header import (
    HEAD_CODES,
    MIDDLING,
    PACES,
    SPREADS,
    Head,
    measure_head,
    read_head,
)

STEPS = 300


def make_power(beats):
    """Relative log power of speech that gets louder and softer so many times in three seconds, in
    ever other shapes."""
    loudness = -1 + 2 * np.sin(2 * np.pi * beats * np.arange(STEPS) / STEPS)
    shapes, place = (
        np.random.default_rng(0).standard_normal((STEPS // 20 + 1, BANDS)),
        np.arange(STEPS) / 20,
    )
    return loudness[:, None] + np.stack(
        [np.interp(place, np.arange(len(shapes)), row) for row in shapes.T], axis=1
    )


def measure(beats=12, semitone=None, voicing=None):
    semitone = np.full(STEPS, 20.0) if semitone is None else semitone
    return measure_head(make_power(beats), semitone, np.ones(STEPS) if voicing is None else voicing)


def test_more_beats_are_a_higher_pace():
    paces = [measure(beats).pace for beats in (9, 12, 15, 18)]
    assert (np.diff(paces) > 0.05).all()


def test_height_is_the_middle_and_spread_the_deviation():
    semitone = 18 + 3 * np.sin(2 * np.pi * np.arange(STEPS) / 100)
    found = measure(semitone=semitone)
    assert found.height == pytest.approx(18, abs=0.5) and found.spread == pytest.approx(
        3 / np.sqrt(2), rel=0.1
    )


def test_a_trackers_leaps_are_no_melody():
    semitone = np.full(STEPS, 15.0)
    semitone[::50] += 24
    assert measure(semitone=semitone).spread < 1.5


def test_where_nobody_speaks_all_is_middling():
    for steps in (STEPS, 1):
        assert (
            measure_head(np.full((steps, BANDS), -9.0), np.zeros(steps), np.zeros(steps))
            == MIDDLING
        )


def test_a_voice_that_is_all_but_silent_has_no_pace():
    found = measure_head(np.full((STEPS, BANDS), -6.0), np.full(STEPS, 24.0), np.ones(STEPS))
    assert found.pace == MIDDLING.pace and found.height == pytest.approx(24)


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_moment_of_voice_has_a_height(steps):
    found = measure_head(np.zeros((steps, BANDS)), np.full(steps, 24.0), np.ones(steps))
    assert found.height == pytest.approx(24 if steps > 5 else MIDDLING.height)


def test_a_whisper_has_a_pace():
    assert measure(18, voicing=np.zeros(STEPS)).pace > measure(9, voicing=np.zeros(STEPS)).pace


def test_of_a_word_too_short_to_have_a_pace_the_voice_is_measured():
    found = measure_head(np.zeros((30, BANDS)), np.full(30, 24.0), np.ones(30))
    assert found.pace == MIDDLING.pace and found.height == pytest.approx(24)


@pytest.mark.parametrize("pace", (0.1, 0.6, 1.0, 1.9, 5.0))
@pytest.mark.parametrize("spread", (0.01, 1.0, 9.0))
def test_units_of_a_head_are_the_nearest(pace, spread):
    ids = Head(pace=pace, height=99.0, spread=spread, length=100.0).to_ids()
    found = read_head(ids)
    assert (np.diff(ids) > 0).all() and ids.max() < HEAD_CODES
    assert found.pace == pytest.approx(np.clip(pace, PACES[0], PACES[-1]), rel=0.05)
    assert found.spread == pytest.approx(np.clip(spread, SPREADS[0], SPREADS[-1]), rel=0.13)
    assert found.height == 35 and found.length == pytest.approx(100, rel=0.08)


def test_the_first_of_a_kind_holds_wherever_it_stands():
    ids = Head(pace=0.5, height=3.0, spread=2.0, length=40.0).to_ids()
    stream = np.concatenate([[HEAD_CODES + 4], ids[[2, 1, 3, 0]], [15]])
    assert read_head(stream) == read_head(ids)


def test_what_is_missing_is_middling():
    assert read_head(np.array([HEAD_CODES])) == MIDDLING
