"""The embedded corpus: deterministic whatever was spoken before, splits apart, words in place."""

from collections import Counter

import numpy as np
import pytest

from data_prep.corpora.splits import SPLITS, split_sentences
from data_prep.corpora.utterance import parse_utterance
from data_prep.embedded import espeak, rooms
from data_prep.embedded.corpus import (
    MAX_SECONDS,
    MIN_SECONDS,
    draw_settings,
    make_generator,
    make_plans,
    read_sentences,
    split_words,
    synthesize,
)
from data_prep.embedded.voices import AGES, LANGUAGES, make_voices
from data_prep.metadata.absolute import EVENNESS, SECONDS, find_place, find_scales


def make_delivery(**changes) -> espeak.Delivery:
    voice = make_voices("en")[4]
    settings = {
        "variant": voice.variant,
        "accent": voice.accent_file,
        "rate": 170,
        "low_hz": 150,
        "high_hz": 260,
    }
    return espeak.Delivery(**{**settings, **changes})


def test_bytes_do_not_depend_on_history():
    synthesizer = espeak.get_synthesizer()
    words = "the old tremor goes on and on".split()
    first = synthesizer.speak(words, make_delivery()).samples
    other = make_voices("fr")[1]
    synthesizer.speak(
        "bonsoir à tous".split(),
        make_delivery(
            variant=other.variant,
            accent=other.accent_file,
            rate=300,
            span=(0, 2),
            span_pitch_percent=60,
        ),
    )
    again = synthesizer.speak(words, make_delivery()).samples
    np.testing.assert_array_equal(first, again)


def test_words_lie_in_order_within_the_speech():
    words = "is the rain going to be of the cold kind, or not?".split()
    speech = espeak.get_synthesizer().speak(words, make_delivery())
    assert len(speech.words) == len(words)
    starts = [start for start, _ in speech.words]
    assert starts == sorted(starts)
    assert all(start < end <= len(speech.samples) for start, end in speech.words)


def test_phones_are_tokens_with_spaces_between_words():
    assert espeak.tokenise_phones("ð|ˈə ɹ|eɪ|n") == "ð|ə| |ɹ|eɪ|n"
    assert espeak.tokenise_phones("(en)w|ʌ|n(fr) d|ø") == "w|ʌ|n| |d|ø"


def test_unknown_accent_is_one_line():
    with pytest.raises(espeak.EspeakError, match="no voice gmw/nowhere.*voices.py"):
        espeak.get_synthesizer().speak(["hello"], make_delivery(accent="gmw/nowhere"))


def test_same_plan_gives_the_same_bytes_and_a_larger_corpus_the_same_start():
    few, many = (make_plans("it", "train", count, seed=5) for count in (3, 40))
    assert few == many[:3]
    wave, utterance = synthesize(few[2])
    synthesize(make_plans("de", "dev", 1, seed=5)[0])
    again, same = synthesize(few[2])
    np.testing.assert_array_equal(wave, again)
    assert utterance == same
    other, _ = synthesize(make_plans("it", "train", 3, seed=6)[2])
    assert len(other) != len(wave) or not np.array_equal(other, wave)


@pytest.mark.parametrize("language", LANGUAGES)
def test_utterances_keep_their_limits(language):
    for plan in make_plans(language, "EvalSIFT", 8, seed=1):
        wave, utterance = synthesize(plan)
        assert MIN_SECONDS - 0.01 <= len(wave) / 16_000 <= MAX_SECONDS
        assert np.abs(wave).max() < 1.0
        assert [word.position for word in utterance.words] == list(
            range(1, len(split_words(plan.sentence)) + 1)
        )
        assert 0.1 < utterance.words[0].start < 0.25
        assert utterance.words[-1].end < utterance.duration
        assert utterance.phonemes.count("| |") >= 1
        assert parse_utterance(utterance.to_json()) == utterance


def test_splits_share_neither_voice_nor_sentence():
    for index, language in enumerate(LANGUAGES):
        parts = split_sentences(read_sentences(language), seed=3, language_index=index)
        texts = [{text for _, text in parts[split]} for split in SPLITS]
        assert sum(map(len, texts)) == len(set.union(*texts)) == len(read_sentences(language))
        assert len(texts[0]) > 0.75 * len(read_sentences(language)) and min(map(len, texts)) >= 12
        assert any(text.endswith("?") for text in texts[2])


def test_sentence_twice_is_refused():
    with pytest.raises(ValueError, match="occurs twice"):
        split_sentences(
            [("food", "Bread is good."), ("work", "Bread is good.")], seed=0, language_index=0
        )


def test_voices_cover_gender_and_age_in_every_split():
    everyone = [voice for language in LANGUAGES for voice in make_voices(language)]
    assert (
        len({voice.speaker for voice in everyone})
        == len({voice.variant for voice in everyone})
        == 100
    )
    for language in LANGUAGES:
        for split in SPLITS:
            voices = [voice for voice in make_voices(language) if voice.split == split]
            assert {voice.gender for voice in voices} == {"female", "male"}
            if split != "dev":
                assert {voice.age_category for voice in voices} == set(AGES)


def test_training_sentences_are_spoken_by_several_voices():
    plans = make_plans("es", "train", 600, seed=0)
    voices = {}
    for plan in plans:
        voices.setdefault(plan.sentence, set()).add(plan.voice.speaker)
    assert min(len(names) for names in voices.values()) >= 2
    assert len({plan.id for plan in plans}) == 600


def test_settings_of_the_voice_are_spread_and_independent():
    drawn = [
        draw_settings(plan, make_generator(plan)) for plan in make_plans("fr", "train", 400, seed=2)
    ]
    table = np.array([[s.range_semitones, s.rate, s.level_db, s.c50, s.snr] for s in drawn])
    correlation = np.corrcoef(table.T) - np.eye(5)
    # A noisy place is a near one: noise and room are drawn together, but of nothing else that is
    # drawn.
    correlation[3, 4] = correlation[4, 3] = 0.0
    assert np.abs(correlation).max() < 0.2
    for column in table.T[:3]:
        assert (np.histogram(column, bins=7)[0] / len(table)).max() < 0.2


@pytest.mark.parametrize(
    ("key", "name", "share"), [("noise_level", "gaps", 0.8), ("reverberation", "ridge", 0.55)]
)
def test_each_class_of_noise_and_of_distance_has_its_share(key, name, share):
    """If all were read as it is made; of SNR and C50 drawn evenly and independently 64 % and 49 %
    had a class."""
    drawn = [
        draw_settings(plan, make_generator(plan))
        for plan in make_plans("it", "train", 1000, seed=3)
    ]
    table = find_scales([(key, name)])[key].describe()
    counts = Counter(
        find_place(
            key,
            {
                "noise_level": s.snr,
                "reverberation": min(s.c50, rooms.DRY_C50),
                SECONDS: 3.0,
                EVENNESS: 0.0,
            },
            table,
        )
        for s in drawn
    )
    told = len(drawn) - counts.pop(None, 0)
    edges = table["edges"]
    # All but the loudest noise, the deepest room, and what lies between two equal edges.
    possible = {
        place
        for place in range(1, len(edges) + 1)
        if place == len(edges) or edges[place - 1] < edges[place]
    }
    assert {place for place, count in counts.items() if count > told / 15} == possible
    assert told > share * len(drawn)
