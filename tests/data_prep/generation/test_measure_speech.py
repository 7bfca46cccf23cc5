"""What is measured on a recording, and on whose scale; what cannot be measured has a reason."""

import numpy as np
import pytest
from obedient_speaker import find_middle, speak

from data_prep.generation.classify import classify, find_labels, read_build_bins
from data_prep.generation.measure_speech import Hearing, measure_line, read_phones
from data_prep.generation.requests import Request
from data_prep.generation.spoken_folder import Spoken
from data_prep.metadata.experts import parse_experts
from data_prep.metadata.gender_network import FEMALE_SHARE
from sift_jax.audio.files import write_audio
from sift_jax.sift.labels import LABELS

HEARING = Hearing(experts=parse_experts(""), gender_model=None, asr=None)
TEXT = "The old clock on the wall has stopped again."


def make_line(**asked):
    request = Request(id="a--0", language="en", instruction=TEXT, text=TEXT, asked=asked)
    return Spoken(request=request, sample=0, seed=0, audio="a.wav", units=1, has_ended=True)


@pytest.fixture(scope="module")
def bins(built):
    return read_build_bins(built)


def test_a_voice_is_measured_and_lands_in_its_classes(bins, tmp_path):
    line = make_line(
        speaking_rate="quite fast",
        average_intensity="loudly",
        gender="male",
        average_pitch="moderate pitch",
    )
    write_audio(tmp_path / "a.wav", speak(line.request, bins))
    row = measure_line(tmp_path, line, None, HEARING)
    assert not row["missing"] and row["said"] is None and 1 < row["seconds"] < 6
    middle = find_middle(bins["speaking_rate"]["all"], LABELS["speaking_rate"].index("quite fast"))
    assert row["values"]["speaking_rate"] == pytest.approx(middle, rel=0.1)
    outcomes = classify([line], [row], bins)
    assert {outcome.key for outcome in outcomes} == set(line.request.asked)
    assert all(outcome.found == outcome.asked for outcome in outcomes)


def test_the_rate_is_by_the_phones_of_the_text_that_was_given(bins, tmp_path):
    line = make_line()
    write_audio(tmp_path / "a.wav", speak(line.request, bins))
    own = measure_line(tmp_path, line, None, HEARING)["values"]["speaking_rate"]
    half = "|".join(phone for phone in read_phones(TEXT, "en").split("|") if phone != " ").split(
        "|"
    )
    given = measure_line(tmp_path, line, "|".join(half[: len(half) // 2]), HEARING)["values"][
        "speaking_rate"
    ]
    assert given == pytest.approx(own / 2, rel=0.05)


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (np.zeros(16_000, np.float32), "silence"),
        (np.full(800, 0.1, np.float32), "too short"),
        (None, "no audio file"),
    ],
)
def test_without_speech_every_key_has_the_same_reason(tmp_path, wave, reason):
    if wave is not None:
        write_audio(tmp_path / "a.wav", wave)
    row = measure_line(tmp_path, make_line(), None, HEARING)
    assert not row["values"] and set(row["missing"].values()) == {reason}


def test_an_empty_file_and_a_cut_one_are_told_apart(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    assert set(measure_line(tmp_path, make_line(), None, HEARING)["missing"].values()) == {
        "empty file"
    }
    write_audio(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16_000))
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:9_000])
    assert set(measure_line(tmp_path, make_line(), None, HEARING)["missing"].values()) == {
        "truncated"
    }


def test_noise_has_an_intensity_and_no_pitch(tmp_path, bins):
    write_audio(
        tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    )
    line = make_line(average_pitch="moderate pitch", gender="female", average_intensity="loudly")
    row = measure_line(tmp_path, line, None, HEARING)
    assert row["values"]["average_intensity"] == pytest.approx(-20, abs=0.5)
    found = {
        outcome.key: (outcome.found, outcome.reason) for outcome in classify([line], [row], bins)
    }
    assert found["average_intensity"] == (LABELS["average_intensity"].index("loudly"), None)
    assert found["average_pitch"][0] is None and found["gender"] == (None, "no voice found")


def make_row(hz, share=None):
    return {"id": "a", "values": {"average_pitch": hz}, "missing": {}, FEMALE_SHARE: share}


def test_a_pitch_is_on_the_scale_that_was_asked_for_else_on_the_one_that_is_heard(bins):
    low, high = LABELS["average_pitch"][0], LABELS["average_pitch"][-1]
    assert find_labels(make_row(110.0), bins, "female")[0] == {
        "gender": "male",
        "average_pitch": low,
    }
    assert find_labels(make_row(240.0), bins, "male")[0] == {
        "gender": "female",
        "average_pitch": high,
    }
    assert find_labels(make_row(80.0), bins, None)[0]["average_pitch"] == low
    labels, reasons = find_labels(make_row(165.0), bins, None)
    assert not labels and reasons == {"gender": "no sure gender", "average_pitch": "no sure gender"}
    # a classifier knows better than the pitch does
    labels, _ = find_labels(make_row(165.0, share=0.97), bins, None)
    assert labels["gender"] == "female" and labels["average_pitch"] in LABELS["average_pitch"][:3]


def test_what_the_build_has_no_bins_for_has_no_class(bins):
    without = {key: table for key, table in bins.items() if key != "average_pitch"}
    assert (
        find_labels(make_row(110.0), without, None)[1]["average_pitch"]
        == "the build has no bins for it"
    )
    male = {**bins, "average_pitch": {"male": bins["average_pitch"]["male"]}}
    assert (
        find_labels(make_row(240.0), male, None)[1]["average_pitch"]
        == "the build has no bins for this gender"
    )
