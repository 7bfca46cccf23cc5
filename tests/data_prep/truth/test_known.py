"""What is known of a recording from elsewhere: ranges, where two sound ways of measuring differ."""

import dataclasses
import json
import random

import numpy as np
import pytest
from fake_metadata import write_metadata

from data_prep.instructions import comparison, content
from data_prep.instructions.templates import load_templates
from data_prep.metadata.absolute import find_scales
from data_prep.metadata.bins import make_bins
from data_prep.truth import praat
from data_prep.truth.changed import find_unchanged
from data_prep.truth.known import find_known, judge
from data_prep.truth.texts import Claim, read_claims
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES

LABELS = ACOUSTIC_LABELS["pitch_variation"]
RATE = 16_000


def say(label):
    return Claim(clip=0, key="pitch_variation", labels=(label,), kind="")


def make_known(monkeypatch, low, high):
    monkeypatch.setattr(praat, "is_installed", lambda: True)
    monkeypatch.setattr(
        praat, "measure_voice", lambda wave, first, last: {"pitch_variation": (low, high)}
    )
    row = {"gender": "female", "words": []}
    return find_known(row, {"language": "en"}, np.zeros(RATE, np.float32))


def test_a_variation_is_untrue_outside_of_the_range_that_praat_gives(monkeypatch):
    rows = [
        {"gender": "female", "values": {"pitch_variation": value}}
        for value in np.linspace(0, 7, 200)
    ]
    # Classes of a semitone: 0 to 1, 1 to 2, …
    bins = make_bins(rows, ACOUSTIC_LABELS)
    narrow, wide = make_known(monkeypatch, 0.5, 0.5), make_known(monkeypatch, 0.5, 3.2)
    true_of_narrow = [judge(say(label), [narrow], bins) for label in LABELS]
    true_of_wide = [judge(say(label), [wide], bins) for label in LABELS]
    # A class beside the range is not told apart by ear.
    assert true_of_narrow == [True] * 2 + [False] * 5
    assert true_of_wide == [True] * 5 + [False] * 2


def test_an_order_is_untrue_where_the_ranges_contradict_it(monkeypatch):
    known = {
        name: make_known(monkeypatch, *found)
        for name, found in {"low": (2.0, 2.6), "near": (2.5, 3.0), "high": (3.1, 3.4)}.items()
    }

    def judge_order(first, second, label):
        claim = Claim(clip=0, key="order of pitch_variation", labels=(label,), kind="")
        return judge(claim, [known[first], known[second]], {})

    for first, second, is_higher, is_lower in (
        ("low", "high", True, False),
        ("high", "low", False, True),
        ("low", "near", True, True),
        ("near", "low", True, True),
    ):
        assert judge_order(first, second, "high") is is_higher
        assert judge_order(first, second, "low") is is_lower


