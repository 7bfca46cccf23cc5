"""Measured values against signals whose values are known."""

import dataclasses

import numpy as np
import pytest
import scipy.signal

from data_prep.corpora.utterance import WordSpan
from data_prep.embedded import rooms
from data_prep.embedded.corpus import make_plans, synthesize
from data_prep.metadata import (
    intensity,
    noise,
    pitch,
    pitch_trackers,
    rate,
    reverberation,
    word_measures,
)
from data_prep.metadata.bins import label_values, make_bins
from data_prep.metadata.experts import make_panel, parse_experts
from data_prep.metadata.measure import IN_DOUBT, measure_utterance
from data_prep.metadata.plausible_ranges import FEASIBLE
from sift_jax.sift.labels import ACOUSTIC_LABELS as LABELS

RATE = 16_000


def make_tone(hz, seconds=1.0, harmonics=8):
    """A harmonic tone; `hz` is a number or a track of one value a sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, int(seconds * RATE))) / RATE
    return sum(np.cos(k * phase) / k for k in range(1, harmonics + 1)).astype(np.float32) * 0.1


def make_gated_noise(decay_seconds, rng):
    """Bursts of noise that die away exponentially, with 0.2 s of near silence at either end."""
    wave = np.zeros(int(2.4 * RATE))
    for start in np.arange(0.2, 2.0, 0.3):
        burst = rng.standard_normal(int(0.15 * RATE))
        wave[int(start * RATE) : int(start * RATE) + len(burst)] += burst
    if decay_seconds:
        tail = np.exp(-np.arange(int(0.8 * RATE)) / RATE / decay_seconds) * rng.standard_normal(
            int(0.8 * RATE)
        )
        wave = wave + 0.1 * scipy.signal.oaconvolve(wave, tail)[: len(wave)]
    return (0.05 * wave + 1e-4 * rng.standard_normal(len(wave))).astype(np.float32)


@pytest.mark.parametrize("hz", [85.0, 117.3, 180.0, 255.5, 320.0])
def test_pitch_of_tones(hz):
    assert pitch.average_pitch(pitch.track_pitch(make_tone(hz))) == pytest.approx(hz, rel=0.01)


@pytest.mark.parametrize("hz", [100.0, 210.0])
def test_pitch_survives_noise(hz):
    tone = np.concatenate([np.zeros(3_200), make_tone(hz, 1.5), np.zeros(3_200)]).astype(np.float32)
    noisy = tone + 0.03 * np.random.default_rng(0).standard_normal(len(tone)).astype(np.float32)
    assert pitch.average_pitch(pitch.track_pitch(noisy)) == pytest.approx(hz, rel=0.02)


def make_vowels(hz, rng):
    """A buzz of a known F0 a sample through the resonances of four vowels, in a rhythm of
    syllables, and a hiss."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    vowel = (np.arange(len(hz)) * 4 // len(hz))[None]
    formants = np.array(
        [[700, 1200, 2600], [300, 2300, 3000], [350, 800, 2400], [500, 1800, 2500]]
    )[vowel[0]]
    wave = np.zeros(len(hz))
    for k in range(1, int(4_000 / hz.max()) + 1):
        gain = (1 / (1 + ((k * hz[:, None] - formants) / 90) ** 2)).sum(axis=1)
        wave += gain * np.cos(k * phase) / k**0.5
    syllables = np.clip(np.sin(2 * np.pi * 3.2 * np.arange(len(hz)) / RATE), 0, None) ** 0.5
    wave *= syllables
    return 0.1 * wave / wave.std() + 0.004 * rng.standard_normal(len(hz)), syllables


def test_pitch_is_that_of_known_voices():
    """Gross error below a hundredth of the voiced frames, and most of what is voiced is found."""
    rng = np.random.default_rng(3)
    gross = found = voiced = 0
    time = np.arange(2 * RATE) / RATE
    for center in np.geomspace(85, 300, 12):
        hz = center * 2 ** (
            0.25 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * time + rng.uniform(0, 6))
        )
        wave, syllables = make_vowels(hz, rng)
        track = pitch.track_pitch(wave.astype(np.float32))
        middles = np.round(
            (np.arange(len(track)) * pitch.STEP_SECONDS + pitch.FRAME_SECONDS / 2) * RATE
        ).astype(int)
        is_voiced, is_found = syllables[middles] > 0.5, np.isfinite(track)
        gross += (
            np.abs(track[is_found & is_voiced] / hz[middles][is_found & is_voiced] - 1) > 0.2
        ).sum()
        found, voiced = found + (is_found & is_voiced).sum(), voiced + is_voiced.sum()
    assert voiced > 800 and found > 0.85 * voiced and gross / voiced < 0.01


