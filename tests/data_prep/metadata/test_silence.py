"""Digital silence moves no measure: padding, edits, MP3; and where a gate leaves no background,
none is measured."""

import dataclasses
import io

import numpy as np
import pytest
import soundfile
import soxr
from known_speech import Truth, speak

from data_prep.metadata import distortion, intensity, noise, reverberation
from data_prep.metadata.experts import make_panel, parse_experts
from data_prep.metadata.measure import (
    BACKGROUND,
    GATED,
    MARGINS,
    PAUSES,
    SILENCE,
    measure_utterance,
)
from data_prep.metadata.silence import cut_silence, find_heard

RATE = 16_000
SEVEN = parse_experts("distortion_level=energy")
SNRS = (5.0, 10.0, 20.0, 30.0, 40.0)


def speak_all():
    return [
        (wave, utterance)
        for i, snr in enumerate(SNRS)
        for wave, _, utterance in [speak(Truth(snr=snr), i)]
    ]


def measure(wave, utterance):
    measured = measure_utterance(wave.astype(np.float32), utterance, make_panel(SEVEN))
    assert measured.row is not None, measured.rejected
    return measured.row


def delay(utterance, seconds):
    words = tuple(
        dataclasses.replace(word, start=word.start + seconds, end=word.end + seconds)
        for word in utterance.words
    )
    return dataclasses.replace(utterance, words=words, duration=utterance.duration + seconds)


@pytest.mark.parametrize("has_words", [True, False])
def test_padding_with_zeros_changes_nothing(has_words):
    # No multiple of a frame's step: the frames begin where the sound does.
    zeros = np.zeros(4_837, np.float32)
    for wave, utterance in speak_all():
        padded = delay(utterance, len(zeros) / RATE)
        if not has_words:
            utterance, padded = (
                dataclasses.replace(spoken, words=()) for spoken in (utterance, padded)
            )
        alone, within = (
            measure(wave, utterance),
            measure(np.concatenate([zeros, wave, zeros]), padded),
        )
        assert within["values"] == pytest.approx(alone["values"], abs=0.02)
        for word, other in zip(alone["words"], within["words"], strict=True):
            assert other["start"] == pytest.approx(word["start"] + len(zeros) / RATE)
            assert other["average_intensity"] == pytest.approx(word["average_intensity"], abs=0.5)


@pytest.mark.parametrize("seconds", [0.2, 0.45, 1.0])
def test_each_measure_by_itself_withstands_zeros(seconds):
    """Also where nobody has cut the ends off before."""
    for wave, utterance in speak_all():
        first, last = utterance.words[0].start, utterance.words[-1].end
        zeros = np.zeros(int(seconds * RATE), np.float32)
        padded, shift = np.concatenate([zeros, wave, zeros]), seconds
        power, more = intensity.frame_power(wave), intensity.frame_power(padded)
        for own, other in (
            (noise.noise_level(power, first), noise.noise_level(more, first + shift)),
            (noise.noise_level(power), noise.noise_level(more)),
            (
                noise.inside_noise_level(wave, first, last),
                noise.inside_noise_level(padded, first + shift, last + shift),
            ),
            (
                distortion.distortion_level(power, first),
                distortion.distortion_level(more, first + shift),
            ),
            (
                reverberation.reverberation(wave, first, last),
                reverberation.reverberation(padded, first + shift, last + shift),
            ),
            (intensity.average_intensity(power), intensity.average_intensity(more)),
        ):
            assert other == pytest.approx(own, abs=0.5)
        assert intensity.find_speech(more) == pytest.approx(
            [time + shift for time in intensity.find_speech(power)], abs=0.021
        )


def test_mp3_of_padded_speech_measures_as_that_of_speech():
    def code(wave):
        file = io.BytesIO()
        soundfile.write(file, soxr.resample(wave, RATE, 32_000), 32_000, format="MP3")
        file.seek(0)
        return soxr.resample(soundfile.read(file, dtype="float32")[0], 32_000, RATE)

    moved = []
    for wave, utterance in speak_all():
        padded = np.concatenate([np.zeros(4_800, np.float32), wave])
        alone, within = measure(code(wave), utterance), measure(code(padded), delay(utterance, 0.3))
        moved.append(
            [
                abs(within["values"][key] - alone["values"][key])
                for key in ("noise_level", "distortion_level", "average_intensity", "reverberation")
            ]
        )
    # The coder's own blocks fall on other samples, which alone moves the decays of a recording by
    # up to 2 dB.
    assert np.mean(moved, axis=0).max() < 1.0 and np.max(np.array(moved)[:, :3]) < 1.0


@pytest.mark.parametrize("seconds", [0.1, 0.25])
@pytest.mark.parametrize("has_words", [True, False])
def test_zeros_put_in_within_change_nothing(seconds, has_words):
    """At no multiple of a frame's step, within a word and between two: what is measured is what was
    recorded."""
    for wave, utterance in speak_all():
        for time in (
            utterance.words[2].end,
            (utterance.words[1].start + utterance.words[1].end) / 2,
        ):
            place = round(time * RATE) + 7
            edited = np.concatenate(
                [wave[:place], np.zeros(int(seconds * RATE), np.float32), wave[place:]]
            )
            words = tuple(
                word if word.end <= time else other
                for word, other in zip(
                    utterance.words, delay(utterance, seconds).words, strict=True
                )
            )
            spoken, longer = (
                dataclasses.replace(utterance, words=timed if has_words else ())
                for timed in (utterance.words, words)
            )
            before, after = measure(wave, spoken)["values"], measure(edited, longer)["values"]
            for key in ("noise_level", "distortion_level", "reverberation", "average_intensity"):
                assert after[key] == pytest.approx(before[key], abs=0.02), key