def test_praat_gives_a_range_of_a_voice_and_of_hiss_none():
    pytest.importorskip("parselmouth")
    times = np.arange(2 * RATE) / RATE
    hz = 200 * 2 ** (3 / 12 * np.sin(2 * np.pi * 1.5 * times))
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    wave = 0.1 * sum(np.cos(k * phase) / k for k in range(1, 9))
    found = praat.measure_voice(wave, 0.1, 1.9)
    low, high = found["pitch_variation"]
    assert low <= high < low + 0.5 and low == pytest.approx(3 / 2**0.5, abs=0.3)
    hiss = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    assert set(praat.measure_voice(hiss, 0.1, 1.9)) == {"average_intensity"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("spoken", [("female", "male"), ("male", "male")])
def test_what_rows_say_of_two_voices_is_judged_by_the_corpus(language, spoken):
    """Every wording of both questions about the genders of two; each row is true of its own pair and
    untrue of others, also where it says "the same" in front of two different ones."""
    templates, rng = load_templates(language), random.Random(0)
    pair = tuple(
        {"id": str(place), "gender": gender, "labels": {}, "values": {}}
        for place, gender in enumerate(spoken)
    )
    items = [item for _ in range(40) for item in comparison.make_items(pair, templates, rng)]
    assert {item.form for item in items} == {"same_gender"} | (
        {"which:gender"} if len(set(spoken)) == 2 else set()
    )
    for item in items:
        claims = read_claims("closed_ended/comparison", language, item.question, item.answer, "")
        own = [make_voice(gender) for gender in spoken]
        assert claims and all(judge(claim, own, {}) for claim in claims), item
        # what the corpus does not state nobody judges
        unknown = [make_voice(None), make_voice(None)]
        assert {judge(claim, unknown, {}) for claim in claims} == {None}
        if item.form == "same_gender":
            (verdict,) = (claim for claim in claims if claim.key == "same_gender")
            flipped = [
                make_voice(spoken[0]),
                make_voice("female" if spoken[1] == "male" else "male"),
            ]
            assert judge(verdict, flipped, {}) is False
        else:
            assert not all(judge(claim, own[::-1], {}) for claim in claims)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_rows_say_was_said_is_judged_by_the_corpus_text(language, tmp_path):
    path = write_metadata(tmp_path / "rows.jsonl", sizes={"train": 30}, languages=(language,))
    utterances = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    templates, rng = load_templates(language), random.Random(1)
    words = [word for row in utterances for word in content.list_words(row["transcript"], language)]
    forms = set()
    for utterance in utterances:
        items = content.make_items(utterance, templates, rng, words=words, has_accents=True)
        for item in items:
            claims = [
                claim
                for claim in read_claims(
                    "closed_ended/content_level", language, item.question, item.answer, ""
                )
                if claim.key in ("transcript", "spoken_word")
            ]
            if item.form not in ("transcript", "spoken_word"):
                assert not claims, item
                continue
            (claim,) = claims
            assert claim.key == item.form and judge_text(claim, language, utterance["transcript"])
            # Of another sentence it is untrue, but for a word that is in neither.
            is_absent = claim.labels[1:] == ("false",)
            assert judge_text(claim, language, "Xyz.") is is_absent
            assert judge_text(claim, language, None) is None
            forms.add((item.form, is_absent))
    assert forms == {("transcript", False), ("spoken_word", False), ("spoken_word", True)}


def judge_text(claim, language, transcript):
    stated = {"language": language, "transcript": transcript}
    return judge(claim, [find_known({"gender": None, "words": []}, stated, None)], {})


def make_voice(gender):
    stated = {"language": "en", "gender": gender}
    return find_known({"gender": gender, "words": []}, stated, None)


def test_what_was_not_changed_is_known_within_the_bounds_of_its_measure():
    """Cut close to its words a clip reads as 27 dB, and may have 50: in a room, which is heard to
    begin, it reads as that; a clip of 12 dB in its margins has no more than 15."""
    bins = {
        "noise_level": {"all": find_scales([("noise_level", "gaps")])["noise_level"].describe()}
    }

    def judge_unchanged(value, bounds, label, bins=bins):
        row = {"gender": None, "words": [], "values": {"noise_level": value}}
        row |= {"bounds": {"noise_level": bounds} if bounds else {}}
        unheard = find_known(row, {"language": "en"}, None)
        values, ranges = find_unchanged(row, unheard, bins, "noise_level")
        known = dataclasses.replace(unheard, values=values, ranges=ranges)
        claim = Claim(clip=0, key="noise_level", labels=(label,), kind="")
        return judge(claim, [known], bins)

    assert judge_unchanged(27.0, (24.0, None), "very clean") is True
    assert judge_unchanged(27.0, (24.0, None), "slightly noisy") is False
    assert judge_unchanged(12.0, (9.0, 15.0), "slightly noisy") is True
    assert judge_unchanged(12.0, (9.0, 15.0), "balanced in clarity") is True
    assert judge_unchanged(12.0, (9.0, 15.0), "clean") is False
    # Of what its own measure knows nothing nobody else does.
    assert judge_unchanged(12.0, None, "clean") is None
    # A class that is a place in its corpus has no bounds.
    places = {"noise_level": {"all": {"edges": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "method": "width"}}}
    assert judge_unchanged(12.0, None, "slightly noisy", places) is True
    assert judge_unchanged(12.0, None, "clean", places) is False