def test_pitch_is_that_of_pyin():
    """Voiced frames that both find, and the measures of a build by librosa's track."""
    track_by_pyin = pitch_trackers.make_pyin()
    gross = both = 0
    for language in ("en", "it"):
        wave, _ = synthesize(make_plans(language, "train", 1, seed=2)[0])
        ours, theirs = pitch.track_pitch(wave), track_by_pyin(wave)
        is_both = np.isfinite(ours) & np.isfinite(theirs[: len(ours)])
        gross += (np.abs(ours[is_both] / theirs[: len(ours)][is_both] - 1) > 0.2).sum()
        both += is_both.sum()
    assert both > 100 and gross / both < 0.05
    wave, utterance = synthesize(make_plans("en", "train", 1, seed=9)[0])
    panel = make_panel(parse_experts("average_pitch=pyin,pitch_variation=pyin"))
    ours, theirs = (
        measure_utterance(wave, utterance).row,
        measure_utterance(wave, utterance, panel).row,
    )
    assert theirs["values"]["average_pitch"] == pytest.approx(
        ours["values"]["average_pitch"], rel=0.05
    )
    assert theirs["values"]["average_pitch"] != ours["values"]["average_pitch"]
    for count in (0, 100, 760):
        assert not np.isfinite(track_by_pyin(np.zeros(count, np.float32))).any()


@pytest.mark.extras
def test_pitch_is_that_of_praat():
    pytest.importorskip("parselmouth")
    track_by_praat = pitch_trackers.make_praat()
    gross = both = 0
    for language in ("en", "it"):
        for plan in make_plans(language, "train", 10, seed=2):
            wave, _ = synthesize(plan)
            ours, theirs = pitch.track_pitch(wave), track_by_praat(wave)
            length = min(len(ours), len(theirs))
            ours, theirs = ours[:length], theirs[:length]
            is_both = np.isfinite(ours) & np.isfinite(theirs)
            gross += (np.abs(ours[is_both] / theirs[is_both] - 1) > 0.2).sum()
            both += is_both.sum()
    assert both > 1_000 and gross / both < 0.05


@pytest.mark.extras
def test_praat_may_measure_the_pitch_of_a_build():
    pytest.importorskip("parselmouth")
    wave, utterance = synthesize(make_plans("en", "train", 1, seed=9)[0])
    ours = measure_utterance(wave, utterance).row
    theirs = measure_utterance(
        wave, utterance, make_panel(parse_experts("average_pitch=praat,pitch_variation=praat"))
    ).row
    assert theirs["values"]["average_pitch"] == pytest.approx(
        ours["values"]["average_pitch"], rel=0.05
    )
    assert theirs["values"]["average_pitch"] != ours["values"]["average_pitch"]
    assert [word["average_pitch"] for word in theirs["words"]] != [
        word["average_pitch"] for word in ours["words"]
    ]
    assert theirs["values"]["noise_level"] == ours["values"]["noise_level"]
    for count in (0, 100, 800, 2_000):
        assert not np.isfinite(pitch_trackers.make_praat()(np.zeros(count, np.float32))).any()


def test_noise_and_silence_have_no_pitch():
    hiss = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert np.isfinite(pitch.track_pitch(hiss)).mean() < 0.25
    assert pitch.average_pitch(pitch.track_pitch(np.zeros(RATE, np.float32))) is None
    assert pitch.average_pitch(pitch.track_pitch(np.zeros(10, np.float32))) is None


def test_variation_is_that_of_the_glide():
    semitones = np.linspace(-4, 4, 2 * RATE)
    track = pitch.track_pitch(make_tone(150 * 2 ** (semitones / 12), 2.0))
    assert pitch.pitch_variation(track) == pytest.approx(8 / np.sqrt(12), rel=0.1)
    assert pitch.pitch_variation(pitch.track_pitch(make_tone(150.0))) < 0.1


@pytest.mark.parametrize("center", [110.0, 200.0, 320.0])
def test_variation_of_a_wide_melody(center):
    """Eight semitones up and down: the deviation is 5.6 semitones, and no frame is an octave
    off."""
    time = np.arange(5 * RATE) / RATE
    hz = center * 2 ** (8 / 12 * np.sin(2 * np.pi * 0.7 * time))
    track = pitch.track_pitch(make_tone(hz, 5.0, harmonics=9))
    middles = np.round(
        (np.arange(len(track)) * pitch.STEP_SECONDS + pitch.FRAME_SECONDS / 2) * RATE
    ).astype(int)
    assert pitch.pitch_variation(track) == pytest.approx(5.6, abs=0.3)
    assert (
        np.isfinite(track).mean() > 0.95 and np.nanmax(np.abs(np.log2(track / hz[middles]))) < 0.2
    )


