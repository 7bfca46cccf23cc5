"""The rule on pitch: right where voices are far apart, silent where they are not."""

import numpy as np
import pytest

from data_prep.metadata.gender import classify_by_pitch, classify_speakers, fill_genders, name_by_pitch


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


def test_gaps_are_filled_and_nothing_else():
    table = [("a", "female", 120), ("a", None, 110), ("b", None, 120), ("b", None, 200), ("b", "", 100),
             ("c", None, 160), (None, None, 220), (None, None, 160), (None, "male", 220)]
    rows = [{"speaker": speaker, "gender": gender, "values": {"average_pitch": hz}} for speaker, gender, hz in table]
    filled = fill_genders(rows)
    expected = ["female", "female", "male", "male", "male", None, "female", None, "male"]
    assert [row["gender"] for row in filled] == expected
    assert [row["values"] for row in filled] == [row["values"] for row in rows] and rows[1]["gender"] is None
