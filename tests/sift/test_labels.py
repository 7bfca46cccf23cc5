"""Labels: said in five languages, and found again."""

import pytest

from sift_jax.sift.label_tables import PHRASES
from sift_jax.sift.labels import (
    ACOUSTIC_LABELS,
    LABELS,
    LANGUAGES,
    find_labels,
    find_quotations,
    name_label,
    read_first_word,
    read_yes_no,
    remove_quotations,
    say_yes_no,
    simplify,
    write_phrase,
    write_spoken_phrase,
)

ALL = [
    (language, key, label)
    for language in LANGUAGES
    for key, labels in LABELS.items()
    for label in labels
]


def test_every_label_is_found_in_its_phrases():
    for language, key, label in ALL:
        for phrase in (
            write_phrase(key, label, language),
            write_spoken_phrase(key, label, language),
        ):
            assert find_labels(f"X, {phrase}.", language) == [(key, label)], phrase
            assert not set("[]|;") & set(phrase)


def test_tables_say_nothing_that_is_not_a_label():
    for language, rows in PHRASES.items():
        assert {row.removeprefix("spoken:") for row in rows} == {*LABELS, "yes_no"}, language


def test_canonical_labels_are_the_english_words():
    for key in ACOUSTIC_LABELS:
        names = tuple(name_label(key, label, "en") for label in ACOUSTIC_LABELS[key])
        if key == "distortion_level":
            # Its canonical words are noise's too, and nobody could tell which of them is meant.
            assert not set(names) & {
                label for labels in ACOUSTIC_LABELS.values() for label in labels
            }
        elif key == "speech_quality":
            assert names == tuple(f"{label} quality" for label in ACOUSTIC_LABELS[key])
        else:
            assert names == ACOUSTIC_LABELS[key]


def test_longest_label_wins():
    assert find_labels("A VERY HIGH PITCH.", "en") == [("average_pitch", "very high pitch")]
    assert find_labels("slightly noisy, then noisy", "en") == [
        ("noise_level", "slightly noisy"),
        ("noise_level", "noisy"),
    ]
    assert find_labels("Das andere bleibt gleich laut.", "de") == [("intensity_contour", "steady")]
    assert find_labels("Il est plus fort que l’autre.", "fr") == [("word_intensity", "louder")]


@pytest.mark.parametrize(
    "text", ["cleaner", "unclean", "females", "noisyish", 'It says: "Music is loudly clean."']
)
def test_only_whole_words_outside_quotes_count(text):
    assert find_labels(text, "en") == []


def test_composed_and_decomposed_letters_are_the_same():
    assert find_labels("ma\u0308ßig klar", "de") == [("noise_level", "balanced in clarity")]


def test_errors_name_what_is_wrong():
    with pytest.raises(
        ValueError, match="speaking_rate has no label 'swift'; its labels are very slowly"
    ):
        write_phrase("speaking_rate", "swift", "en")
    with pytest.raises(ValueError, match="no labels in language 'xx'; the languages are en"):
        say_yes_no(True, "xx")


def test_yes_and_no_are_read_where_they_stand_alone():
    for language in LANGUAGES:
        for is_true in (True, False):
            word = say_yes_no(is_true, language)
            assert (
                read_yes_no(f" {word.upper()}. ", language)
                is read_first_word(f"{word}, so.", language)
                is is_true
            )
            assert read_yes_no(f"{word}, so.", language) is None
    assert read_first_word("Nobody knows.", "en") is read_first_word("", "en") is None
    assert find_quotations('„Ja“, "no", «oui» y “sí”') == ["Ja", "no", "oui", "sí"]
    assert simplify("«Où?» L’eau…") == "où l eau" and remove_quotations(
        'He says "no".'
    ).split() == ["He", "says", "."]