@pytest.mark.extras
def test_a_melody_that_two_paths_do_not_agree_on_has_no_class():
    """A voice of 200 Hz whose end repeats itself as well every second period: is it 100 Hz there?"""
    times = np.arange(2 * RATE) / RATE
    hz = 200 * 2 ** (0.15 * np.sin(2 * np.pi * 1.2 * times))
    steady = make_tone(hz, 2.0)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    creak = sum(np.cos((k - 0.5) * phase) / k for k in range(1, 9)) * (times > 1.6)
    creaky = (steady + 0.03 * creak).astype(np.float32)
    assert pitch.is_variation_sure(pitch.track_passes(steady))
    assert not pitch.is_variation_sure(pitch.track_passes(creaky))
    np.testing.assert_array_equal(pitch.track_passes(creaky)[-1], pitch.track_pitch(creaky))
    _, utterance = synthesize(make_plans("en", "train", 1, seed=0)[0])
    utterance = dataclasses.replace(utterance, words=(), phonemes=None)
    rows = [measure_utterance(wave, utterance).row for wave in (steady, creaky)]
    assert [row[IN_DOUBT] for row in rows] == [[], ["pitch_variation"]]
    bins = make_bins([{**rows[0], "values": {"pitch_variation": i / 9}} for i in range(60)], LABELS)
    told = [label_values(row, bins, LABELS) for row in map(keep, rows)]
    assert "pitch_variation" in told[0] and told[1] == {}


def keep(row):
    """Of the values only the variation."""
    return {**row, "values": {"pitch_variation": row["values"]["pitch_variation"]}}


def test_wide_melodies_vary_as_two_passes_of_praat_say():
    """De Looze and Hirst: the range of a first pass sets floor and ceiling of the second."""
    parselmouth = pytest.importorskip("parselmouth")
    rng = np.random.default_rng(5)
    time, pairs = np.arange(3 * RATE) / RATE, []
    for center in (100.0, 150.0, 220.0, 300.0):
        for semitones in (2.0, 5.0, 8.0):
            hz = center * 2 ** (
                semitones
                / 12
                * np.sin(2 * np.pi * rng.uniform(0.4, 0.9) * time + rng.uniform(0, 6))
            )
            wave = make_vowels(hz, rng)[0]
            sound = parselmouth.Sound(wave.astype(np.float64), RATE)
            first = sound.to_pitch_ac(
                time_step=0.01, pitch_floor=60, pitch_ceiling=700
            ).selected_array["frequency"]
            low, high = np.quantile(first[first > 0], [0.25, 0.75])
            second = sound.to_pitch_ac(
                time_step=0.01, pitch_floor=0.75 * low, pitch_ceiling=min(2.5 * high, 700)
            )
            theirs = second.selected_array["frequency"]
            pairs.append(
                [
                    pitch.pitch_variation(found)
                    for found in (pitch.track_pitch(wave.astype(np.float32)), theirs[theirs > 0])
                ]
            )
    ours, theirs = np.array(pairs).T
    np.testing.assert_allclose(ours, theirs, atol=0.6)


def test_intensity_of_a_sine_and_of_a_gain():
    sine = (0.1 * np.sqrt(2) * np.sin(np.arange(RATE) * 0.2)).astype(np.float32)
    assert intensity.average_intensity(intensity.frame_power(sine)) == pytest.approx(-20.0, abs=0.1)
    assert intensity.average_intensity(intensity.frame_power(sine / 10)) == pytest.approx(
        -40.0, abs=0.1
    )


def test_noise_level_follows_the_truth():
    rng = np.random.default_rng(4)
    speech = make_gated_noise(0.0, rng)
    power = rooms.measure_active_power(speech)
    for snr in (5.0, 15.0, 25.0):
        noisy = speech + (
            rng.standard_normal(len(speech)) * np.sqrt(power / 10 ** (snr / 10))
        ).astype(np.float32)
        assert noise.noise_level(intensity.frame_power(noisy), 0.2) == pytest.approx(snr, abs=2.0)
        assert noise.noise_level(intensity.frame_power(noisy)) == pytest.approx(snr, abs=3.0)


def test_reverberation_falls_as_the_tail_grows():
    values = [
        reverberation.reverberation(make_gated_noise(decay, np.random.default_rng(2)), 0.2, 1.85)
        for decay in (0.0, 0.05, 0.25)
    ]
    assert values[0] > values[1] > values[2]


def test_rate_counts_phones_only():
    assert rate.speaking_rate("DH|AH| |R|EY|N", 0.15, 0.65) == pytest.approx(10.0)
    assert rate.speaking_rate("", 0.0, 1.0) is None
    assert rate.speaking_rate("R|EY", 0.5, 0.5) is None


