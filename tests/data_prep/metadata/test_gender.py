"""The rule on pitch: right where voices are far apart, silent where they are not."""

import numpy as np
import pytest

from data_prep.metadata.gender import classify_by_pitch, classify_speakers, name_by_pitch


@pytest.mark.parametrize(("hz", "gender"), [(90, "male"), (144, "male"), (160, "unknown"), (190, "female")])
def test_by_pitch(hz, gender):
    track = np.full(50, float(hz))
    track[::3] = np.nan
    assert classify_by_pitch(np.zeros(8_000), track) == name_by_pitch(hz) == gender


def test_too_little_voice_is_unknown():
    assert classify_by_pitch(np.zeros(8_000), np.full(50, np.nan)) == "unknown"
    assert classify_by_pitch(np.zeros(8_000), np.full(9, 100.0)) == "unknown"


def test_a_speaker_is_judged_by_all_recordings():
    rows = [{"speaker": "a", "values": {"average_pitch": hz}} for hz in (120, 130, 200)]
    rows += [{"speaker": "b", "values": {"average_pitch": hz}} for hz in (150, 210, 230)]
    assert classify_speakers(rows) == {"a": "male", "b": "female"}