def test_a_gate_takes_the_background_away():
    """The noise is as loud as before while somebody speaks, and nobody can tell from the pauses."""
    for i, snr in enumerate(SNRS):
        wave, dry, utterance = speak(Truth(snr=snr), i)
        envelope = np.convolve(np.abs(dry), np.ones(800) / 800, "same")
        spoken = np.flatnonzero(envelope > 0.15 * np.quantile(envelope, 0.9))
        gated = np.zeros_like(wave)
        gated[spoken] = wave[spoken]
        bare = dataclasses.replace(utterance, words=())
        row = measure(gated, bare)
        assert row[BACKGROUND] == GATED
        assert set(row["values"]) == {
            "average_pitch",
            "pitch_variation",
            "speaking_rate",
            "average_intensity",
        }


def test_what_is_mostly_zeros_is_set_aside():
    wave, utterance = speak_all()[2]
    zeros = np.zeros(int(1.2 * len(wave)), np.float32)
    assert measure_utterance(np.concatenate([wave, zeros]), utterance).rejected == SILENCE
    assert measure_utterance(np.concatenate([wave, zeros[: len(wave) // 2]]), utterance).row


def test_a_row_tells_where_its_background_is_heard():
    wave, utterance = speak_all()[1]
    first, last = (
        round(time * RATE) for time in (utterance.words[0].start, utterance.words[-1].end)
    )
    assert measure(wave, utterance)[BACKGROUND] == MARGINS
    assert measure(wave[first:last], delay(utterance, -first / RATE))[BACKGROUND] == PAUSES


def test_noise_inside_the_speech_does_not_ask_for_margins():
    """Cut to the words it moves by less than a decibel; it follows what noise there is."""
    asked = make_panel(parse_experts("noise_level=inside"))
    levels = []
    for i, snr in enumerate((0.0, 5.0, 10.0, 15.0, 20.0)):
        wave, _, utterance = speak(Truth(snr=snr), i)
        first, last = (
            round(time * RATE) for time in (utterance.words[0].start, utterance.words[-1].end)
        )
        cut = delay(utterance, -first / RATE)
        whole, inside = (
            measure_utterance(sound, spoken, asked).row["values"]["noise_level"]
            for sound, spoken in ((wave, utterance), (wave[first:last], cut))
        )
        assert inside == pytest.approx(whole, abs=1.0)
        levels.append(whole)
    assert levels == sorted(levels) and levels[2] == pytest.approx(10.0, abs=4.0)


def test_digital_silence_is_cut_out_and_time_goes_on():
    wave = np.concatenate(
        [np.zeros(100), np.full(800, 0.1), np.full(400, 1e-6), np.full(900, 0.1), np.zeros(97)]
    )
    heard = cut_silence(wave)
    assert (heard.firsts.tolist(), heard.lasts.tolist()) == (
        [100, 1300],
        [900, 2200],
    ) and heard.cut_inside == 400
    assert np.array_equal(heard.wave, np.full(1700, 0.1))
    for whole, joined in (
        (0.0, 0.0),
        (100, 0.0),
        (500, 400),
        (1000, 800),
        (1300, 800),
        (1400, 900),
        (9999, 1700),
    ):
        assert heard.to_heard(whole / RATE) == pytest.approx(joined / RATE)
    for joined, whole in ((0.0, 100), (400, 500), (800, 900), (801, 1301), (1700, 2200)):
        assert heard.to_whole(joined / RATE) == pytest.approx(whole / RATE)


def test_what_is_no_digital_silence_is_kept():
    # zeros between the flickers of the last bit, and a wave of nothing else
    flicker = np.zeros(4_000)
    flicker[::200] = 2.0**-15
    assert cut_silence(flicker).wave is not None and cut_silence(flicker).cut_inside == 0
    assert len(cut_silence(np.zeros(5)).wave) == 5 and len(cut_silence(np.zeros(0)).wave) == 0


def test_what_a_coder_smears_into_zeros_is_cut_with_them():
    rng = np.random.default_rng(0)
    noise, smeared = rng.normal(size=16_000) * 2e-3, rng.normal(size=240) * 3e-5
    heard = cut_silence(np.concatenate([np.zeros(500), smeared, noise, smeared, np.zeros(500)]))
    assert abs(heard.firsts[0] - 740) < 80 and abs(heard.lasts[-1] - 16_740) < 80
    # a short margin before loud speech is a margin, however quiet
    margin = np.concatenate(
        [np.zeros(500), rng.normal(size=800) * 3e-5, rng.normal(size=8_000) * 0.1]
    )
    assert cut_silence(margin).firsts[0] < 540


def test_frames_of_zeros_are_found():
    power = np.array([0.0, 1, 1, 1, 1, 0, 0, 1, 1])
    assert find_heard(power, 1e-9, 1).tolist() == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    assert find_heard(np.zeros(3), 1e-9, 1).all() and find_heard(np.ones(3), 1e-9, 1).all()