def test_words_differ_as_their_sounds_do():
    wave = np.concatenate(
        [make_tone(120.0, 0.5), 4 * make_tone(240.0, 0.5), np.zeros(RATE // 2, np.float32)]
    )
    spans = [
        WordSpan(word=name, position=i + 1, start=i * 0.5, end=i * 0.5 + 0.5)
        for i, name in enumerate("abc")
    ]
    # Each half alone, since a talker does not leap an octave: the path through one recording would
    # not.
    track = np.concatenate(
        [pitch.track_pitch(wave[:8_000]), np.full(5, np.nan), pitch.track_pitch(wave[8_000:16_000])]
    )
    low, high, silent = word_measures.measure_words(track, intensity.frame_power(wave), spans)
    assert low["average_pitch"] == pytest.approx(120, rel=0.02)
    assert high["average_pitch"] == pytest.approx(240, rel=0.02)
    assert silent["average_pitch"] is None and silent["pitch_variation"] is None
    assert high["average_intensity"] - low["average_intensity"] == pytest.approx(12.0, abs=1.0)


def test_synthesized_speech_measures_as_it_was_asked_for():
    plans = [
        plan for language in ("en", "es") for plan in make_plans(language, "train", 24, seed=9)
    ]
    rows = []
    for plan in plans:
        wave, utterance = synthesize(plan)
        measured = measure_utterance(wave, utterance)
        if measured.row:
            rows.append(measured.row)
    assert len(rows) >= 44
    for key, least in {
        "average_pitch": 0.9,
        "pitch_variation": 0.6,
        "speaking_rate": 0.9,
        "average_intensity": 0.95,
        "noise_level": 0.9,
        "reverberation": 0.8,
    }.items():
        measured_ranks, true_ranks = (
            np.argsort(np.argsort([row[part][key] for row in rows])) for part in ("values", "truth")
        )
        assert np.corrcoef(measured_ranks, true_ranks)[0, 1] > least, key


def test_infeasible_is_rejected_by_name():
    _, utterance = synthesize(make_plans("en", "train", 1, seed=0)[0])
    hum = np.sin(np.arange(int(utterance.duration * RATE)) * 2 * np.pi * 30 / RATE).astype(
        np.float32
    )
    measured = measure_utterance(hum, utterance)
    assert measured.row is None and measured.rejected in FEASIBLE
    assert measure_utterance(0 * hum, utterance).rejected == "silence"


def test_times_decide_where_speech_is_and_phones_decide_the_rate():
    wave, utterance = synthesize(make_plans("en", "train", 1, seed=9)[0])
    rows = measure_utterance(wave, utterance).row["words"]
    assert [row["position"] for row in rows] == list(range(1, len(utterance.words) + 1))
    bare = measure_utterance(wave, dataclasses.replace(utterance, words=()))
    unspelt = measure_utterance(wave, dataclasses.replace(utterance, phonemes=None))
    assert set(bare.row["values"]) - set(unspelt.row["values"]) == {"speaking_rate"}
    assert bare.row["words"] == [] and set(bare.row["values"]) == set(
        measure_utterance(wave, utterance).row["values"]
    )


@pytest.mark.parametrize(("noise_db", "slack"), [(-70, 0.06), (-40, 0.12)])
def test_speech_is_found_without_words(noise_db, slack):
    rng = np.random.default_rng(1)
    wave = np.concatenate([np.zeros(8_000), make_tone(140.0, 1.0), np.zeros(12_000)])
    wave[2_000:2_100] += 0.5  # a click
    wave = wave + 10 ** (noise_db / 20) * rng.standard_normal(len(wave))
    first, last = intensity.find_speech(intensity.frame_power(wave))
    assert first == pytest.approx(0.5, abs=slack) and last == pytest.approx(1.5, abs=slack)
    hiss = intensity.frame_power(rng.standard_normal(16_000))
    assert intensity.find_speech(hiss) == (0.0, pytest.approx(1.0, abs=0.02))


@pytest.mark.parametrize("has_words", [True, False])
@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(0),
        np.zeros(1),
        np.ones(1),
        np.full(100, 0.5),
        np.zeros(3_000),
        np.ones(16_000),
        make_tone(2_000.0, 0.2),
        np.sign(np.sin(np.arange(20_000) * 0.05)),
        np.random.default_rng(0).standard_normal(40_000) * 1e-6,
        np.pad(np.ones(1), 8_000),
        np.full(8_000, np.nan),
    ],
    ids=lambda wave: str(len(wave)),
)
def test_odd_recordings_are_measured_or_named(wave, has_words):
    _, utterance = synthesize(make_plans("en", "train", 1, seed=0)[0])
    utterance = utterance if has_words else dataclasses.replace(utterance, words=())
    with np.errstate(all="ignore"):
        measured = measure_utterance(wave.astype(np.float32), utterance)
    assert measured.row or measured.rejected in {*FEASIBLE, "samples", "silence"}
